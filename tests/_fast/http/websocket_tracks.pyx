"""How the frames of a WebSocket are followed, as plain Python functions; built in place only."""
from libc.string cimport memset

from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.websocket_frames cimport (
    WEBSOCKET_CLOSE, WebSocketTrack, websocket_at_border, websocket_close, websocket_follow,
)


def follow(list pieces, bint wanted):
    """How many bytes of each piece were gone over, whether the end is a border, and whether a Close has begun."""
    cdef WebSocketTrack track
    cdef bytes piece
    memset(&track, 0, sizeof(track))
    track.wanted = wanted
    taken = [websocket_follow(&track, <const char *>piece, <uint32_t>len(piece)) for piece in pieces]
    return taken, bool(websocket_at_border(&track)), bool(track.closing)


def close(uint32_t code):
    cdef char frame[WEBSOCKET_CLOSE]
    websocket_close(frame, code)
    return frame[:WEBSOCKET_CLOSE]
