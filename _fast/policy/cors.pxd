"""Cross-origin resource sharing (WHATWG Fetch, "CORS protocol"): what a route says, and which origins it allows.

Origins are compared byte by byte, as browsers write them: in lower case, without a port that the scheme implies. A
wildcard stands for one label or more at the beginning of the host.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.image cimport Image, Span, Text

cdef struct OriginEntry:               # a wildcard: what stands before and behind it; else all of it, and no `tail`
    Text head
    Text tail

cdef struct CorsEntry:
    Span origins                       # OriginEntry
    uint32_t any_origin                # 1: "*"
    uint32_t credentials               # 1: allowed; never with any_origin
    Text methods                       # values of fields as they are sent; length 0: none is sent
    Text headers
    Text exposed
    Text max_age                       # seconds

cdef bint cors_allows(const Image *image, const CorsEntry *cors, const char *origin, uint32_t length) noexcept nogil
