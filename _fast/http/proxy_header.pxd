"""The PROXY protocol, versions 1 and 2: who a connection really comes from, said by the proxy before in a few bytes.

Read from the first bytes of a connection, before anything else of it is looked at, and written as the first of one.
The sender of a header is believed, so whoever may connect to a listener that reads it can claim any address. Strict:
a header that is malformed ends the connection, since what follows it cannot be told from it. Extensions (TLVs) of
version 2 are skipped. Offsets and sizes are bytes; addresses are in network order, ports are numbers.
"""
from tulle._fast.base.types cimport uint8_t, uint16_t, uint32_t

cdef enum:
    PROXY_HEADER_MAX = 4096            # bytes of a header that is read
    PROXY_HEADER_ROOM = 108            # bytes that a header may take that is written

cdef enum ProxyHeaderResult:
    PROXY_HEADER_DONE = 0
    PROXY_HEADER_MORE = 1              # it may become one
    PROXY_HEADER_NONE = -1             # the connection begins with something else
    PROXY_HEADER_BAD = -2

cdef struct ProxyHeader:
    uint32_t length                    # of the header: what follows is the connection's own
    uint8_t family                     # 4, 6, or 0: it tells no address (LOCAL, UNKNOWN, a Unix socket)
    uint8_t source[16]
    uint8_t destination[16]
    uint16_t source_port
    uint16_t destination_port

cdef int proxy_header_read(const char *data, uint32_t length, ProxyHeader *header) noexcept nogil
# The bytes written to `out`, which has PROXY_HEADER_ROOM
cdef uint32_t proxy_header_write(char *out, const ProxyHeader *header, int version) noexcept nogil
