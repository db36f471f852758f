"""Where the frames of a WebSocket begin, followed through the bytes of one direction (RFC 6455 section 5.2).

Nothing of them is changed or held back: only the head of each frame is looked at, for the length of what follows it.
So it is known when a frame of ours may go between two of the sender's, which it may at the border of any two frames,
those of one message too (section 5.4). Once the sender's Close has passed, nothing may follow it (section 5.5.1).
"""
from tulle._fast.base.types cimport uint8_t, uint32_t, uint64_t

cdef enum:
    WEBSOCKET_CLOSE = 4                # bytes of a Close frame with a code and no reason

cdef struct WebSocketTrack:
    uint64_t remaining                 # payload of the frame at hand that is still to come
    uint8_t head[14]
    uint8_t head_length                # of its head, that have come
    uint8_t on                         # this direction is that of a WebSocket
    uint8_t closing                    # a Close frame of the sender has begun
    uint8_t wanted                     # a Close of ours is to go at the next border
    uint8_t told                       # it has gone: what the sender still says is dropped

cdef inline bint websocket_at_border(const WebSocketTrack *track) noexcept nogil:
    return track.remaining == 0 and track.head_length == 0

# Goes on over these bytes, up to the first border between frames where `wanted` asks for it; the bytes gone over
cdef uint32_t websocket_follow(WebSocketTrack *track, const char *data, uint32_t length) noexcept nogil
# A Close of the server's side: its frames are not masked (section 5.1)
cdef void websocket_close(char *out, uint32_t code) noexcept nogil
