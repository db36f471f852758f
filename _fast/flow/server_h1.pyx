"""See `server_h1.pxd`. RFC 9112 sections 6 (body), 9.3 (persistence), 9.3.2 (pipelining), 9.6 (tear-down)."""
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset

from tulle._fast.base.buf cimport buf_ref
from tulle._fast.base.clock cimport MILLISECOND
from tulle._fast.base.decimal cimport decimal_write
from tulle._fast.base.list cimport list_append, list_remove
from tulle._fast.base.shared cimport FLAG_DPE, FLAG_DT, FLAG_OM
from tulle._fast.base.slab cimport slab_get, slab_put
from tulle._fast.base.timer cimport timer_clear, timer_set
from tulle._fast.base.types cimport likely, uint16_t, uint64_t, unlikely
from tulle._fast.flow.answer_fields cimport answer_fields
from tulle._fast.flow.attempt cimport attempt_pump, exchange_arm, exchange_client_gone
from tulle._fast.flow.exchange cimport (
    exchange_new, exchange_refuse, exchange_run, exchange_server_drained, listener_find,
)
from tulle._fast.flow.finish cimport exchange_finish
from tulle._fast.flow.head_edits cimport extra_add, response_edits
from tulle._fast.flow.overload cimport ADMITTED, TURNED_AWAY, overload_accept, overload_closed
from tulle._fast.flow.secure cimport secure_accept, secure_refuse
from tulle._fast.flow.server_body cimport server_body_begin, server_plain_source, server_read_body
from tulle._fast.flow.server_peer cimport server_local_address, server_meant, server_name_peer
from tulle._fast.flow.table cimport table_ref, table_unref
from tulle._fast.flow.types cimport (
    SEND_END, SEND_HEAD, X_ANSWER_FIELDS, X_BACKOFF, X_HELD, X_KEEP_ALIVE, X_REQUEST_READ, X_RESPONSE_BEGUN,
    X_RESPONSE_ENDED, X_TUNNEL, X_UPGRADE, Exchange, Table,
)
from tulle._fast.flow.upgrade cimport upgrade_accept
from tulle._fast.http.date cimport DATE_LENGTH, http_date
from tulle._fast.http.h1_chunk cimport chunk_write_size
from tulle._fast.http.h1_parse cimport (
    PARSE_DONE, PARSE_HEAD_TOO_LARGE, PARSE_MORE, ParseLimits, h1_message_init, h1_parse_request, parse_error_status,
    parse_error_text,
)
from tulle._fast.http.h2_frame cimport PREFACE_LENGTH, frame_preface
from tulle._fast.http.header_case cimport header_case_title
from tulle._fast.http.h1_write cimport HeadEdits, h1_head_bound, h1_write_response, h1_write_trailers
from tulle._fast.http.message cimport (
    FIELD_UPGRADE, FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_NONE, FRAMING_TUNNEL, METHOD_CONNECT, METHOD_HEAD,
    VERSION_HTTP_2, Field, Message, message_at, message_field,
)
from tulle._fast.http.websocket cimport WEBSOCKET_ACCEPT
from tulle._fast.net.conn cimport (
    CONN_BLOCKED, CONN_BROKEN, CONN_DATA, CONN_DONE, CONN_END, CONN_EOF, CONN_ERROR, CONN_FULL, CONN_HANDSHAKE,
    CONN_HUNG_UP, CONN_READABLE, Conn, conn_available, conn_close, conn_data, conn_fill, conn_grow, conn_init,
    conn_is_quiet, conn_release_input, conn_rest, conn_send, conn_shutdown,
)
from tulle._fast.net.loop cimport watch_add, watch_make_ready
from tulle._fast.net.system cimport EPOLLET, EPOLLIN, EPOLLRDHUP, close, iovec
from tulle._fast.net.tls cimport TLS_ALPN_H2, conn_alpn, tls_timed_out
from tulle._fast.policy.image cimport LISTENER_TITLE_CASE, ListenerEntry
from tulle._fast.policy.limits cimport listener_release

cdef enum:
    LINGER_TIME = 1000                 # milliseconds
    LINGER_BYTES = 1048576
    LAST_REQUEST = 1000                # milliseconds that a connection which is to end has for a request on its way
    CHUNK_ROOM = 24
    SHED_TIME = 1000000000             # ns that a connection has for its request when there are too many


# -- a connection -----------------------------------------------------------------------------------------------------

cdef Server *server_accept(
    Worker *worker, uint32_t listener_id, int fd, const sockaddr *address, uint32_t length
) noexcept nogil:
    cdef int admitted = overload_accept(worker)
    cdef Server *server = <Server *>slab_get(&worker.servers_slab)
    cdef const ListenerEntry *listener
    cdef Table *table
    if unlikely(server == NULL or admitted == TURNED_AWAY):
        close(fd)
        listener_release(worker.shared, worker.lane_index, listener_id)
        worker.lane.header.accept_failures += server == NULL
        if server != NULL:
            slab_put(&worker.servers_slab, server)
        overload_closed(worker, admitted)
        return NULL
    memset(server, 0, sizeof(Server))
    conn_init(&server.conn, &worker.loop, fd, &worker.server_conn, &worker.bufs)
    server.conn.bytes_received = &worker.lane.header.bytes_downstream_received
    server.conn.bytes_sent = &worker.lane.header.bytes_downstream_sent
    server.worker = worker
    server.listener_id = listener_id
    server.admitted = admitted & 0xff
    if length <= sizeof(server.address):
        server.address_length = <uint32_t>length & 0xff
        memcpy(server.address, address, length)
    list_append(&worker.servers, &server.node)
    worker.lane.header.downstream_active += 1
    worker.lane.header.downstream_total += 1
    listener = listener_find(worker, listener_id, &table)
    if (
        (
            listener != NULL and unlikely(listener.tls != 0) and listener.greeting == 0
            and not secure_accept(worker, &server.conn, listener, table)
        )
        or watch_add(&server.conn.watch, EPOLLIN | EPOLLRDHUP | EPOLLET) < 0
    ):
        worker.lane.header.accept_failures += 1
        server_close(server, True)
        return NULL
    if listener != NULL and likely(server.conn.tls == NULL):
        server_listen(server, listener)
    return server


cdef void server_listen(Server *server, const ListenerEntry *listener) noexcept nogil:
    timer_set(
        &server.worker.loop.timers, &server.conn.timer,
        server.worker.loop.now + (listener.head_timeout if likely(server.admitted == ADMITTED) else SHED_TIME),
    )


cdef void server_close(Server *server, bint reset) noexcept nogil:
    if server.conn.watch.dead:
        return
    list_remove(&server.node)
    server.worker.lane.header.downstream_active -= 1
    overload_closed(server.worker, server.admitted)
    listener_release(server.worker.shared, server.worker.lane_index, server.listener_id)
    if server.message != NULL:
        slab_put(&server.worker.messages_slab, server.message)
        server.message = NULL
    if unlikely(server.table != NULL):
        table_unref(server.worker, server.table)
        server.table = NULL
    if unlikely(server.meant != NULL):
        free(server.meant)
        server.meant = NULL
    conn_close(&server.conn, reset)


cdef void server_bury(Conn *conn) noexcept nogil:
    cdef Server *server = <Server *>conn
    slab_put(&server.worker.servers_slab, server)


cdef void server_linger(Server *server) noexcept nogil:
    """Our FIN, and a while of reading what the client may still be sending."""
    server.lingering = 1
    server.remaining = LINGER_BYTES
    conn_shutdown(&server.conn)
    timer_set(
        &server.worker.loop.timers, &server.conn.timer, server.worker.loop.now + <uint64_t>LINGER_TIME * MILLISECOND
    )
    watch_make_ready(&server.conn.watch)


cdef void server_linger_input(Server *server) noexcept nogil:
    cdef int result = CONN_DATA
    cdef uint32_t got
    while result == CONN_DATA and server.conn.state & (CONN_READABLE | CONN_HUNG_UP):
        result = conn_fill(&server.conn)
        got = conn_available(&server.conn)
        if got:
            server.conn.input.start = server.conn.input.end
        conn_release_input(&server.conn)
        if got >= server.remaining:
            result = CONN_END
            break
        server.remaining -= got
    if result == CONN_END or result == CONN_ERROR:
        server_close(server, False)


cdef bint server_has_input(Server *server) noexcept nogil:
    """Asks the kernel, at the cost of a call, whether the client has sent anything that was not read yet."""
    return server.conn.input != NULL or not conn_is_quiet(&server.conn)


cdef bint server_is_quiet(Server *server) noexcept nogil:
    """Whether the connection has been idle for so long that a request is hardly on its way now."""
    cdef Table *table
    cdef const ListenerEntry *listener = listener_find(server.worker, server.listener_id, &table)
    cdef uint64_t idle
    if server.requests == 0 or listener == NULL:
        return False                   # who has only just connected did so for a request
    idle = server.worker.loop.now + listener.idle_timeout - server.conn.timer.deadline
    return idle > <uint64_t>LAST_REQUEST * MILLISECOND and not server_has_input(server)


cdef void server_await_last(Server *server) noexcept nogil:
    """Serve one more request, if it comes soon; the answer to it says that it was the last."""
    cdef Table *table
    server.closing = 1
    if not server.parsing:
        timer_set(
            &server.worker.loop.timers, &server.conn.timer,
            server.worker.loop.now + <uint64_t>LAST_REQUEST * MILLISECOND,
        )
        watch_make_ready(&server.conn.watch)
    if server.table == NULL and listener_find(server.worker, server.listener_id, &table) != NULL:
        server.table = table_ref(table)


cdef void server_drain(Server *server) noexcept nogil:
    if server.h2 != NULL:
        server.worker.hooks.server_h2_drain(server)
        return
    server.closing = 1
    if server.exchange != NULL or server.lingering or server.table != NULL:
        return
    if not server.parsing and server_is_quiet(server):
        server_close(server, False)
        return
    server_await_last(server)


# -- input ------------------------------------------------------------------------------------------------------------

cdef void server_input(Conn *conn) noexcept nogil:
    cdef Server *server = <Server *>conn
    cdef Exchange *x = server.exchange
    if x == NULL:
        if unlikely(server.lingering):
            server_linger_input(server)
        else:
            server_head(server)
        return
    if not x.flags & X_REQUEST_READ:
        attempt_pump(x.attempt)
        if server.exchange != x:
            return
        if not x.flags & X_REQUEST_READ:
            if unlikely(x.flags & X_HELD and conn.state & CONN_HUNG_UP):
                # Nobody reads the body up to the client's end while the exchange is held back
                exchange_client_gone(x)
            return
    if unlikely(conn.state & CONN_HUNG_UP):
        if not x.flags & X_TUNNEL:
            server_watch_for_end(server)
        elif conn.state & CONN_BROKEN:
            exchange_client_gone(x)


cdef void server_watch_for_end(Server *server) noexcept nogil:
    """The client has sent its FIN or a reset while it waits: read up to it, and take it for a client that has left."""
    cdef int result = CONN_DATA
    if server.exchange.flags & X_RESPONSE_ENDED:
        return
    while result == CONN_DATA:
        result = conn_fill(&server.conn)
    if result == CONN_END or result == CONN_ERROR:
        server.closing = 1
        exchange_client_gone(server.exchange)


cdef bint server_message(Server *server, uint64_t head_timeout) noexcept nogil:
    """The first bytes of a head are here."""
    if server.message == NULL:
        server.message = <Message *>slab_get(&server.worker.messages_slab)
        if server.message == NULL:
            return False
        h1_message_init(server.message)
    if not server.parsing:
        server.parsing = 1
        if server.requests > 0 or server.closing:
            timer_set(&server.worker.loop.timers, &server.conn.timer, server.worker.loop.now + head_timeout)
    return True


cdef bint server_is_h2(Server *server) noexcept nogil:
    """Whether what has come of a first head is the beginning of HTTP/2's preface (RFC 9113 section 3.3)."""
    cdef uint32_t length = conn_available(&server.conn)
    return memcmp(conn_data(&server.conn), frame_preface(), min(length, <uint32_t>PREFACE_LENGTH)) == 0


cdef void server_head(Server *server) noexcept nogil:
    """Read and parse until a head is complete, or nothing more is here."""
    cdef Conn *conn = &server.conn
    cdef const ListenerEntry *listener
    cdef ParseLimits limits
    cdef Table *table
    cdef int result
    listener = listener_find(server.worker, server.listener_id, &table)
    if unlikely(listener == NULL):
        server_close(server, False)
        return
    limits.head = listener.max_head
    limits.line = listener.max_line
    limits.fields = listener.max_fields
    while True:
        if conn_available(conn) == 0 or server.parsing:
            if not conn.state & (CONN_READABLE | CONN_HUNG_UP) or conn.state & CONN_EOF:
                result = CONN_END if conn.state & CONN_EOF else CONN_DONE
            else:
                result = conn_fill(conn)
            if result == CONN_FULL:
                if conn.input.end - conn.input.start > limits.head or conn_grow(conn) != CONN_DONE:
                    server_refuse(server, PARSE_HEAD_TOO_LARGE)
                    return
                continue
            if result == CONN_DONE:
                return
            if unlikely(result != CONN_DATA):
                server_ended(server)
                return
        if unlikely(not server_message(server, listener.head_timeout)):
            server_close(server, True)
            return
        result = h1_parse_request(server.message, conn_data(conn), conn_available(conn), &limits)
        if likely(result == PARSE_DONE):
            server_begin(server)
            return
        # Over TLS it is agreed upon before (section 3.2)
        if unlikely(server.requests == 0) and conn.tls == NULL and server_is_h2(server):
            if conn_available(conn) < PREFACE_LENGTH:
                h1_message_init(server.message)
                continue
            if not server.worker.hooks.server_h2_begin(server):
                server_close(server, True)
            return
        if result != PARSE_MORE:
            server_refuse(server, result)
            return


cdef void server_ended(Server *server) noexcept nogil:
    """The client has left between requests, or in the middle of a head."""
    if server.parsing:
        server.worker.lane.header.protocol_errors_downstream += 1
    server_close(server, False)


cdef Exchange *server_exchange(Server *server) noexcept nogil:
    cdef Exchange *x
    cdef Message *message = server.message
    message.base = conn_data(&server.conn)
    x = exchange_new(
        server.worker, server, &server.worker.server_ops, server.listener_id, message, buf_ref(server.conn.input),
        server.worker.loop.now,
    )
    if unlikely(x == NULL):
        server.conn.input.refs -= 1
        server_close(server, True)
        return NULL
    server_name_peer(server, x)
    server.exchange = x
    server.message = NULL
    server.parsing = 0
    server.requests += 1
    server.chunked_out = 0
    timer_clear(&server.conn.timer)
    return x


cdef void server_begin(Server *server) noexcept nogil:
    cdef Message *message = server.message
    cdef Exchange *x = server_exchange(server)
    if unlikely(x == NULL):
        return
    server.conn.input.start += message.head_length
    server_body_begin(server, message)
    if message.framing == FRAMING_NONE:
        x.flags |= X_REQUEST_READ
        conn_release_input(&server.conn)
        if unlikely(server.conn.state & CONN_HUNG_UP):
            watch_make_ready(&server.conn.watch)
    # What follows a CONNECT may be meant for the tunnel: if none comes about, it is read by nobody
    if unlikely(server.closing or message.method == METHOD_CONNECT) or (
        x.listener != NULL and x.listener.max_requests != 0 and server.requests >= x.listener.max_requests
    ):
        x.flags &= ~<uint32_t>X_KEEP_ALIVE
    if unlikely(server.admitted != ADMITTED):
        exchange_refuse(x, 503, FLAG_OM, b"overloaded: the limit of connections is reached")
        return
    exchange_run(x)


cdef void server_refuse(Server *server, int error) noexcept nogil:
    """A head that cannot be accepted: answer, count, close."""
    cdef Exchange *x
    server.worker.lane.header.protocol_errors_downstream += 1
    if server.message == NULL:
        server_close(server, True)
        return
    server.message.head_length = 0
    x = server_exchange(server)
    if x != NULL:
        server.conn.input.start = server.conn.input.end
        server.framing = FRAMING_NONE
        exchange_refuse(x, <uint16_t>parse_error_status(error), FLAG_DPE, parse_error_text(error))


# -- answers ----------------------------------------------------------------------------------------------------------

cdef bint server_decide_end(Server *server, Exchange *x) noexcept nogil:
    """Whether the connection closes after this answer."""
    if not x.flags & X_REQUEST_READ or server.closing or server.worker.draining:
        x.flags &= ~<uint32_t>X_KEEP_ALIVE
    return not x.flags & X_KEEP_ALIVE


cdef void add_connection_fields(Server *server, Exchange *x, const Message *message, uint32_t *count) noexcept nogil:
    """Framing and persistence in HTTP/1 (RFC 9112 sections 6.1 and 9.3); the hop-by-hop fields were left out before."""
    cdef Worker *worker = server.worker
    cdef const Field *upgrade
    if unlikely(message.framing == FRAMING_TUNNEL):
        upgrade = message_field(message, FIELD_UPGRADE)
        if upgrade != NULL:
            extra_add(worker, count, b"connection", 10, b"upgrade", 7)
            extra_add(worker, count, b"upgrade", 7, message_at(message, upgrade.value), upgrade.value_length)
        return
    if message.framing == FRAMING_CHUNKED or message.framing == FRAMING_CLOSE:
        if x.version_minor > 0:
            server.chunked_out = 1
            extra_add(worker, count, b"transfer-encoding", 17, b"chunked", 7)
        else:
            # HTTP/1.0 knows no chunks: the end of the connection is the end of the body
            server.until_close = 1
            x.flags &= ~<uint32_t>X_KEEP_ALIVE
    if unlikely(server_decide_end(server, x)):
        extra_add(worker, count, b"connection", 10, b"close", 5)
    elif unlikely(x.version_minor == 0):
        extra_add(worker, count, b"connection", 10, b"keep-alive", 10)


cdef inline uint32_t write_head(
    Exchange *x, const Message *message, const HeadEdits *edits, uint16_t status, bint lower
) noexcept nogil:
    """Into the scratch buffer; `lower`: the message's names are in lower case for want of another."""
    cdef uint32_t length = h1_write_response(x.worker.scratch, message, edits, status, True)
    if x.listener != NULL and unlikely(x.listener.flags & LISTENER_TITLE_CASE):
        header_case_title(x.worker.scratch, length, edits, lower)
    return length


cdef int server_send(Exchange *x, uint32_t flags, const char *data, size_t length) noexcept nogil:
    """One system call for whatever is at hand: head, body, framing."""
    cdef Server *server = <Server *>x.server
    cdef Worker *worker = server.worker
    cdef iovec pieces[4]
    cdef uint32_t count = 0
    cdef HeadEdits edits
    cdef uint32_t used = 0
    cdef char *out = worker.scratch
    cdef char accept[WEBSOCKET_ACCEPT]
    cdef uint16_t status
    if flags & SEND_HEAD:
        status = x.response.status
        edits.target = NULL
        edits.target_length = 0
        edits.extra_count = response_edits(x)
        if unlikely(x.flags & X_ANSWER_FIELDS):
            answer_fields(x, &edits.extra_count)
        add_connection_fields(server, x, x.response, &edits.extra_count)
        if unlikely(x.response.framing == FRAMING_TUNNEL) and x.flags & X_UPGRADE and status != 101:
            # It came about in HTTP/2, where there is no such status (RFC 8441 section 5)
            upgrade_accept(worker, x.request, accept, &edits.extra_count)
            status = 101
            x.status = 101
        edits.extras = worker.extras
        if h1_head_bound(x.response, &edits, True) + 256 > worker.scratch_size:
            return CONN_ERROR
        used = write_head(x, x.response, &edits, status, x.response.version_minor == VERSION_HTTP_2)
        if x.response.framing == FRAMING_TUNNEL:
            server.framing = FRAMING_TUNNEL
            server.chunked_out = 0
            server.until_close = 1
            timer_clear(&server.conn.timer)
    if server.chunked_out:
        if length > 0:
            used += chunk_write_size(out + used, length)
        if used:
            add_piece(pieces, &count, out, used)
            out += used
        add_piece(pieces, &count, data, length)
        used = 0
        if length > 0:
            memcpy(out, b"\r\n", 2)
            used = 2
        if flags & SEND_END:
            memcpy(out + used, b"0\r\n", 3)
            used += 3
            if x.trailers != NULL and h1_head_bound(x.trailers, NULL, True) + 131072 < worker.scratch_size:
                used += h1_write_trailers(out + used, x.trailers, True)
            else:
                memcpy(out + used, b"\r\n", 2)
                used += 2
        add_piece(pieces, &count, out, used)
    else:
        add_piece(pieces, &count, out, used)
        add_piece(pieces, &count, data, length)
    if count == 2 and pieces[0].iov_len + pieces[1].iov_len <= 4096 and used == pieces[0].iov_len:
        # One short buffer is cheaper to hand over than two
        memcpy(out + used, data, length)
        pieces[0].iov_len += length
        count = 1
    if flags & SEND_END and x.flags & X_TUNNEL:
        if conn_send(&server.conn, pieces, count) == CONN_ERROR:
            return CONN_ERROR
        conn_shutdown(&server.conn)
        return CONN_DONE
    return conn_send(&server.conn, pieces, count)


cdef inline void add_piece(iovec *pieces, uint32_t *count, const char *data, size_t length) noexcept nogil:
    if length == 0:
        return
    pieces[count[0]].iov_base = <void *>data
    pieces[count[0]].iov_len = length
    count[0] += 1


cdef Conn *server_plain_sink(Exchange *x) noexcept nogil:
    cdef Server *server = <Server *>x.server
    if server.chunked_out or server.conn.tls != NULL or server.conn.output != NULL or server.conn.state & CONN_BROKEN:
        return NULL
    return &server.conn


cdef int server_informational(Exchange *x, const Message *message) noexcept nogil:
    """1xx passed on; HTTP/1.0 clients do not know them (RFC 9110 section 15.2)."""
    cdef Server *server = <Server *>x.server
    cdef HeadEdits edits
    cdef iovec piece
    if x.version_minor == 0 or server.conn.output != NULL:
        return CONN_DONE               # a client that does not read may miss some: they must not pile up
    edits.target = NULL
    edits.target_length = 0
    edits.extra_count = 0
    edits.extras = NULL
    if h1_head_bound(message, &edits, True) > server.worker.scratch_size:
        return CONN_DONE
    piece.iov_base = server.worker.scratch
    piece.iov_len = write_head(x, message, &edits, message.status, message.version_minor == VERSION_HTTP_2)
    return conn_send(&server.conn, &piece, 1)


cdef int server_reply(Exchange *x, uint16_t status, uint32_t extras, const char *body, size_t length) noexcept nogil:
    cdef Server *server = <Server *>x.server
    cdef Worker *worker = server.worker
    cdef Message message
    cdef HeadEdits edits
    cdef char digits[24]
    cdef char date[DATE_LENGTH]
    cdef iovec pieces[2]
    cdef uint32_t count = 0
    cdef int result
    h1_message_init(&message)
    message.base = digits
    message.status = 0
    message.framing = FRAMING_NONE
    http_date(date, (worker.loop.now + worker.wall_offset) // 1000000000)
    extra_add(worker, &extras, b"date", 4, date, DATE_LENGTH)
    if status != 204 and status != 304:
        extra_add(worker, &extras, b"content-length", 14, digits, decimal_write(digits, length))
    add_connection_fields(server, x, &message, &extras)
    edits.target = NULL
    edits.target_length = 0
    edits.extra_count = extras
    edits.extras = worker.extras
    x.flags |= X_RESPONSE_BEGUN | X_RESPONSE_ENDED
    if h1_head_bound(&message, &edits, True) > worker.scratch_size:
        result = CONN_ERROR
    else:
        add_piece(pieces, &count, worker.scratch, write_head(x, &message, &edits, status, True))
        if x.method != METHOD_HEAD and status != 204 and status != 304:
            add_piece(pieces, &count, body, length)
            x.bytes_sent += length
        result = conn_send(&server.conn, pieces, count)
    if result == CONN_BLOCKED:
        # Nothing else ends the waiting for a client that does not read
        x.flags &= ~<uint32_t>X_BACKOFF
        x.request_deadline = 0
        x.try_deadline = 0
        x.last_activity = worker.loop.now
        if x.listener != NULL:
            x.idle_timeout = x.listener.idle_timeout
        exchange_arm(x)
        return result
    exchange_finish(x, x.flags & X_KEEP_ALIVE != 0, result < 0)
    return result


cdef void server_finished(Exchange *x, bint keep, bint cut) noexcept nogil:
    cdef Server *server = <Server *>x.server
    cdef Worker *worker = server.worker
    cdef const ListenerEntry *listener
    cdef Table *table
    server.exchange = NULL
    if unlikely(server.message != NULL):
        slab_put(&worker.messages_slab, server.message)          # held a trailer section
        server.message = NULL
    if unlikely(cut):
        # Whoever reads until the end must not take a cut for the end
        server_close(server, server.until_close)
        return
    if unlikely(not keep):
        if server.conn.output == NULL and (
            server.conn.state & CONN_EOF
            or (
                x.flags & X_REQUEST_READ
                and conn_available(&server.conn) == 0
                and not server.conn.state & (CONN_READABLE | CONN_HUNG_UP)
            )
        ):
            server_close(server, False)
            return
        server.closing = 1
        server_linger(server)
        return
    if unlikely(server.closing or worker.draining):
        # The answer had begun, and did not say so: the client may have sent another request meanwhile
        if server.conn.input != NULL:
            conn_release_input(&server.conn)
        server_await_last(server)
        return
    conn_rest(&server.conn)
    listener = listener_find(worker, server.listener_id, &table)
    if likely(listener != NULL):
        timer_set(&worker.loop.timers, &server.conn.timer, worker.loop.now + listener.idle_timeout)
    if unlikely(server.conn.input != NULL):
        conn_release_input(&server.conn)
    if unlikely(server.conn.input != NULL or server.conn.state & (CONN_READABLE | CONN_HUNG_UP)):
        watch_make_ready(&server.conn.watch)


# -- other events -----------------------------------------------------------------------------------------------------

cdef void server_drained(Conn *conn) noexcept nogil:
    cdef Server *server = <Server *>conn
    if conn.state & CONN_BROKEN:
        if server.exchange != NULL:
            exchange_client_gone(server.exchange)
        else:
            server_close(server, False)
        return
    if server.exchange != NULL:
        exchange_server_drained(server.exchange)


cdef void server_timeout(Conn *conn, uint64_t now) noexcept nogil:
    """Linger, keep-alive idle time, or a head that came too slowly."""
    cdef Server *server = <Server *>conn
    cdef Exchange *x
    if server.exchange != NULL:
        return
    if unlikely(conn.state & CONN_HANDSHAKE):
        tls_timed_out(conn)
    if server.lingering or not server.parsing:
        server_close(server, False)
        return
    server.message.head_length = 0
    x = server_exchange(server)
    if x != NULL:
        server.conn.input.start = server.conn.input.end
        exchange_refuse(x, 408, FLAG_DT, NULL)


cdef void server_connected(Conn *conn, int error) noexcept nogil:
    """The handshake is over. The time for a request begins, or a while of reading what the client still sends."""
    cdef Server *server = <Server *>conn
    cdef const ListenerEntry *listener
    cdef Table *table
    if likely(error == 0):
        listener = listener_find(server.worker, server.listener_id, &table)
        if listener != NULL and not server.closing:
            timer_set(&server.worker.loop.timers, &conn.timer, server.worker.loop.now + listener.head_timeout)
        if (
            conn_alpn(conn) == TLS_ALPN_H2 and conn.ops == &server.worker.server_conn
            and not server.worker.hooks.server_h2_begin(server)
        ):
            server_close(server, True)
        return
    if secure_refuse(server.worker, conn):
        server_linger(server)
    else:
        server_close(server, False)


cdef void server_install(Worker *worker) noexcept nogil:
    worker.server_conn.connected = server_connected
    worker.server_conn.input = server_input
    worker.server_conn.drained = server_drained
    worker.server_conn.timeout = server_timeout
    worker.server_conn.bury = server_bury
    worker.server_ops.send = server_send
    worker.server_ops.send_informational = server_informational
    worker.server_ops.reply = server_reply
    worker.server_ops.local_address = server_local_address
    worker.server_ops.meant = server_meant
    worker.server_ops.plain_sink = server_plain_sink
    worker.server_ops.plain_source = server_plain_source
    worker.server_ops.read_body = server_read_body
    worker.server_ops.finished = server_finished
