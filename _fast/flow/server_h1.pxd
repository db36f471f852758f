"""The side that an HTTP/1 request comes from: reads heads and bodies, writes answers, keeps the connection or not.

    idle -> head -> exchange -> idle | lingering -> closed

One exchange at a time; a pipelined request stays in the buffer until its turn. When a connection must end while the
client may still be sending, our FIN goes first and what comes is read and dropped for a while (RFC 9112 section 9.6),
so that no reset overtakes the answer.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport Server, Worker
from tulle._fast.net.system cimport sockaddr

cdef void server_install(Worker *worker) noexcept nogil
# Takes over the descriptor of an accepted connection
cdef void server_accept(
    Worker *worker, uint32_t listener_id, int fd, const sockaddr *address, uint32_t length
) noexcept nogil
# Close when idle, else after the exchange at hand, or the request that is on its way
cdef void server_drain(Server *server) noexcept nogil
cdef void server_close(Server *server, bint reset) noexcept nogil
