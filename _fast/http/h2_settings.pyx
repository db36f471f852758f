"""See `h2_settings.pxd` for the contract."""
from tulle._fast.base.types cimport int64_t, uint8_t, unlikely
from tulle._fast.http.h2_frame cimport (
    FRAME_PAYLOAD_LEAST, FRAME_PAYLOAD_MOST, H2_FLOW_CONTROL_ERROR, H2_PROTOCOL_ERROR,
    SETTING_ENABLE_CONNECT_PROTOCOL, SETTING_ENABLE_PUSH, SETTING_HEADER_TABLE_SIZE, SETTING_INITIAL_WINDOW_SIZE,
    SETTING_MAX_CONCURRENT_STREAMS, SETTING_MAX_FRAME_SIZE, WINDOW_MOST, frame_number,
)
from tulle._fast.http.h2_output cimport h2_out_settings_ack
from tulle._fast.http.h2_stream cimport h2s_may_send
from tulle._fast.http.h2_types cimport H2_CLIENT, H2C_PEER_CONNECT, H2Stream
from tulle._fast.http.hpack_encode cimport hpack_encoder_allow

cdef enum:
    SETTING_BYTES = 6


cdef int windows_moved(H2Connection *c, uint32_t size) noexcept nogil:
    """Another initial size moves the windows of all streams, below zero perhaps (section 6.9.2)."""
    cdef int64_t by = <int64_t>size - c.peer_window
    cdef H2Stream *s
    cdef uint32_t index
    c.peer_window = size
    if by == 0:
        return 0
    for index in range(c.bucket_mask + 1):
        s = c.buckets[index]
        while s != NULL:
            if unlikely(s.send_window + by > WINDOW_MOST):
                return H2_FLOW_CONTROL_ERROR
            s.send_window += by
            h2s_may_send(c, s)
            s = s.next
    return 0


cdef int h2_settings_take(H2Connection *c, const char *payload, uint32_t length) noexcept nogil:
    cdef uint32_t window = c.peer_window
    cdef uint32_t at = 0
    cdef uint32_t setting, value
    cdef int wrong
    while at < length:
        setting = <uint32_t>(<uint8_t>payload[at]) << 8 | <uint8_t>payload[at + 1]
        value = frame_number(payload + at + 2)
        at += SETTING_BYTES
        if setting == SETTING_HEADER_TABLE_SIZE:
            hpack_encoder_allow(&c.encoder, value)
        elif setting == SETTING_ENABLE_PUSH:
            # A server may not ask for what only clients can take (section 6.5.2)
            if value > 1 or (value == 1 and c.role == H2_CLIENT):
                return H2_PROTOCOL_ERROR
        elif setting == SETTING_MAX_CONCURRENT_STREAMS:
            c.peer_max_streams = value
        elif setting == SETTING_INITIAL_WINDOW_SIZE:
            if value > WINDOW_MOST:
                return H2_FLOW_CONTROL_ERROR
            window = value
        elif setting == SETTING_MAX_FRAME_SIZE:
            if value < FRAME_PAYLOAD_LEAST or value > FRAME_PAYLOAD_MOST:
                return H2_PROTOCOL_ERROR
            c.peer_frame = value
        elif setting == SETTING_ENABLE_CONNECT_PROTOCOL:
            # Not to be taken back (RFC 8441 section 3)
            if value > 1 or (value == 0 and c.flags & H2C_PEER_CONNECT):
                return H2_PROTOCOL_ERROR
            if value == 1:
                c.flags |= H2C_PEER_CONNECT
    wrong = windows_moved(c, window)
    if wrong == 0:
        h2_out_settings_ack(c)
    return wrong


cdef void h2_settings_acknowledged(H2Connection *c) noexcept nogil:
    if c.settings_waiting > 0:
        c.settings_waiting -= 1
