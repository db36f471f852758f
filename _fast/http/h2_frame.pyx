"""See `h2_frame.pxd` for the contract."""
from tulle._fast.base.types cimport likely, unlikely


cdef inline int frame_check_fixed(const Frame *frame, uint32_t length, bint on_stream) noexcept nogil:
    """A frame of one length, on a stream or on none. Where a wrong one could leave states apart, it is no stream's."""
    if (frame.stream != 0) != on_stream:
        return H2_PROTOCOL_ERROR
    return 0 if likely(frame.length == length) else H2_FRAME_SIZE_ERROR


cdef int frame_check(const Frame *frame, uint32_t payload_most) noexcept nogil:
    cdef uint32_t least
    cdef int type = frame.type
    if unlikely(frame.length > payload_most):
        # Any frame of such a length that may change the state of all is the connection's error (section 4.2); and of a
        # payload that nobody has room for there is no way to the next frame either
        return H2_FRAME_SIZE_ERROR
    if likely(type == FRAME_DATA or type == FRAME_HEADERS):
        if unlikely(frame.stream == 0):
            return H2_PROTOCOL_ERROR
        least = 1 if frame.flags & FRAME_PADDED else 0
        if type == FRAME_HEADERS and frame.flags & FRAME_PRIORITISED:
            least += 5
        return 0 if likely(frame.length >= least) else H2_FRAME_SIZE_ERROR
    if type == FRAME_WINDOW_UPDATE:
        return 0 if likely(frame.length == 4) else H2_FRAME_SIZE_ERROR
    if type == FRAME_RST_STREAM:
        return frame_check_fixed(frame, 4, True)
    if type == FRAME_PING:
        return frame_check_fixed(frame, 8, False)
    if type == FRAME_SETTINGS:
        if frame.stream != 0:
            return H2_PROTOCOL_ERROR
        if frame.length % 6 != 0 or (frame.flags & FRAME_ACK and frame.length != 0):
            return H2_FRAME_SIZE_ERROR
    elif type == FRAME_PRIORITY:
        if frame.stream == 0:
            return H2_PROTOCOL_ERROR
        return 0 if frame.length == 5 else -<int>H2_FRAME_SIZE_ERROR
    elif type == FRAME_GOAWAY:
        if frame.stream != 0:
            return H2_PROTOCOL_ERROR
        return 0 if frame.length >= 8 else H2_FRAME_SIZE_ERROR
    elif type == FRAME_CONTINUATION:
        return 0 if frame.stream != 0 else H2_PROTOCOL_ERROR
    elif type == FRAME_PUSH_PROMISE:
        # A server never gets one, and we, as a client, have refused them (section 8.4)
        return H2_PROTOCOL_ERROR
    return 0


cdef bint frame_margins(const Frame *frame, uint8_t pad_length, uint32_t *before, uint32_t *behind) noexcept nogil:
    before[0] = 0
    behind[0] = 0
    if frame.flags & FRAME_PADDED:
        before[0] = 1
        behind[0] = pad_length
    if frame.type == FRAME_HEADERS and frame.flags & FRAME_PRIORITISED:
        before[0] += 5
    return before[0] + behind[0] <= frame.length


cdef uint32_t frame_write_reset(char *out, uint32_t stream, uint32_t error) noexcept nogil:
    frame_put_number(frame_put_head(out, 4, FRAME_RST_STREAM, 0, stream), error)
    return FRAME_HEAD + 4


cdef uint32_t frame_write_window(char *out, uint32_t stream, uint32_t increment) noexcept nogil:
    frame_put_number(frame_put_head(out, 4, FRAME_WINDOW_UPDATE, 0, stream), increment)
    return FRAME_HEAD + 4


cdef uint32_t frame_write_ping(char *out, bint ack, const char *opaque) noexcept nogil:
    memcpy(frame_put_head(out, 8, FRAME_PING, FRAME_ACK if ack else 0, 0), opaque, 8)
    return FRAME_HEAD + 8


cdef uint32_t frame_write_goaway(char *out, uint32_t last_stream, uint32_t error) noexcept nogil:
    frame_put_number(frame_put_number(frame_put_head(out, 8, FRAME_GOAWAY, 0, 0), last_stream), error)
    return FRAME_HEAD + 8


cdef uint32_t frame_write_settings_ack(char *out) noexcept nogil:
    frame_put_head(out, 0, FRAME_SETTINGS, FRAME_ACK, 0)
    return FRAME_HEAD


cdef char *frame_put_setting(char *out, uint32_t setting, uint32_t value) noexcept nogil:
    out[0] = 0
    out[1] = <char>setting
    return frame_put_number(out + 2, value)


cdef const char *frame_preface() noexcept nogil:
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
