"""The side that an HTTP/1 request comes from: reads heads and bodies, writes answers, keeps the connection or not.

    idle -> head -> exchange -> idle | lingering -> closed

One exchange at a time; a pipelined request stays in the buffer until its turn. When a connection must end while the
client may still be sending, our FIN goes first and what comes is read and dropped for a while (RFC 9112 section 9.6),
so that no reset overtakes the answer.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport Exchange, Server, Worker
from tulle._fast.net.conn cimport Conn
from tulle._fast.net.system cimport sockaddr
from tulle._fast.policy.image cimport ListenerEntry

cdef void server_install(Worker *worker) noexcept nogil
# Takes over the descriptor of an accepted connection; NULL when it had to be closed
cdef Server *server_accept(
    Worker *worker, uint32_t listener_id, int fd, const sockaddr *address, uint32_t length
) noexcept nogil
# Close when idle, else after the exchange at hand, or the request that is on its way
cdef void server_drain(Server *server) noexcept nogil
cdef void server_close(Server *server, bint reset) noexcept nogil

# The time begins that it has for its first request
cdef void server_listen(Server *server, const ListenerEntry *listener) noexcept nogil

# What other protocols on such a connection do alike
cdef void server_connected(Conn *conn, int error) noexcept nogil
cdef void server_input(Conn *conn) noexcept nogil
cdef void server_drained(Conn *conn) noexcept nogil
cdef void server_bury(Conn *conn) noexcept nogil
cdef void server_linger(Server *server) noexcept nogil
cdef Conn *server_plain_sink(Exchange *x) noexcept nogil
