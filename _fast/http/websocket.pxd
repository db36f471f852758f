"""What WebSocket needs in HTTP/1 and not in HTTP/2 (RFC 6455 section 4.1, RFC 8441 section 5)."""
from tulle._fast.base.types cimport uint8_t, uint32_t, uint64_t
from tulle._fast.http.octet cimport octets_same

cdef enum:
    WEBSOCKET_KEY = 24                 # bytes
    WEBSOCKET_ACCEPT = 28

cdef inline bint websocket_named(const char *text, uint32_t length) noexcept nogil:
    """Whether an Upgrade or a `:protocol` says "websocket", in any case of letters (RFC 6455 section 4.2.1)."""
    return length == 9 and octets_same(<const uint8_t *>text, b"websocket", 9)

# A value of Sec-WebSocket-Key: 16 octets that nobody has foreseen, in base64
cdef void websocket_key(char *out, uint64_t first, uint64_t second) noexcept nogil
# The value of Sec-WebSocket-Accept that answers such a key (RFC 6455 section 4.2.2)
cdef void websocket_accept(char *out, const char *key) noexcept nogil
