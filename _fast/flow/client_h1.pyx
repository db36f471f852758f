"""See `client_h1.pxd`. RFC 9112 sections 6.3 (length of a response), 9.3 (persistence), RFC 9110 section 15.2 (1xx)."""
from libc.string cimport memcmp, memcpy, memset

from tulle._fast.base.list cimport list_init
from tulle._fast.base.random cimport random_next, random_span
from tulle._fast.base.shared cimport FLAG_UC, FLAG_UF, FLAG_UPE, lane_series_fetch
from tulle._fast.base.slab cimport slab_get, slab_put
from tulle._fast.base.timer cimport timer_clear, timer_set
from tulle._fast.base.types cimport likely, uint32_t, uint64_t, unlikely
from tulle._fast.flow.attempt cimport (
    HEAD_RETRY, attempt_failed, attempt_on_data, attempt_on_head, attempt_pump, attempt_ready, attempt_retry,
    exchange_client_gone,
)
from tulle._fast.flow.client_body cimport client_body_begin, client_read_body
from tulle._fast.flow.farewell cimport farewell_say
from tulle._fast.flow.finish cimport attempt_end
from tulle._fast.flow.head_edits cimport extra_add, request_edits
from tulle._fast.flow.introduction cimport introduction_queue
from tulle._fast.flow.pool cimport pool_closed, pool_put
from tulle._fast.flow.tunnel cimport TUNNEL_ENDLESS, tunnel_splice_rests, tunnel_splices
from tulle._fast.flow.types cimport (
    ATTEMPT_RUNNING, BODY_END, BODY_ERROR, BODY_GONE, BODY_MORE, SEND_END, SEND_HEAD, UPSTREAM_BUSY,
    UPSTREAM_CONNECTING, UPSTREAM_IDLE, X_CONNECT, X_RAW, X_REQUEST_READ, X_SERVER_BLOCKED, X_TUNNEL,
    X_TUNNEL_DOWN_DONE, X_TUNNEL_UP_DONE, X_UPGRADE, Attempt, Exchange, Host, Upstream,
)
from tulle._fast.http.h1_chunk cimport chunk_write_size
from tulle._fast.http.h1_parse cimport PARSE_DONE, PARSE_MORE, ParseLimits, h1_message_init, h1_parse_response
from tulle._fast.http.h1_write cimport HeadEdits, h1_head_bound, h1_write_request, h1_write_trailers
from tulle._fast.http.header_case cimport header_case_title
from tulle._fast.http.message cimport (
    FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_NONE, FRAMING_TUNNEL, MESSAGE_FIELDS_MAX, MESSAGE_KEEP_ALIVE,
    VERSION_HTTP_2, Message,
)
from tulle._fast.http.websocket cimport WEBSOCKET_KEY, websocket_key
from tulle._fast.net.conn cimport (
    CONN_BROKEN, CONN_CONNECTING, CONN_DATA, CONN_DONE, CONN_EOF, CONN_ERROR, CONN_FULL, CONN_HUNG_UP, CONN_OUT_ARMED,
    CONN_READABLE, Conn, conn_at_end, conn_available, conn_close, conn_data, conn_fill, conn_grow, conn_init,
    conn_is_quiet, conn_pause, conn_release_input, conn_resume, conn_send, conn_shutdown, conn_was_reset,
)
from tulle._fast.net.loop cimport watch_add, watch_make_ready
from tulle._fast.net.splice cimport (
    SPLICE_AGAIN, SPLICE_BLOCKED, SPLICE_END, SPLICE_IDLE, SPLICE_MIN, SPLICE_SINK_ERROR, SPLICE_SOURCE_ENDED,
    splice_get, splice_move, splice_put,
)
from tulle._fast.net.system cimport (
    AF_UNIX, EINPROGRESS, EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP, IPPROTO_TCP, SOCK_CLOEXEC, SOCK_NONBLOCK,
    SOCK_STREAM, TCP_NODELAY, close, connect, errno, iovec, setsockopt, sockaddr, socket,
)
from tulle._fast.net.tls cimport (
    TLS_OFFER_ALL, TLS_OFFER_HTTP1, TLS_OFFER_NONE, TlsSession, tls_connect, tls_of, tls_session_take, tls_timed_out,
)
from tulle._fast.net.tls_context cimport TlsSet
from tulle._fast.policy.image cimport CLUSTER_AUTO

cdef enum:
    READS_PER_TURN = 8                 # full buffers taken from one connection before others have their turn


# -- connecting -------------------------------------------------------------------------------------------------------

cdef int client_connect(Worker *worker, Attempt *attempt) noexcept nogil:
    """0 while under way, -1 when it failed at once."""
    cdef Host *host = attempt.host
    cdef const sockaddr *address = <const sockaddr *>host.address
    cdef Upstream *upstream
    cdef int fd, one = 1
    fd = socket(address.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        return -1
    if address.sa_family != AF_UNIX:
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
    if connect(fd, address, host.address_length) < 0 and errno != EINPROGRESS:
        close(fd)
        return -1
    upstream = <Upstream *>slab_get(&worker.upstreams_slab)
    if upstream == NULL:
        close(fd)
        return -1
    memset(upstream, 0, sizeof(Upstream))
    conn_init(&upstream.conn, &worker.loop, fd, &worker.client_conn, &worker.bufs)
    upstream.conn.bytes_received = &worker.lane.header.bytes_upstream_received
    upstream.conn.bytes_sent = &worker.lane.header.bytes_upstream_sent
    upstream.conn.state = CONN_CONNECTING | CONN_OUT_ARMED
    upstream.worker = worker
    upstream.host = host
    upstream.attempt = attempt
    upstream.state = UPSTREAM_CONNECTING
    list_init(&upstream.node)
    if unlikely(host.cluster.config.proxy_protocol != 0):
        introduction_queue(upstream, attempt)
    if unlikely(host.cluster.tls != NULL) and client_secure(upstream) < 0:
        conn_close(&upstream.conn, False)
        return -1
    if watch_add(&upstream.conn.watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) < 0:
        conn_close(&upstream.conn, False)
        return -1
    attempt.upstream = upstream
    timer_set(&worker.loop.timers, &upstream.conn.timer, worker.loop.now + host.cluster.config.connect_timeout)
    return 0


cdef int client_secure(Upstream *upstream) noexcept nogil:
    """The connection is to be TLS: resume the last session with this host, if it was made in the same trust."""
    cdef Host *host = upstream.host
    cdef TlsSet *tls_set = host.cluster.tls
    cdef uint32_t flags = upstream.attempt.exchange.flags
    cdef int offer = TLS_OFFER_ALL
    if unlikely(flags & X_RAW):
        offer = TLS_OFFER_NONE         # who is told of HTTP may well speak it
    elif host.cluster.config.protocol == CLUSTER_AUTO and flags & X_UPGRADE:
        offer = TLS_OFFER_HTTP1        # a request that asks to leave HTTP has no place among others
    if host.session != NULL and memcmp(host.session_trust, tls_set.trust, 16) != 0:
        upstream.worker.tls.library.SSL_SESSION_free(host.session)
        host.session = NULL
    return tls_connect(&upstream.worker.tls, &upstream.conn, tls_set, host.session, offer)


cdef void client_keep_session(Upstream *upstream) noexcept nogil:
    """After the first answer: by then the tickets of TLS 1.3 have come."""
    cdef Host *host = upstream.host
    if host.session != NULL:
        upstream.worker.tls.library.SSL_SESSION_free(host.session)
    host.session = tls_session_take(&upstream.conn)
    memcpy(host.session_trust, tls_of(&upstream.conn).tls_set.trust, 16)


cdef void client_drop_messages(Upstream *upstream) noexcept nogil:
    if upstream.response != NULL:
        slab_put(&upstream.worker.messages_slab, upstream.response)
        upstream.response = NULL
    if unlikely(upstream.trailer_section != NULL):
        slab_put(&upstream.worker.messages_slab, upstream.trailer_section)
        upstream.trailer_section = NULL


cdef void client_end(Upstream *upstream, bint reset) noexcept nogil:
    if upstream.conn.watch.dead:
        return
    client_drop_messages(upstream)
    conn_close(&upstream.conn, reset)
    pool_closed(upstream)


cdef void client_close(Upstream *upstream) noexcept nogil:
    """The connection is of no more use; its attempt, if any, has been told or does not want to be."""
    client_end(upstream, False)


cdef void client_bury(Conn *conn) noexcept nogil:
    cdef Upstream *upstream = <Upstream *>conn
    slab_put(&upstream.worker.upstreams_slab, upstream)


cdef Attempt *client_detach(Upstream *upstream) noexcept nogil:
    cdef Attempt *attempt = upstream.attempt
    if attempt != NULL:
        attempt.upstream = NULL
        upstream.attempt = NULL
    return attempt


cdef void client_fail(Upstream *upstream, int flag) noexcept nogil:
    """Close, then tell the attempt why."""
    cdef Attempt *attempt = client_detach(upstream)
    client_close(upstream)
    if attempt != NULL:
        attempt_failed(attempt, flag)


cdef void client_note_failure(const Upstream *upstream, Attempt *attempt) noexcept nogil:
    cdef const TlsSession *session = tls_of(&upstream.conn)
    if attempt == NULL:
        return
    # It may be a further try: what an earlier one came to is not the reason of this
    attempt.exchange.detail = session.detail
    attempt.exchange.tls_failure = session.failure


cdef void client_connected(Conn *conn, int error) noexcept nogil:
    cdef Upstream *upstream = <Upstream *>conn
    cdef Host *host = upstream.host
    cdef uint64_t age = host.cluster.config.pool_max_age
    timer_clear(&conn.timer)
    if error != 0:
        if conn.tls != NULL:
            client_note_failure(upstream, upstream.attempt)
        host.stats.connect_failures += 1
        host.cluster.stats.connect_failures += 1
        client_fail(upstream, FLAG_UF)
        return
    if unlikely(conn.state & CONN_HUNG_UP) and not upstream.attempt.exchange.flags & X_RAW and conn_at_end(conn):
        # Closed before it could get the request, which so is not sent
        upstream.attempt.unread = 1
        client_fail(upstream, FLAG_UC)
        return
    if age != 0:
        # Up to a tenth less, so that connections opened together do not end together
        upstream.expires = upstream.worker.loop.now + age - random_span(&upstream.worker.random, age // 10)
    upstream.state = UPSTREAM_BUSY
    upstream.attempt.state = ATTEMPT_RUNNING
    attempt_ready(upstream.attempt)


cdef void client_timeout(Conn *conn, uint64_t now) noexcept nogil:
    cdef Upstream *upstream = <Upstream *>conn
    if upstream.state == UPSTREAM_CONNECTING:
        upstream.host.stats.connect_failures += 1
        upstream.host.cluster.stats.connect_timeouts += 1
        if conn.tls != NULL and not conn.state & CONN_CONNECTING:
            tls_timed_out(conn)
            client_note_failure(upstream, upstream.attempt)
        client_fail(upstream, FLAG_UF)
    elif upstream.state == UPSTREAM_IDLE:
        client_close(upstream)


# -- sending ----------------------------------------------------------------------------------------------------------

cdef inline void add_piece(iovec *pieces, uint32_t *count, const char *data, size_t length) noexcept nogil:
    if length == 0:
        return
    pieces[count[0]].iov_base = <void *>data
    pieces[count[0]].iov_len = length
    count[0] += 1


cdef void client_begin(Upstream *upstream) noexcept nogil:
    upstream.requests += 1
    upstream.head_done = 0
    upstream.reusable = 1
    timer_clear(&upstream.conn.timer)


cdef int client_unsendable(Upstream *upstream) noexcept nogil:
    """There is no room for the head: as if the host had left. It is told from the loop, the caller being busy."""
    upstream.conn.state |= CONN_EOF
    watch_make_ready(&upstream.conn.watch)
    return CONN_ERROR


cdef int client_send(Attempt *attempt, uint32_t flags, const char *data, size_t length) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    cdef Upstream *upstream = attempt.upstream
    cdef Worker *worker = upstream.worker
    cdef const Message *request = x.request
    cdef iovec pieces[3]
    cdef HeadEdits edits
    cdef uint32_t count = 0
    cdef uint32_t used = 0
    cdef char *out = worker.scratch
    cdef char key[WEBSOCKET_KEY]
    cdef uint64_t sent_before = upstream.conn.bytes_sent[0]
    cdef int result
    if flags & SEND_HEAD:
        client_begin(upstream)
        upstream.chunked_out = request.framing == FRAMING_CHUNKED
        if not request_edits(attempt, &edits):
            return client_unsendable(upstream)
        if upstream.chunked_out:
            extra_add(worker, &edits.extra_count, b"transfer-encoding", 17, b"chunked", 7)
        if unlikely(request.protocol_length != 0):
            websocket_key(key, random_next(&worker.random), random_next(&worker.random))
            extra_add(worker, &edits.extra_count, b"sec-websocket-key", 17, key, WEBSOCKET_KEY)
        if h1_head_bound(request, &edits, True) + 64 > worker.scratch_size:
            return client_unsendable(upstream)
        used = h1_write_request(out, request, &edits, True)
        if unlikely(upstream.host.cluster.config.title_case):
            header_case_title(out, used, &edits, request.version_minor == VERSION_HTTP_2)
    if upstream.chunked_out:
        if length > 0:
            used += chunk_write_size(out + used, length)
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
            if x.trailers != NULL:
                used += h1_write_trailers(out + used, x.trailers, True)
            else:
                memcpy(out + used, b"\r\n", 2)
                used += 2
        add_piece(pieces, &count, out, used)
    else:
        add_piece(pieces, &count, out, used)
        add_piece(pieces, &count, data, length)
    result = conn_send(&upstream.conn, pieces, count)
    # What waits in the queue goes out unobserved
    if result != CONN_ERROR or upstream.conn.bytes_sent[0] != sent_before:
        attempt.delivered = 1
    if unlikely(result == CONN_ERROR):
        # The answer may have come before the reset; reading finds it, or the error
        upstream.conn.state |= CONN_HUNG_UP
        watch_make_ready(&upstream.conn.watch)
        return result
    if flags & SEND_END and x.flags & X_TUNNEL:
        conn_shutdown(&upstream.conn)
    return result


cdef Conn *client_plain_sink(Attempt *attempt) noexcept nogil:
    cdef Upstream *upstream = attempt.upstream
    if upstream.chunked_out or upstream.conn.tls != NULL or upstream.conn.output != NULL:
        return NULL
    if upstream.conn.state & CONN_BROKEN:
        return NULL
    return &upstream.conn


cdef void client_resume(Attempt *attempt) noexcept nogil:
    conn_resume(&attempt.upstream.conn)


cdef void client_cancel(Attempt *attempt) noexcept nogil:
    """Nobody waits for the answer: the connection cannot be used again."""
    cdef Upstream *upstream = attempt.upstream
    cdef uint32_t flags = attempt.exchange.flags
    client_detach(upstream)
    if flags & (X_TUNNEL | X_RAW) and not flags & X_TUNNEL_UP_DONE:
        # Whoever reads until the end must not take a cut for the end, before the first byte neither
        client_end(upstream, True)
    else:
        client_close(upstream)


cdef void client_drained(Conn *conn) noexcept nogil:
    cdef Upstream *upstream = <Upstream *>conn
    cdef Attempt *attempt = upstream.attempt
    if attempt == NULL:
        return
    if conn.state & CONN_BROKEN:
        conn.state |= CONN_HUNG_UP
        watch_make_ready(&conn.watch)
        return
    attempt.blocked = 0
    attempt.exchange.last_activity = upstream.worker.loop.now
    attempt_pump(attempt)


# -- receiving --------------------------------------------------------------------------------------------------------

cdef void client_input(Conn *conn) noexcept nogil:
    cdef Upstream *upstream = <Upstream *>conn
    if unlikely(upstream.state != UPSTREAM_BUSY):
        # An idle connection has nothing to say: closed, or stray bytes. Unless it was still on the ready list, or
        # TLS has its own business
        if conn.state & (CONN_READABLE | CONN_HUNG_UP | CONN_EOF) and (conn.tls == NULL or not conn_is_quiet(conn)):
            client_close(upstream)
        return
    if not upstream.head_done:
        lane_series_fetch(upstream.worker.lane, upstream.attempt.exchange.series_slot)
        if not client_head(upstream):
            return
    client_body(upstream)


cdef int client_fill(Upstream *upstream) noexcept nogil:
    """CONN_DATA when new bytes are in the buffer."""
    cdef Conn *conn = &upstream.conn
    if conn.state & CONN_EOF:
        return CONN_ERROR
    if not conn.state & (CONN_READABLE | CONN_HUNG_UP):
        return CONN_DONE
    return conn_fill(conn)


cdef bint client_head(Upstream *upstream) noexcept nogil:
    """Read and parse until the final head is here. False: not yet, or failed."""
    cdef Conn *conn = &upstream.conn
    cdef Worker *worker = upstream.worker
    cdef Attempt *attempt = upstream.attempt
    cdef ParseLimits limits
    cdef Message *message
    cdef int result
    limits.head = upstream.host.cluster.config.max_response_head
    limits.line = limits.head
    limits.fields = MESSAGE_FIELDS_MAX
    result = client_fill(upstream)
    while True:
        if result == CONN_FULL:
            if conn.input.end - conn.input.start > limits.head or conn_grow(conn) != CONN_DONE:
                client_protocol_error(upstream)
                return False
            result = client_fill(upstream)
            continue
        if result == CONN_DONE:
            return False
        if unlikely(result != CONN_DATA):
            attempt.unread = not attempt.answered and conn_was_reset(conn)
            client_fail(upstream, FLAG_UC)
            return False
        attempt.answered = 1
        if upstream.response == NULL:
            upstream.response = <Message *>slab_get(&worker.messages_slab)
            if upstream.response == NULL:
                client_fail(upstream, FLAG_UC)
                return False
            h1_message_init(upstream.response)
        while True:
            message = upstream.response
            result = h1_parse_response(message, conn_data(conn), conn_available(conn), &limits, attempt.exchange.method)
            if result != PARSE_DONE or message.status >= 200 or message.status == 101:
                break
            message.base = conn_data(conn)
            # A client that has left is noticed where the answer is written; a hedge has won nothing by this
            if likely(attempt == attempt.exchange.attempt):
                attempt.exchange.server_ops.send_informational(attempt.exchange, message)
            conn.input.start += message.head_length
            h1_message_init(message)
            if conn_available(conn) == 0:
                result = PARSE_MORE
                break
        if likely(result == PARSE_DONE):
            return client_take_head(upstream)
        if result != PARSE_MORE:
            client_protocol_error(upstream)
            return False
        if conn_available(conn) == 0:
            conn_release_input(conn)
        result = client_fill(upstream)


cdef void client_protocol_error(Upstream *upstream) noexcept nogil:
    upstream.worker.lane.header.protocol_errors_upstream += 1
    client_fail(upstream, FLAG_UPE)


cdef bint client_take_head(Upstream *upstream) noexcept nogil:
    """The final head is complete: pass it on with what follows it in the buffer, or drop it for a retry."""
    cdef Conn *conn = &upstream.conn
    cdef Message *message = upstream.response
    cdef Attempt *attempt = upstream.attempt
    cdef Exchange *x = attempt.exchange
    message.base = conn_data(conn)
    if unlikely(message.framing == FRAMING_TUNNEL) and not client_may_tunnel(x, message):
        client_protocol_error(upstream)
        return False
    if unlikely(attempt_on_head(attempt, message) == HEAD_RETRY):
        client_detach(upstream)
        client_close(upstream)
        attempt_end(attempt)
        attempt_retry(attempt)
        return False
    if not message.flags & MESSAGE_KEEP_ALIVE:
        upstream.reusable = 0
    conn.input.start += message.head_length
    client_body_begin(upstream, message)
    upstream.head_done = 1
    if unlikely(message.framing == FRAMING_TUNNEL):
        x.flags |= X_TUNNEL
        x.flags &= ~<uint32_t>X_REQUEST_READ
        attempt.body_sent = 0
        x.request_deadline = 0
        upstream.worker.lane.header.tunnels_active += 1
    return client_first_piece(upstream)


cdef bint client_may_tunnel(const Exchange *x, const Message *message) noexcept nogil:
    """101 answers an upgrade that we passed on; 2xx a CONNECT that the route allows."""
    if message.status == 101:
        return x.flags & X_UPGRADE != 0
    return x.flags & X_CONNECT != 0


cdef bint client_first_piece(Upstream *upstream) noexcept nogil:
    """Head and first body bytes together. True when the body goes on."""
    cdef Exchange *x = upstream.attempt.exchange
    cdef const char *data = NULL
    cdef size_t length = 0
    cdef int result = BODY_MORE
    if upstream.framing == FRAMING_NONE:
        result = BODY_END
    elif conn_available(&upstream.conn) > 0:
        result = client_read_body(upstream, False, &data, &length)
    return client_pass_on(upstream, x, SEND_HEAD, result, data, length)


cdef bint client_pass_on(
    Upstream *upstream, Exchange *x, uint32_t flags, int result, const char *data, size_t length
) noexcept nogil:
    """Hand a piece to the exchange. True when more may follow now."""
    cdef bint tunnel = x.flags & X_TUNNEL != 0
    if unlikely(result == BODY_ERROR):
        if flags & SEND_HEAD:
            client_protocol_error(upstream)
            return False
        client_fail(upstream, FLAG_UPE)
        return False
    if unlikely(result == BODY_GONE):
        client_fail(upstream, FLAG_UC)
        return False
    if result == BODY_END and not tunnel:
        client_complete(upstream, x, flags | SEND_END, data, length)
        return False
    if result == BODY_END:
        flags |= SEND_END
    elif length == 0 and not flags & SEND_HEAD:
        return False
    if not attempt_on_data(x, flags, data, length):
        return False
    client_drop_messages(upstream)
    if tunnel and flags & SEND_HEAD:
        attempt_pump(upstream.attempt)
        if upstream.attempt == NULL:
            return False
    if unlikely(x.flags & X_SERVER_BLOCKED):
        conn_pause(&upstream.conn)
        return False
    return not flags & SEND_END


cdef void client_complete(
    Upstream *upstream, Exchange *x, uint32_t flags, const char *data, size_t length
) noexcept nogil:
    """The last piece: the connection leaves the exchange, the client gets its bytes, the pool gets the connection."""
    cdef Attempt *attempt = x.attempt
    cdef Conn *conn = &upstream.conn
    cdef bint reusable = (
        upstream.reusable
        and attempt.body_sent
        and conn.output == NULL
        and conn_available(conn) == 0
        and not conn.state & (CONN_HUNG_UP | CONN_EOF | CONN_BROKEN)
        # After a body that ended just where a read did, or a splice: whether nothing follows it
        and (not conn.state & CONN_READABLE or conn_is_quiet(conn))
    )
    if unlikely(conn.tls != NULL) and upstream.requests == 1:
        client_keep_session(upstream)
    client_detach(upstream)
    upstream.state = UPSTREAM_BUSY
    attempt_end(attempt)
    attempt_on_data(x, flags, data, length)
    client_drop_messages(upstream)
    if likely(reusable):
        conn_release_input(conn)
        pool_put(upstream)
    else:
        client_close(upstream)


cdef inline bint client_splices(Upstream *upstream, Exchange *x) noexcept nogil:
    """Whether the rest of the body goes through a pipe: it is long and plain, and nothing of it is in the buffer."""
    if likely(x.down != NULL):
        return True
    if unlikely(upstream.framing == FRAMING_TUNNEL):
        upstream.remaining = <uint64_t>TUNNEL_ENDLESS
        if x.websocket.on:
            # As long as a frame is, no further: the next one's head is to be seen
            upstream.remaining = x.websocket.remaining
            if x.websocket.told or upstream.remaining < SPLICE_MIN:
                return False
        return upstream.conn.tls == NULL and tunnel_splices(x, &x.down, &upstream.conn, x.server_ops.plain_sink(x))
    if likely(upstream.framing != FRAMING_LENGTH or upstream.remaining < SPLICE_MIN or upstream.conn.tls != NULL):
        return False
    if conn_available(&upstream.conn) > 0 or x.server_ops.plain_sink(x) == NULL:
        return False
    x.down = splice_get(&upstream.worker.splices)
    if x.down == NULL:
        return False
    conn_release_input(&upstream.conn)
    return True


cdef void client_splice(Upstream *upstream, Exchange *x) noexcept nogil:
    cdef Conn *sink = x.server_ops.plain_sink(x)
    cdef uint64_t before = x.bytes_sent
    cdef int result = SPLICE_SINK_ERROR
    if likely(sink != NULL):
        x.last_activity = upstream.worker.loop.now
        result = splice_move(x.down, &upstream.conn, sink, &upstream.remaining, &x.bytes_sent)
    if unlikely(x.websocket.on):
        x.websocket.remaining = upstream.remaining
        if result == SPLICE_END:
            splice_put(&upstream.worker.splices, x.down)
            x.down = NULL
            if farewell_say(x):
                watch_make_ready(&upstream.conn.watch)
            return
    if result == SPLICE_END:
        client_complete(upstream, x, SEND_END, NULL, 0)
    elif result == SPLICE_BLOCKED:
        x.flags |= X_SERVER_BLOCKED
        conn_pause(&upstream.conn)
    elif result == SPLICE_AGAIN:
        watch_make_ready(&upstream.conn.watch)
    elif result == SPLICE_IDLE:
        if x.flags & X_TUNNEL:
            tunnel_splice_rests(x, &x.down, &upstream.conn, x.bytes_sent - before)
    elif result == SPLICE_SOURCE_ENDED:
        if x.flags & X_TUNNEL and not upstream.conn.state & CONN_BROKEN:
            client_pass_on(upstream, x, 0, BODY_END, NULL, 0)
        else:
            client_fail(upstream, FLAG_UC)
    elif result == SPLICE_SINK_ERROR:
        exchange_client_gone(x)


cdef void client_body(Upstream *upstream) noexcept nogil:
    cdef Exchange *x = upstream.attempt.exchange
    cdef const char *data
    cdef size_t length
    cdef int result
    cdef int _reads
    if unlikely(x.flags & X_TUNNEL_DOWN_DONE):
        if upstream.conn.state & CONN_BROKEN:
            client_fail(upstream, FLAG_UC)
        return
    for _reads in range(READS_PER_TURN):
        if client_splices(upstream, x):
            client_splice(upstream, x)
            return
        data = NULL
        length = 0
        result = client_read_body(upstream, True, &data, &length)
        if result == BODY_MORE and length == 0:
            return
        if not client_pass_on(upstream, x, 0, result, data, length):
            return
    if upstream.conn.state & (CONN_READABLE | CONN_HUNG_UP) or upstream.conn.input != NULL:
        watch_make_ready(&upstream.conn.watch)


cdef void client_install(Worker *worker) noexcept nogil:
    worker.client_conn.connected = client_connected
    worker.client_conn.input = client_input
    worker.client_conn.drained = client_drained
    worker.client_conn.timeout = client_timeout
    worker.client_conn.bury = client_bury
    worker.client_ops.send = client_send
    worker.client_ops.plain_sink = client_plain_sink
    worker.client_ops.resume = client_resume
    worker.client_ops.cancel = client_cancel
    worker.hooks.connect = client_connect
    worker.hooks.close_idle = client_close
    worker.hooks.attempt_ready = attempt_ready
    worker.hooks.attempt_failed = attempt_failed
