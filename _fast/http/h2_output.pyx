"""See `h2_output.pxd` for the contract."""
from libc.string cimport memcpy

from tulle._fast.base.buf cimport BUF_HEADER, BUF_SMALL, Buf, buf_get, buf_length, buf_room, buf_unref
from tulle._fast.base.types cimport likely, unlikely
from tulle._fast.http.h2_frame cimport (
    FRAME_HEAD, FRAME_SETTINGS, PREFACE_LENGTH, SETTING_ENABLE_CONNECT_PROTOCOL, SETTING_ENABLE_PUSH,
    SETTING_INITIAL_WINDOW_SIZE, SETTING_MAX_CONCURRENT_STREAMS, SETTING_MAX_HEADER_LIST_SIZE, frame_preface,
    frame_put_head, frame_put_setting, frame_write_goaway, frame_write_ping, frame_write_reset,
    frame_write_settings_ack, frame_write_window,
)
from tulle._fast.http.h2_types cimport H2_CLIENT, H2C_FAILED

cdef enum:
    WINDOW_DEFAULT = 65535             # RFC 9113 section 6.9.2
    SETTING_BYTES = 6
    FIELD_OVERHEAD = 32                # that each field adds to the size of a list (section 6.5.2)


cdef char *h2_out_room(H2Connection *c, uint32_t length) noexcept nogil:
    cdef Buf *buf = c.out_last
    if likely(buf != NULL and buf_room(buf) >= length):
        return buf.data + buf.end
    buf = buf_get(c.bufs, length > BUF_SMALL - BUF_HEADER)
    if unlikely(buf == NULL or buf_room(buf) < length):
        if buf != NULL:
            buf_unref(c.bufs, buf)
        c.flags |= H2C_FAILED
        return NULL
    if c.out_last == NULL:
        c.out_first = buf
    else:
        c.out_last.next = buf
    c.out_last = buf
    return buf.data


cdef void h2_out_gone(H2Connection *c, uint32_t bytes) noexcept nogil:
    cdef Buf *buf
    c.out_bytes -= bytes
    while c.out_first != NULL:
        buf = c.out_first
        if buf_length(buf) > bytes:
            buf.start += bytes
            return
        bytes -= buf_length(buf)
        c.out_first = buf.next
        buf_unref(c.bufs, buf)
    c.out_last = NULL


cdef void h2_out_reset(H2Connection *c, uint32_t stream, uint32_t error) noexcept nogil:
    cdef char *out = h2_out_room(c, FRAME_HEAD + 4)
    if likely(out != NULL):
        h2_out_used(c, frame_write_reset(out, stream, error))


cdef void h2_out_window(H2Connection *c, uint32_t stream, uint32_t increment) noexcept nogil:
    cdef char *out = h2_out_room(c, FRAME_HEAD + 4)
    if likely(out != NULL):
        h2_out_used(c, frame_write_window(out, stream, increment))


cdef void h2_out_ping(H2Connection *c, bint ack, const char *opaque) noexcept nogil:
    cdef char *out = h2_out_room(c, FRAME_HEAD + 8)
    if likely(out != NULL):
        h2_out_used(c, frame_write_ping(out, ack, opaque))


cdef void h2_out_goaway(H2Connection *c, uint32_t last_stream, uint32_t error) noexcept nogil:
    cdef char *out = h2_out_room(c, FRAME_HEAD + 8)
    if likely(out != NULL):
        h2_out_used(c, frame_write_goaway(out, last_stream, error))


cdef void h2_out_settings_ack(H2Connection *c) noexcept nogil:
    cdef char *out = h2_out_room(c, FRAME_HEAD)
    if likely(out != NULL):
        h2_out_used(c, frame_write_settings_ack(out))


cdef void h2_out_opening(H2Connection *c) noexcept nogil:
    cdef char *begin = h2_out_room(c, PREFACE_LENGTH + FRAME_HEAD + 4 * SETTING_BYTES)
    cdef char *payload
    cdef char *out = begin
    if unlikely(begin == NULL):
        return
    if c.role == H2_CLIENT:
        memcpy(out, frame_preface(), PREFACE_LENGTH)
        out += PREFACE_LENGTH
    payload = out + FRAME_HEAD
    if c.role == H2_CLIENT:
        payload = frame_put_setting(payload, SETTING_ENABLE_PUSH, 0)
    else:
        payload = frame_put_setting(payload, SETTING_MAX_CONCURRENT_STREAMS, c.limits.streams)
        if c.limits.extended_connect:
            payload = frame_put_setting(payload, SETTING_ENABLE_CONNECT_PROTOCOL, 1)
    if c.limits.window != WINDOW_DEFAULT:
        payload = frame_put_setting(payload, SETTING_INITIAL_WINDOW_SIZE, c.limits.window)
    payload = frame_put_setting(
        payload, SETTING_MAX_HEADER_LIST_SIZE, c.limits.head + FIELD_OVERHEAD * c.limits.fields
    )
    frame_put_head(out, <uint32_t>(payload - out) - FRAME_HEAD, FRAME_SETTINGS, 0, 0)
    c.settings_waiting += 1
    h2_out_used(c, <uint32_t>(payload - begin))
    if c.limits.connection_window > WINDOW_DEFAULT:
        h2_out_window(c, 0, c.limits.connection_window - WINDOW_DEFAULT)
        c.receive_window = c.limits.connection_window
