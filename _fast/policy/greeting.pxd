"""What a listener asks of a connection before its own bytes begin: a PROXY header, and what it is going to speak.

In the table image; written by `greeting_writer`, read by flow/greeting.
"""
from tulle._fast.base.types cimport uint8_t, uint32_t, uint64_t
from tulle._fast.policy.image cimport Image, Span

cdef enum ProxyMode:
    PROXY_OFF = 0
    PROXY_OPTIONAL
    PROXY_REQUIRED

cdef struct NetworkEntry:
    uint8_t address[16]                # one of IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2)
    uint32_t bits
    uint32_t reserved

cdef struct PortEntry:
    uint32_t port
    uint32_t reserved
    uint64_t silence                   # in place of the listener's

cdef struct GreetingEntry:
    uint32_t proxy                     # ProxyMode
    uint32_t reserved
    uint64_t header_timeout            # for the PROXY header, from accept
    uint64_t silence                   # after which the server is taken to speak first; 0: bytes are not looked at
    Span sources                       # NetworkEntry: who may send a header; none: anybody
    Span ports                         # PortEntry

cdef bint greeting_believes(const Image *image, const GreetingEntry *greeting, const uint8_t *address) noexcept nogil
cdef uint64_t greeting_silence(const Image *image, const GreetingEntry *greeting, uint32_t port) noexcept nogil
