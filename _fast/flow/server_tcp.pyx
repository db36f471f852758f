"""See `server_tcp.pxd`."""
from tulle._fast.base.buf cimport buf_ref
from tulle._fast.base.slab cimport slab_get, slab_put
from tulle._fast.base.timer cimport timer_clear
from tulle._fast.base.types cimport likely, uint8_t, uint16_t, uint32_t, uint64_t, unlikely
from tulle._fast.flow.exchange cimport exchange_new, exchange_refuse, exchange_run
from tulle._fast.flow.finish cimport exchange_finish
from tulle._fast.flow.interception cimport interception_routed
from tulle._fast.flow.overload cimport ADMITTED
from tulle._fast.flow.server_body cimport server_plain_source, server_read_body
from tulle._fast.flow.server_h1 cimport (
    server_bury, server_close, server_connected, server_drained, server_input, server_linger, server_plain_sink,
)
from tulle._fast.flow.server_peer cimport server_local_address, server_meant, server_name_peer
from tulle._fast.flow.types cimport (
    SEND_END, X_RAW, X_REQUEST_READ, X_RESPONSE_ENDED, Exchange,
)
from tulle._fast.base.shared cimport FLAG_OM
from tulle._fast.http.client_hello cimport HELLO_DONE, HELLO_MORE, ClientHello, client_hello_read
from tulle._fast.http.detection cimport DETECTED_TLS, detect_offer, detected_pack
from tulle._fast.http.h1_parse cimport h1_message_init
from tulle._fast.http.message cimport FRAMING_TUNNEL, METHOD_OTHER, Message
from tulle._fast.http.octet cimport OCTET_HOST, octet_is
from tulle._fast.net.conn cimport (
    CONN_BLOCKED, CONN_BROKEN, CONN_DATA, CONN_DONE, CONN_END, CONN_ERROR, CONN_FULL, CONN_HANDSHAKE, CONN_HUNG_UP,
    CONN_READABLE, Conn, conn_available, conn_data, conn_fill, conn_send, conn_shutdown,
)
from tulle._fast.net.loop cimport watch_make_ready
from tulle._fast.net.system cimport iovec
from tulle._fast.net.tls cimport TLS_FAILED_PLAIN, tls_of, tls_server_name, tls_timed_out
from tulle._fast.policy.image cimport TableEntry, image_at


# -- naming -----------------------------------------------------------------------------------------------------------

cdef bint goes_by_name(const Image *image, const ListenerEntry *listener) noexcept nogil:
    cdef const TableEntry *table = <const TableEntry *>image_at(image, listener.table)
    return table.hosts != 0 or table.wildcards != 0


cdef void tcp_begin_named(Server *server) noexcept nogil:
    server.conn.ops = &server.worker.tcp_server_conn


cdef void tcp_begin_unnamed(Server *server) noexcept nogil:
    server.conn.ops = &server.worker.tcp_server_conn
    tcp_route(server, NULL)


cdef void tcp_begin(Server *server, const Image *image, const ListenerEntry *listener) noexcept nogil:
    if server.conn.tls != NULL or (
        goes_by_name(image, listener) and not interception_routed(server, image, listener)
    ):
        tcp_begin_named(server)
    else:
        tcp_begin_unnamed(server)


cdef void tcp_name(Server *server) noexcept nogil:
    """Read until the ClientHello is whole, or the connection turns out to begin with something else."""
    cdef Conn *conn = &server.conn
    cdef ClientHello hello
    cdef int result = CONN_DATA
    cdef int found = HELLO_MORE
    while found == HELLO_MORE and result == CONN_DATA and conn.state & (CONN_READABLE | CONN_HUNG_UP):
        result = conn_fill(conn)
        if conn_available(conn) > 0:
            found = client_hello_read(conn_data(conn), conn_available(conn), &hello)
    if result == CONN_ERROR or (result == CONN_END and found == HELLO_MORE):
        server_close(server, False)
    elif found != HELLO_MORE or result == CONN_FULL:
        if found == HELLO_DONE and server.detected != 0:
            server.detected = detected_pack(DETECTED_TLS, 0, detect_offer(conn_data(conn), &hello))
        tcp_route(server, &hello if found == HELLO_DONE else NULL)


cdef void tcp_connected(Conn *conn, int error) noexcept nogil:
    """The handshake is over. A client that speaks plain HTTP gets no answer in it: nothing here is of HTTP."""
    cdef Server *server = <Server *>conn
    if likely(error == 0):
        tcp_route(server, NULL)
    elif tls_of(conn).failure == TLS_FAILED_PLAIN:
        server.worker.lane.header.protocol_errors_downstream += 1
        server_close(server, True)
    else:
        server_connected(conn, error)


# -- the exchange -----------------------------------------------------------------------------------------------------

cdef uint32_t host_length(const char *name) noexcept nogil:
    """0: it is no name of a host (as in `http/client_hello`)."""
    cdef uint32_t length = 0
    while name[length] != 0:
        if not octet_is(<uint8_t>name[length], OCTET_HOST):
            return 0
        length += 1
    return length


cdef void take_host(Server *server, Message *message, const ClientHello *hello) noexcept nogil:
    """What the client has asked for (SNI): in the handshake that was ours, or in the hello that is passed on."""
    cdef const char *name = NULL
    message.base = b""
    if unlikely(server.conn.tls != NULL):
        name = tls_server_name(&server.conn)
        if name != NULL:
            message.base = name
            message.authority = 0
            message.authority_length = host_length(name)
        return
    if server.conn.input != NULL:
        message.base = conn_data(&server.conn)
    if hello != NULL:
        message.authority = hello.name
        message.authority_length = hello.name_length


cdef void tcp_route(Server *server, const ClientHello *hello) noexcept nogil:
    cdef Worker *worker = server.worker
    cdef Message *message = <Message *>slab_get(&worker.messages_slab)
    cdef Exchange *x
    if message == NULL:
        server_close(server, True)
        return
    h1_message_init(message)
    message.method = METHOD_OTHER
    message.framing = FRAMING_TUNNEL
    take_host(server, message, hello)
    x = exchange_new(
        worker, server, &worker.tcp_server_ops, server.listener_id, message,
        buf_ref(server.conn.input) if server.conn.input != NULL else NULL, worker.loop.now,
    )
    if unlikely(x == NULL):
        slab_put(&worker.messages_slab, message)
        if server.conn.input != NULL:
            server.conn.input.refs -= 1
        server_close(server, True)
        return
    x.flags |= X_RAW
    server_name_peer(server, x)
    server.exchange = x
    server.requests += 1
    server.framing = FRAMING_TUNNEL
    server.until_close = 1
    timer_clear(&server.conn.timer)
    if unlikely(server.admitted != ADMITTED):
        exchange_refuse(x, 503, FLAG_OM, NULL)
        return
    exchange_run(x)


cdef void tcp_input(Conn *conn) noexcept nogil:
    cdef Server *server = <Server *>conn
    if unlikely(server.exchange == NULL and not server.lingering):
        tcp_name(server)
    else:
        server_input(conn)


cdef void tcp_timeout(Conn *conn, uint64_t now) noexcept nogil:
    """The end of lingering; or who connected says nothing: its server may be the one that speaks first.

    A handshake has to be over by then.
    """
    cdef Server *server = <Server *>conn
    if server.exchange != NULL:
        return
    if conn.state & CONN_HANDSHAKE:
        tls_timed_out(conn)
        server_close(server, False)
    elif server.lingering or server.closing:
        server_close(server, False)
    else:
        tcp_route(server, NULL)


# -- what the exchange asks -------------------------------------------------------------------------------------------

cdef int tcp_send(Exchange *x, uint32_t flags, const char *data, size_t length) noexcept nogil:
    cdef Server *server = <Server *>x.server
    cdef iovec piece
    if unlikely(flags & SEND_END):
        return tcp_send_end(&server.conn)
    piece.iov_base = <void *>data
    piece.iov_len = length
    return conn_send(&server.conn, &piece, 1)


cdef int tcp_send_end(Conn *conn) noexcept nogil:
    """It comes without bytes, and again when the queue is empty: until then a close_notify may be in there."""
    if conn.state & CONN_BROKEN:
        return CONN_ERROR
    conn_shutdown(conn)
    return CONN_BLOCKED if conn.output != NULL else CONN_DONE


cdef int tcp_informational(Exchange *x, const Message *message) noexcept nogil:
    return CONN_DONE


cdef int tcp_reply(Exchange *x, uint16_t status, uint32_t extras, const char *body, size_t length) noexcept nogil:
    x.status = 0
    x.flags |= X_RESPONSE_ENDED
    exchange_finish(x, False, True)
    return CONN_DONE


cdef void tcp_finished(Exchange *x, bint keep, bint cut) noexcept nogil:
    cdef Server *server = <Server *>x.server
    server.exchange = NULL
    if cut:
        server_close(server, True)
    elif server.conn.output == NULL and x.flags & X_REQUEST_READ:
        server_close(server, False)
    else:
        server.closing = 1
        server_linger(server)
        watch_make_ready(&server.conn.watch)


cdef void tcp_server_install(Worker *worker) noexcept nogil:
    worker.tcp_server_conn.connected = tcp_connected
    worker.tcp_server_conn.input = tcp_input
    worker.tcp_server_conn.drained = server_drained
    worker.tcp_server_conn.timeout = tcp_timeout
    worker.tcp_server_conn.bury = server_bury
    worker.tcp_server_ops.send = tcp_send
    worker.tcp_server_ops.send_informational = tcp_informational
    worker.tcp_server_ops.reply = tcp_reply
    worker.tcp_server_ops.local_address = server_local_address
    worker.tcp_server_ops.meant = server_meant
    worker.tcp_server_ops.plain_sink = server_plain_sink
    worker.tcp_server_ops.plain_source = server_plain_source
    worker.tcp_server_ops.read_body = server_read_body
    worker.tcp_server_ops.finished = tcp_finished
