"""What a TLS ClientHello says in the open: the server's name and the protocols offered (RFC 8446 section 4.1.2).

For connections that are routed without being decrypted, and to tell TLS from anything else. Reads whatever has come so
far and keeps no state: called again with more bytes, it begins anew, and the hello is at most `CLIENT_HELLO_MAX` long.
The hello may be spread over several records (RFC 8446 section 5.1); its bytes are then not in one run, so a name or a
list that crosses a record's border is given as absent. Nothing is copied: offsets are into the bytes given.

A name is one host_name of letters, digits, hyphens, underscores and dots (RFC 6066 section 3); any other is none.
"""
from tulle._fast.base.types cimport uint8_t, uint32_t

cdef enum:
    CLIENT_HELLO_MAX = 16384           # bytes; a longer one is no hello that we wait for

cdef enum HelloResult:
    HELLO_DONE = 0
    HELLO_MORE = 1                     # it may become one
    HELLO_OTHER = -1                   # this is no ClientHello

cdef struct ClientHello:
    uint32_t name                      # offset of the server's name; length 0: none
    uint32_t name_length
    uint32_t alpn                      # offset of the list of protocols, each with its length before it (RFC 7301)
    uint32_t alpn_length

cdef int client_hello_read(const char *data, uint32_t length, ClientHello *hello) noexcept nogil
# Whether that protocol is offered
cdef bint client_hello_offers(
    const char *data, const ClientHello *hello, const char *name, uint8_t length
) noexcept nogil
