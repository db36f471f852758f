"""The syntax of an authority: `uri-host [":" port]` (RFC 3986 section 3.2, RFC 9110 section 4.2).

Stricter than the grammar where parties are known to differ: no user information, no empty host, no empty port, no
port above 65535, no IPvFuture and no zone identifier. Pure; called by the request parser, later by HTTP/2.
"""
from tulle._fast.base.types cimport uint32_t

cdef bint authority_valid(const char *text, uint32_t length, bint port_required) noexcept nogil
