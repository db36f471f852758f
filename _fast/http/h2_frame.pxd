"""HTTP/2 frames (RFC 9113 sections 4 and 6): their heads, what each type may look like, and how they are written.

A frame is judged by its head alone in `frame_check`, before any of its payload is looked at; what only the payload
tells (padding, increments, values of settings) is judged where it is read. Every rule answers with the error that the
RFC wants, for the connection or for the stream alone. Nothing here has a state. Called by `h2_connection`.
"""
from libc.string cimport memcpy
from tulle._fast.base.types cimport uint8_t, uint32_t, uint64_t

cdef enum:
    FRAME_HEAD = 9                     # bytes
    FRAME_PAYLOAD_LEAST = 16384        # what every endpoint must take, and all that ours take
    FRAME_PAYLOAD_MOST = 16777215
    PREFACE_LENGTH = 24
    WINDOW_MOST = 2147483647

cdef enum FrameType:                   # RFC 9113 section 6
    FRAME_DATA = 0
    FRAME_HEADERS = 1
    FRAME_PRIORITY = 2
    FRAME_RST_STREAM = 3
    FRAME_SETTINGS = 4
    FRAME_PUSH_PROMISE = 5
    FRAME_PING = 6
    FRAME_GOAWAY = 7
    FRAME_WINDOW_UPDATE = 8
    FRAME_CONTINUATION = 9

cdef enum FrameFlags:
    FRAME_ACK = 1
    FRAME_END_STREAM = 1
    FRAME_END_HEADERS = 4
    FRAME_PADDED = 8
    FRAME_PRIORITISED = 32

cdef enum H2Error:                     # RFC 9113 section 7
    H2_NO_ERROR = 0
    H2_PROTOCOL_ERROR = 1
    H2_INTERNAL_ERROR = 2
    H2_FLOW_CONTROL_ERROR = 3
    H2_SETTINGS_TIMEOUT = 4
    H2_STREAM_CLOSED = 5
    H2_FRAME_SIZE_ERROR = 6
    H2_REFUSED_STREAM = 7
    H2_CANCEL = 8
    H2_COMPRESSION_ERROR = 9
    H2_CONNECT_ERROR = 10
    H2_ENHANCE_YOUR_CALM = 11
    H2_INADEQUATE_SECURITY = 12
    H2_HTTP_1_1_REQUIRED = 13

cdef enum SettingId:                   # RFC 9113 section 6.5.2, RFC 8441 section 3
    SETTING_HEADER_TABLE_SIZE = 1
    SETTING_ENABLE_PUSH = 2
    SETTING_MAX_CONCURRENT_STREAMS = 3
    SETTING_INITIAL_WINDOW_SIZE = 4
    SETTING_MAX_FRAME_SIZE = 5
    SETTING_MAX_HEADER_LIST_SIZE = 6
    SETTING_ENABLE_CONNECT_PROTOCOL = 8

cdef struct Frame:
    uint32_t length                    # of the payload
    uint32_t stream
    uint8_t type                       # FrameType, or one that we do not know
    uint8_t flags

cdef inline uint32_t frame_number(const char *at) noexcept nogil:
    """Four octets, the most significant first."""
    cdef const uint8_t *octet = <const uint8_t *>at
    return <uint32_t>octet[0] << 24 | <uint32_t>octet[1] << 16 | <uint32_t>octet[2] << 8 | octet[3]

cdef inline char *frame_put_number(char *out, uint32_t number) noexcept nogil:
    out[0] = <char>(number >> 24)
    out[1] = <char>(number >> 16 & 0xff)
    out[2] = <char>(number >> 8 & 0xff)
    out[3] = <char>(number & 0xff)
    return out + 4

cdef inline void frame_read_head(Frame *frame, const char *at) noexcept nogil:
    """Of FRAME_HEAD bytes. The reserved bit before the stream is to be ignored (section 4.1)."""
    cdef uint32_t first = frame_number(at)
    frame.length = first >> 8
    frame.type = <uint8_t>(first & 0xff)
    frame.flags = <uint8_t>at[4]
    frame.stream = frame_number(at + 5) & WINDOW_MOST

cdef inline char *frame_put_head(char *out, uint32_t length, int type, int flags, uint32_t stream) noexcept nogil:
    """Answers where the payload begins."""
    frame_put_number(out, length << 8 | <uint32_t>type)
    out[4] = <char>flags
    return frame_put_number(out + 5, stream)

# What is wrong with a frame of that head: an H2Error of the connection, minus one of the stream, or 0
cdef int frame_check(const Frame *frame, uint32_t payload_most) noexcept nogil
# How much of a payload is before (`*before`) and behind (`*behind`) what the frame is about, from its first byte if
# it is padded: pad length, priority fields, padding. False: there is more padding than payload
cdef bint frame_margins(const Frame *frame, uint8_t pad_length, uint32_t *before, uint32_t *behind) noexcept nogil

# Each answers the number of bytes written: FRAME_HEAD and the payload
cdef uint32_t frame_write_reset(char *out, uint32_t stream, uint32_t error) noexcept nogil
cdef uint32_t frame_write_window(char *out, uint32_t stream, uint32_t increment) noexcept nogil
cdef uint32_t frame_write_ping(char *out, bint ack, const char *opaque) noexcept nogil
cdef uint32_t frame_write_goaway(char *out, uint32_t last_stream, uint32_t error) noexcept nogil
cdef uint32_t frame_write_settings_ack(char *out) noexcept nogil
cdef char *frame_put_setting(char *out, uint32_t setting, uint32_t value) noexcept nogil
# The octets that a client begins with (section 3.4)
cdef const char *frame_preface() noexcept nogil
