"""What the first bytes of a connection tell: TLS, HTTP/2, HTTP/1, or anything else.

Reads whatever has come so far and keeps no state: called again with more bytes, it begins anew. At most DETECTION_BYTES
are needed. TLS is a record with the beginning of a ClientHello (RFC 8446 section 4.1.2); HTTP/2 its whole preface
(RFC 9113 section 3.4); HTTP/1 a method in upper case, a space, and what may begin a target (RFC 9112 section 3): a
request line without a version, or one with a method in lower case, is not taken for it. What is found of a connection,
in the open and within TLS, is one number, which `detected_word` puts into words for the log.
"""
from tulle._fast.base.types cimport uint8_t, uint16_t, uint32_t
from tulle._fast.http.client_hello cimport ClientHello

cdef enum:
    DETECTION_BYTES = 26               # a method of 24 letters, a space, and a byte of the target
    DETECTED_ROOM = 32                 # bytes of a word

cdef enum Detected:
    DETECTED_MORE = 0                  # not to be told yet
    DETECTED_HTTP1
    DETECTED_HTTP2
    DETECTED_TLS
    DETECTED_TCP                       # none of these
    DETECTED_SILENT                    # nothing was said in time: the server is the one that speaks first
    DETECTED_PORT                      # a port that is known not to be asked

cdef enum Offered:                     # first of the protocols that a ClientHello offers (ALPN)
    OFFERED_NOTHING = 0
    OFFERED_HTTP1
    OFFERED_HTTP2
    OFFERED_OTHER

cdef int detect(const char *data, uint32_t length) noexcept nogil
cdef int detect_offer(const char *data, const ClientHello *hello) noexcept nogil

cdef inline uint16_t detected_pack(int plain, int inside, int offered) noexcept nogil:
    return <uint16_t>(plain | inside << 4 | offered << 8)

# The bytes written to `out`, which has DETECTED_ROOM: "http/1", "tls:h2" passed on, "tls+tcp" where TLS ends here
cdef uint32_t detected_word(uint16_t detected, char *out) noexcept nogil
