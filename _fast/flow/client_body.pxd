"""The body of an HTTP/1 response, taken from the connection piece by piece (RFC 9112 section 6)."""
from tulle._fast.flow.types cimport Upstream
from tulle._fast.http.message cimport Message

cdef void client_body_begin(Upstream *upstream, const Message *message) noexcept nogil
# The next piece: BodyResult. With `refill` 0 only what is in the buffer already
cdef int client_read_body(Upstream *upstream, bint refill, const char **data, size_t *length) noexcept nogil
