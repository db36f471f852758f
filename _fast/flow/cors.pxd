"""Cross-origin resource sharing, as an exchange meets it (WHATWG Fetch, section "CORS protocol").

A preflight is answered here and never reaches a backend. Every other answer, from upstream or our own, gets the fields
that the route's policy says, in place of those that came with it.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport Exchange

# Whether it is a preflight
cdef bint cors_asks(Exchange *x) noexcept nogil
# True: it was one, and is answered
cdef bint cors_preflight(Exchange *x) noexcept nogil
cdef void cors_fields(Exchange *x, uint32_t *count) noexcept nogil
