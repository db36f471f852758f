"""See `detection.pxd`."""
from libc.stdio cimport snprintf
from libc.string cimport memcmp

from tulle._fast.http.client_hello cimport HELLO_OTHER, client_hello_read
from tulle._fast.http.h2_frame cimport PREFACE_LENGTH, frame_preface
from tulle._fast.http.octet cimport OCTET_HOST, octet_is

cdef enum:
    METHOD_MAX = 24
    HELLO_LEAST = 6                    # a record's head and the first byte in it

cdef extern from *:
    """
    static const char *const tulle_detected_words[] = {
        "", "http/1", "http/2", "tls", "tcp", "silent", "port",
    };
    static const char *const tulle_offered_words[] = { "", ":http/1.1", ":h2", ":other" };
    """
    const char *const *tulle_detected_words
    const char *const *tulle_offered_words


cdef bint begins_target(const char *method, uint32_t length, char first) noexcept nogil:
    if length == 7 and memcmp(method, b"CONNECT", 7) == 0:
        return first == c'[' or octet_is(<uint8_t>first, OCTET_HOST)
    return first == c'/' or first == c'*' or first == c'h' or first == c'H'


cdef int detect_request_line(const char *data, uint32_t length) noexcept nogil:
    cdef uint32_t index = 0
    while index < length and (c'A' <= data[index] <= c'Z' or (index > 0 and data[index] == c'-')):
        index += 1
    if index > METHOD_MAX:
        return DETECTED_TCP
    if index == length:
        return DETECTED_MORE
    if index == 0 or data[index] != c' ':
        return DETECTED_TCP
    if index + 1 == length:
        return DETECTED_MORE
    return DETECTED_HTTP1 if begins_target(data, index, data[index + 1]) else DETECTED_TCP


cdef int detect(const char *data, uint32_t length) noexcept nogil:
    cdef uint32_t shared = length if length < PREFACE_LENGTH else <uint32_t>PREFACE_LENGTH
    cdef ClientHello hello
    if length == 0:
        return DETECTED_MORE
    if data[0] == 22:
        if client_hello_read(data, length, &hello) == HELLO_OTHER:
            return DETECTED_TCP
        return DETECTED_TLS if length >= HELLO_LEAST else DETECTED_MORE
    if memcmp(data, frame_preface(), shared) == 0:
        return DETECTED_HTTP2 if length >= PREFACE_LENGTH else DETECTED_MORE
    return detect_request_line(data, length)


cdef int detect_offer(const char *data, const ClientHello *hello) noexcept nogil:
    cdef const char *first = data + hello.alpn + 1
    cdef uint32_t length
    if hello.alpn_length == 0:
        return OFFERED_NOTHING
    length = <uint8_t>data[hello.alpn]
    if length == 2 and memcmp(first, b"h2", 2) == 0:
        return OFFERED_HTTP2
    if length == 8 and memcmp(first, b"http/1.1", 8) == 0:
        return OFFERED_HTTP1
    return OFFERED_OTHER


cdef uint32_t detected_word(uint16_t detected, char *out) noexcept nogil:
    cdef uint32_t inside = detected >> 4 & 15
    return <uint32_t>snprintf(
        out, DETECTED_ROOM, b"%s%s%s%s", tulle_detected_words[detected & 15],
        tulle_offered_words[detected >> 8], b"+" if inside else b"", tulle_detected_words[inside],
    )
