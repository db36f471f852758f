"""See `tcp_secure.pxd`."""
from tulle._fast.base.timer cimport timer_set
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.client_h1 cimport (
    client_body, client_bury, client_connected, client_drained, client_keep_session,
)
from tulle._fast.flow.client_tcp cimport tcp_answered
from tulle._fast.flow.server_h1 cimport server_bury, server_connected, server_drained
from tulle._fast.flow.server_tcp cimport tcp_input, tcp_timeout
from tulle._fast.flow.tunnel cimport tunnel_side_done
from tulle._fast.flow.types cimport X_TUNNEL_UP_DONE, Attempt, Exchange, Server, Upstream
from tulle._fast.net.conn cimport (
    CONN_BROKEN, CONN_DONE, CONN_EOF, CONN_HUNG_UP, CONN_READABLE, Conn, conn_fill, conn_rest,
)
from tulle._fast.net.tls cimport tls_of

cdef enum:
    REST_AFTER = 1000000000            # ns without a byte in either direction


# -- memory -----------------------------------------------------------------------------------------------------------

cdef void watch_memory(Conn *conn, uint64_t now) noexcept nogil:
    """The timer of a connection in a tunnel is not used otherwise."""
    if conn.tls != NULL and tls_of(conn).grown and conn.timer.deadline == 0:
        timer_set(&conn.watch.loop.timers, &conn.timer, now + <uint64_t>REST_AFTER)


cdef void watch_both(Exchange *x) noexcept nogil:
    watch_memory(&(<Server *>x.server).conn, x.worker.loop.now)
    if x.attempt.upstream != NULL:
        watch_memory(&x.attempt.upstream.conn, x.worker.loop.now)


cdef void rest_if_idle(Conn *conn, const Exchange *x, uint64_t now) noexcept nogil:
    if x.last_activity + <uint64_t>REST_AFTER <= now:
        conn_rest(conn)
    else:
        timer_set(&conn.watch.loop.timers, &conn.timer, x.last_activity + <uint64_t>REST_AFTER)


# -- the client's side ------------------------------------------------------------------------------------------------

cdef void secure_server_input(Conn *conn) noexcept nogil:
    cdef Server *server = <Server *>conn
    tcp_input(conn)
    if not conn.watch.dead and server.exchange != NULL:
        watch_both(server.exchange)


cdef void secure_server_timeout(Conn *conn, uint64_t now) noexcept nogil:
    cdef Server *server = <Server *>conn
    if server.exchange != NULL:
        rest_if_idle(conn, server.exchange, now)
    else:
        tcp_timeout(conn, now)


# -- the upstream's side ----------------------------------------------------------------------------------------------

cdef void keep_session(Upstream *upstream) noexcept nogil:
    cdef Conn *conn = &upstream.conn
    if conn.state & CONN_EOF or not conn.state & (CONN_READABLE | CONN_HUNG_UP):
        return
    # What is read stays in the buffer, and an end in the state
    upstream.session_kept = conn_fill(conn) != CONN_DONE
    client_keep_session(upstream)


cdef void secure_client_input(Conn *conn) noexcept nogil:
    cdef Upstream *upstream = <Upstream *>conn
    if not upstream.head_done and not tcp_answered(upstream):
        return
    if conn.tls != NULL and not upstream.session_kept:
        keep_session(upstream)
    client_body(upstream)
    if not conn.watch.dead and upstream.attempt != NULL:
        watch_both(upstream.attempt.exchange)


cdef void secure_client_drained(Conn *conn) noexcept nogil:
    cdef Upstream *upstream = <Upstream *>conn
    cdef Attempt *attempt = upstream.attempt
    if attempt != NULL and attempt.body_sent and not conn.state & CONN_BROKEN:
        attempt.blocked = 0
        tunnel_side_done(attempt.exchange, X_TUNNEL_UP_DONE)
        return
    client_drained(conn)
    if not conn.watch.dead and upstream.attempt != NULL:
        watch_both(upstream.attempt.exchange)


cdef void secure_client_timeout(Conn *conn, uint64_t now) noexcept nogil:
    cdef Upstream *upstream = <Upstream *>conn
    if upstream.attempt != NULL:
        rest_if_idle(conn, upstream.attempt.exchange, now)


cdef void tcp_secure_install(Worker *worker) noexcept nogil:
    worker.tcp_secure_server_conn.connected = server_connected
    worker.tcp_secure_server_conn.input = secure_server_input
    worker.tcp_secure_server_conn.drained = server_drained
    worker.tcp_secure_server_conn.timeout = secure_server_timeout
    worker.tcp_secure_server_conn.bury = server_bury
    worker.tcp_secure_client_conn.connected = client_connected
    worker.tcp_secure_client_conn.input = secure_client_input
    worker.tcp_secure_client_conn.drained = secure_client_drained
    worker.tcp_secure_client_conn.timeout = secure_client_timeout
    worker.tcp_secure_client_conn.bury = client_bury
