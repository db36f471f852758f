"""See `secure.pxd`."""
from libc.string cimport strlen

from tulle._fast.base.timer cimport timer_set
from tulle._fast.base.types cimport uint8_t
from tulle._fast.flow.table cimport table_tls
from tulle._fast.net.conn cimport conn_write
from tulle._fast.net.system cimport iovec
from tulle._fast.net.tls cimport (
    TLS_FAILED_CLOSED, TLS_FAILED_DISPLACED, TLS_FAILED_PLAIN, tls_accept, tls_drop, tls_of,
)

cdef extern from *:
    """
    #define TULLE_PLAIN_REFUSAL "HTTP/1.1 400 Bad Request\\r\\nconnection: close\\r\\n" \\
        "content-type: text/plain; charset=utf-8\\r\\ncontent-length: 57\\r\\n" \\
        "proxy-status: tulle; error=tls_protocol_error\\r\\n\\r\\n" \\
        "this port speaks TLS: use https:// in place of http:// .\\n"
    """
    const char *PLAIN_REFUSAL "TULLE_PLAIN_REFUSAL"


cdef bint secure_accept(Worker *worker, Conn *conn, const ListenerEntry *listener, Table *table) noexcept nogil:
    timer_set(&worker.loop.timers, &conn.timer, worker.loop.now + listener.handshake_timeout)
    return tls_accept(&worker.tls, conn, table_tls(table, listener.tls)) == 0


cdef bint secure_refuse(Worker *worker, Conn *conn) noexcept nogil:
    cdef uint8_t failure = tls_of(conn).failure
    cdef iovec piece
    if failure == TLS_FAILED_CLOSED or failure == TLS_FAILED_DISPLACED:
        return False
    # An alert on its way would be lost with a reset for what nobody has read
    tls_drop(conn)
    if failure == TLS_FAILED_PLAIN:
        worker.lane.header.protocol_errors_downstream += 1
        piece.iov_base = <void *>PLAIN_REFUSAL
        piece.iov_len = strlen(PLAIN_REFUSAL)
        conn_write(conn, &piece, 1)
    return True
