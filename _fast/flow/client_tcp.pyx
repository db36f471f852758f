"""See `client_tcp.pxd`."""
from tulle._fast.base.types cimport likely, uint32_t, unlikely
from tulle._fast.flow.attempt cimport attempt_on_data, attempt_on_head
from tulle._fast.flow.client_h1 cimport (
    client_begin, client_body, client_bury, client_cancel, client_connected, client_drained,
    client_plain_sink, client_resume, client_timeout,
)
from tulle._fast.flow.types cimport SEND_END, SEND_HEAD, X_SERVER_BLOCKED, X_TUNNEL, Attempt, Exchange, Server
from tulle._fast.http.h1_parse cimport h1_message_init
from tulle._fast.http.message cimport FRAMING_TUNNEL, Message
from tulle._fast.net.conn cimport (
    CONN_BLOCKED, CONN_DONE, CONN_ERROR, CONN_HUNG_UP, Conn, conn_pause, conn_send, conn_shutdown,
)
from tulle._fast.net.loop cimport watch_make_ready
from tulle._fast.net.system cimport iovec

cdef enum:
    CONNECTED = 200                    # what the policies take a connection that came about for


cdef void tcp_open(Upstream *upstream, Exchange *x) noexcept nogil:
    """Connected: the exchange is a tunnel, and the connection learns of the rest by itself."""
    cdef Server *server = <Server *>x.server
    upstream.conn.ops = &upstream.worker.tcp_client_conn
    if upstream.conn.tls != NULL or server.conn.tls != NULL:
        upstream.conn.ops = &upstream.worker.tcp_secure_client_conn
        server.conn.ops = &upstream.worker.tcp_secure_server_conn
    client_begin(upstream)
    upstream.reusable = 0
    upstream.framing = FRAMING_TUNNEL
    x.flags |= X_TUNNEL
    x.request_deadline = 0
    upstream.worker.lane.header.tunnels_active += 1
    # What the attempt is told next must not be told from within its own call
    watch_make_ready(&upstream.conn.watch)


cdef int tcp_client_send(Attempt *attempt, uint32_t flags, const char *data, size_t length) noexcept nogil:
    cdef Upstream *upstream = attempt.upstream
    cdef iovec piece
    cdef int result
    if flags & SEND_HEAD:
        tcp_open(upstream, attempt.exchange)
    piece.iov_base = <void *>data
    piece.iov_len = length
    result = conn_send(&upstream.conn, &piece, 1)
    attempt.delivered |= length > 0
    if unlikely(result == CONN_ERROR):
        upstream.conn.state |= CONN_HUNG_UP
        watch_make_ready(&upstream.conn.watch)
    elif flags & SEND_END:
        return tcp_send_end(upstream)
    return result


cdef int tcp_send_end(Upstream *upstream) noexcept nogil:
    """Behind what is queued: a close_notify, or before the first byte a PROXY header."""
    conn_shutdown(&upstream.conn)
    if likely(upstream.conn.output == NULL):
        return CONN_DONE
    upstream.conn.ops = &upstream.worker.tcp_secure_client_conn
    return CONN_BLOCKED


cdef bint tcp_answered(Upstream *upstream) noexcept nogil:
    cdef Exchange *x = upstream.attempt.exchange
    cdef Message message
    h1_message_init(&message)
    message.base = b""
    message.status = CONNECTED
    message.framing = FRAMING_TUNNEL
    upstream.head_done = 1
    attempt_on_head(upstream.attempt, &message)
    x.status = 0
    if not attempt_on_data(x, SEND_HEAD, NULL, 0):
        return False
    if unlikely(x.flags & X_SERVER_BLOCKED):
        conn_pause(&upstream.conn)
        return False
    return True


cdef void tcp_client_input(Conn *conn) noexcept nogil:
    cdef Upstream *upstream = <Upstream *>conn
    if not upstream.head_done and not tcp_answered(upstream):
        return
    client_body(upstream)


cdef void tcp_client_install(Worker *worker) noexcept nogil:
    worker.tcp_client_conn.connected = client_connected
    worker.tcp_client_conn.input = tcp_client_input
    worker.tcp_client_conn.drained = client_drained
    worker.tcp_client_conn.timeout = client_timeout
    worker.tcp_client_conn.bury = client_bury
    worker.tcp_client_ops.send = tcp_client_send
    worker.tcp_client_ops.plain_sink = client_plain_sink
    worker.tcp_client_ops.resume = client_resume
    worker.tcp_client_ops.cancel = client_cancel
