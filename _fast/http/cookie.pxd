"""Cookies of a request (RFC 6265 section 4.2): pairs with a semicolon between them, in one field or in several."""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.message cimport Message

cdef struct CookiePlace:               # how far a search has come; zeroed to begin one
    uint32_t index                     # of the field after this
    uint32_t left                      # bytes of it that were not looked at
    const char *rest

# The value of the next cookie of that name, without surrounding quotes; it may be empty. Names are compared with case
cdef bint cookie_next(
    const Message *message, const char *name, uint32_t name_length, CookiePlace *place, const char **value,
    uint32_t *length
) noexcept nogil
# Of the first one
cdef bint cookie_find(
    const Message *message, const char *name, uint32_t name_length, const char **value, uint32_t *length
) noexcept nogil
