"""The side that an HTTP/1 request is sent to: connects, writes heads and bodies, reads answers, goes back to the pool.

    connecting -> busy -> idle -> busy ... -> closed

It reports to the attempt that the connection belongs to. An idle connection that shows any sign of life is closed.
"""
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.types cimport Attempt, Upstream, Worker
from tulle._fast.net.conn cimport Conn

# A connection on its way: 0, or -1 when it failed at once. HTTP/2 begins like this too
cdef int client_connect(Worker *worker, Attempt *attempt) noexcept nogil
cdef void client_close(Upstream *upstream) noexcept nogil
cdef void client_install(Worker *worker) noexcept nogil

# What other protocols on such a connection do alike
cdef void client_begin(Upstream *upstream) noexcept nogil
cdef void client_body(Upstream *upstream) noexcept nogil
cdef void client_connected(Conn *conn, int error) noexcept nogil
cdef void client_drained(Conn *conn) noexcept nogil
# What TLS has to say of a connection that has failed goes into the answer and the log
cdef void client_note_failure(const Upstream *upstream, Attempt *attempt) noexcept nogil
# The session, for the next connection with the same host
cdef void client_keep_session(Upstream *upstream) noexcept nogil
cdef void client_timeout(Conn *conn, uint64_t now) noexcept nogil
cdef void client_bury(Conn *conn) noexcept nogil
cdef Conn *client_plain_sink(Attempt *attempt) noexcept nogil
cdef void client_resume(Attempt *attempt) noexcept nogil
cdef void client_cancel(Attempt *attempt) noexcept nogil
