"""Which fields a trailer section may not hold (RFC 9110 section 6.5.1)."""
from tulle._fast.base.types cimport uint32_t

# Framing, routing, authentication, request modifiers, content format, and what we assert ourselves
cdef bint trailer_forbidden(int name_id, const char *name, uint32_t length) noexcept nogil
