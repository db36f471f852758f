"""The body of an HTTP/1 request, taken from the connection piece by piece (RFC 9112 section 6)."""
from tulle._fast.flow.types cimport Exchange, Server
from tulle._fast.http.message cimport Message

cdef void server_body_begin(Server *server, const Message *message) noexcept nogil
# ServerOps.read_body
cdef int server_read_body(Exchange *x, const char **data, size_t *length) noexcept nogil
