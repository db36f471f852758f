"""The body of an HTTP/1 request, taken from the connection piece by piece (RFC 9112 section 6)."""
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.types cimport Exchange, Server
from tulle._fast.http.message cimport Message
from tulle._fast.net.conn cimport Conn

cdef void server_body_begin(Server *server, const Message *message) noexcept nogil
# ServerOps.read_body
cdef int server_read_body(Exchange *x, const char **data, size_t *length) noexcept nogil
# ServerOps.plain_source
cdef Conn *server_plain_source(Exchange *x, uint64_t **remaining) noexcept nogil
