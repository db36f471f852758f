"""See `websocket_frames.pxd`."""
from tulle._fast.base.types cimport likely

cdef enum:
    OPCODE_CLOSE = 8
    FINAL = 0x80
    MASKED = 0x80


cdef uint32_t head_size(const WebSocketTrack *track) noexcept nogil:
    """Of the frame at hand, as far as its first two bytes tell."""
    cdef uint32_t size = 2
    cdef uint32_t length
    if track.head_length < 2:
        return 2
    length = track.head[1] & 127
    if length == 126:
        size += 2
    elif length == 127:
        size += 8
    if track.head[1] & MASKED:
        size += 4
    return size


cdef void take_head(WebSocketTrack *track) noexcept nogil:
    cdef uint32_t length = track.head[1] & 127
    cdef uint32_t index
    track.head_length = 0
    if track.head[0] & 15 == OPCODE_CLOSE:
        track.closing = 1
    track.remaining = length
    if length >= 126:
        track.remaining = 0
        for index in range(2 if length == 126 else 8):
            track.remaining = track.remaining << 8 | track.head[2 + index]


cdef uint32_t websocket_follow(WebSocketTrack *track, const char *data, uint32_t length) noexcept nogil:
    cdef uint32_t position = 0
    cdef uint64_t step
    while position < length:
        if track.remaining > 0:
            step = length - position
            if step > track.remaining:
                step = track.remaining
            track.remaining -= step
            position += <uint32_t>step
        else:
            track.head[track.head_length] = <uint8_t>data[position]
            track.head_length += 1
            position += 1
            if track.head_length >= 2 and likely(track.head_length == head_size(track)):
                take_head(track)
        if track.wanted and websocket_at_border(track):
            break
    return position


cdef void websocket_close(char *out, uint32_t code) noexcept nogil:
    out[0] = <char>(FINAL | OPCODE_CLOSE)
    out[1] = 2
    out[2] = <char>(code >> 8)
    out[3] = <char>(code & 255)
