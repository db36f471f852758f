"""Cookies of a request (RFC 6265 section 4.2): pairs with a semicolon between them, in one field or in several."""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.message cimport Message

# The value of the first cookie of that name, without surrounding quotes; it may be empty. Names are compared with case
cdef bint cookie_find(
    const Message *message, const char *name, uint32_t name_length, const char **value, uint32_t *length
) noexcept nogil
