"""See `client_h2.pxd`. RFC 9113 sections 5.1.2 (how many streams), 6.7 (PING), 6.8 (GOAWAY)."""
from libc.string cimport memset

from tulle._fast.base.buf cimport Buf, buf_length
from tulle._fast.base.list cimport Node, list_append, list_empty, list_init, list_remove
from tulle._fast.base.random cimport random_span
from tulle._fast.base.shared cimport FLAG_UC, FLAG_UF, FLAG_UPE
from tulle._fast.base.slab cimport slab_get, slab_put
from tulle._fast.base.timer cimport timer_clear, timer_set
from tulle._fast.base.types cimport likely, uint32_t, uint64_t, unlikely
from tulle._fast.flow.h2_read cimport h2_read
from tulle._fast.flow.attempt cimport attempt_failed, attempt_pump, attempt_ready
from tulle._fast.flow.client_alpn cimport (
    ALPN_ALONE, ALPN_REFUSED, client_alpn_alone, client_alpn_hopeful, client_alpn_verdict,
)
from tulle._fast.flow.client_h1 cimport client_close, client_connect, client_keep_session, client_note_failure
from tulle._fast.flow.client_h2_stream cimport (
    call_body, call_closed, call_deliver, call_head, call_ops_install, call_trailers, stream_let_go,
)
from tulle._fast.flow.client_h2_tunnel cimport (
    client_h2_tunnel_may, client_h2_tunnel_settle, client_h2_tunnel_waits,
)
from tulle._fast.flow.pool cimport (
    POOL_OVERFLOW, POOL_READY, POOL_WAIT, idle_remove, pool_closed, pool_lend, pool_put, pool_shares, pool_trusts,
)
from tulle._fast.flow.types cimport (
    ATTEMPT_CONNECTING, ATTEMPT_RUNNING, UPSTREAM_BUSY, UPSTREAM_CONNECTING, UPSTREAM_IDLE, X_UPGRADE, Cluster,
    Exchange, Host,
)
from tulle._fast.http.h2_connection cimport h2c_ask, h2c_destroy, h2c_init, h2c_may_open, h2c_receive
from tulle._fast.http.h2_frame cimport H2_CANCEL
from tulle._fast.http.h2_output cimport h2_out_gone
from tulle._fast.http.h2_send cimport h2c_next_drained, h2c_pump
from tulle._fast.http.h2_stream cimport h2_owned_above
from tulle._fast.http.h2_types cimport (
    H2_ALIVE, H2_BODY, H2_CLIENT, H2_CLOSED, H2_FAILED, H2_GOAWAY, H2_HEAD, H2_NOTHING, H2_OUTPUT_MOST, H2_SETTINGS,
    H2_TRAILERS, H2C_FAILED, H2Event, H2Limits, H2Stream,
)
from tulle._fast.http.message cimport MESSAGE_FIELDS_MAX
from tulle._fast.net.conn cimport (
    CONN_BLOCKED, CONN_BROKEN, CONN_CONNECTING, CONN_DATA, CONN_DONE, CONN_EOF, CONN_HUNG_UP, CONN_READABLE, Conn,
    conn_at_end, conn_available, conn_close, conn_data, conn_release_input, conn_send,
)
from tulle._fast.net.loop cimport watch_make_ready
from tulle._fast.net.system cimport iovec
from tulle._fast.net.tls cimport tls_timed_out
from tulle._fast.policy.retry cimport retry_method_repeats

cdef enum:
    WINDOW = 65535                     # of a stream, in the beginning
    WINDOW_MOST = 1048576
    CONNECTION_WINDOW = 1048576
    CONNECTION_WINDOW_MOST = 4194304
    UNTOLD_STREAMS = 100               # at once before the host's SETTINGS are here
    PIECES = 16                        # buffers handed to the kernel in one call
    FLUSHES = 4                        # calls for one connection before others have their turn
    READS = 4

cdef enum:
    # Seconds, where the cluster has no `keepalive`: without a byte, with requests under way, after which we ask by
    # PING; that the host has for an answer; and until the next one when it has said nothing else since, for servers of
    # gRPC take more than that for abuse
    SILENCE = 30
    ANSWER_TIME = 15
    LONG_SILENCE = 300
    SECOND = 1000000000


cdef inline ClientH2 *h2_of(Conn *conn) noexcept nogil:
    return <ClientH2 *>(<Upstream *>conn).h2


cdef inline Attempt *attempt_of(Node *node) noexcept nogil:
    cdef Attempt *null = NULL
    return <Attempt *>(<char *>node - <size_t>&null.waiting)


cdef inline ClientStream *call_of_ready(Node *node) noexcept nogil:
    cdef ClientStream *null = NULL
    return <ClientStream *>(<char *>node - <size_t>&null.ready)


# -- places -----------------------------------------------------------------------------------------------------------

cdef bint is_used_up(ClientH2 *h2) noexcept nogil:
    """It takes no more requests; idle ones are closed, busy ones with their last stream."""
    cdef Upstream *upstream = h2.upstream
    cdef const Cluster *cluster = upstream.host.cluster
    if h2.closing:
        return True
    if (
        (unlikely(upstream.conn.tls != NULL or cluster.tls != NULL) and not pool_trusts(upstream))
        or (upstream.expires != 0 and upstream.expires <= upstream.worker.loop.now)
        or (cluster.config.pool_max_requests != 0 and upstream.requests >= cluster.config.pool_max_requests)
        or upstream.worker.draining and h2.attempts == 0
    ):
        h2.closing = 1
        client_h2_schedule(h2)
        return True
    return False


cdef bint has_room(ClientH2 *h2) noexcept nogil:
    cdef uint32_t most = h2.upstream.host.cluster.config.max_streams
    if is_used_up(h2):
        return False
    if unlikely(not h2.connected):
        return h2.attempts < most and h2.attempts < <uint32_t>UNTOLD_STREAMS and client_alpn_hopeful(h2.upstream.host)
    # Places that were promised and whose head has not gone yet are counted by us alone
    return h2.attempts < most and h2.attempts < h2.c.peer_max_streams and h2c_may_open(&h2.c)


cdef bint is_sound(ClientH2 *h2, int method) noexcept nogil:
    """An idle one may have been closed by the host: what has come on it is read before what must not be repeated goes
    out on it, GOAWAY or the end among that.
    """
    cdef Conn *conn = &h2.upstream.conn
    if h2.upstream.state != UPSTREAM_IDLE:
        return True
    if retry_method_repeats(method) and not conn.state & (CONN_HUNG_UP | CONN_EOF):
        return True
    conn.state |= CONN_READABLE
    client_h2_input(conn)
    return not conn.watch.dead and has_room(h2)


cdef inline void take_up(ClientH2 *h2) noexcept nogil:
    if h2.upstream.state == UPSTREAM_IDLE:
        idle_remove(h2.upstream)
        h2.upstream.state = UPSTREAM_BUSY
        silence_begin(h2)
    elif unlikely(h2.told == h2.heard):
        silence_begin(h2)


cdef void place_give(ClientH2 *h2, Attempt *attempt) noexcept nogil:
    cdef Upstream *upstream = h2.upstream
    take_up(h2)
    client_h2_tunnel_settle(h2, attempt.exchange)
    attempt.ops = &upstream.worker.client_h2_ops
    attempt.upstream = upstream
    attempt.reused = upstream.requests > 0
    upstream.requests += 1
    h2.attempts += 1
    attempt.state = ATTEMPT_RUNNING


cdef int shared_find(Attempt *attempt) noexcept nogil:
    cdef Host *host = attempt.host
    cdef Node *node = host.shared.next
    cdef ClientH2 *h2
    cdef ClientH2 *coming = NULL
    cdef Exchange *x = attempt.exchange
    # What else HTTP/1 asks for by Upgrade has no place in a head of HTTP/2 (RFC 9113 section 8.6)
    if unlikely(x.flags & X_UPGRADE) and not client_h2_tunnel_may(x.request):
        x.flags &= ~<uint32_t>X_UPGRADE
    while node != &host.shared:
        h2 = <ClientH2 *>node
        node = node.next
        if not has_room(h2):
            continue
        if unlikely(not h2.connected) or client_h2_tunnel_waits(h2, x):
            coming = h2
        elif likely(is_sound(h2, x.method)):
            place_give(h2, attempt)
            return POOL_READY
        else:
            h2.closing = 1
            client_h2_schedule(h2)
    if coming != NULL:
        place_await(coming, attempt)
        return POOL_WAIT
    return POOL_OVERFLOW


cdef void place_await(ClientH2 *h2, Attempt *attempt) noexcept nogil:
    take_up(h2)
    attempt.ops = &h2.upstream.worker.client_h2_ops
    attempt.upstream = h2.upstream
    attempt.state = ATTEMPT_CONNECTING
    h2.attempts += 1
    list_remove(&attempt.waiting)
    list_append(&h2.waiting, &attempt.waiting)


cdef void shared_take(Upstream *upstream, Attempt *attempt) noexcept nogil:
    place_give(<ClientH2 *>upstream.h2, attempt)
    attempt_ready(attempt)


# -- connecting -------------------------------------------------------------------------------------------------------

cdef int shared_connect(Worker *worker, Attempt *attempt) noexcept nogil:
    cdef Host *host = attempt.host
    cdef ClientH2 *h2
    cdef Upstream *upstream
    if client_connect(worker, attempt) < 0:
        return -1
    if likely(not pool_shares(attempt)):
        return 0
    upstream = attempt.upstream
    h2 = <ClientH2 *>slab_get(&worker.h2_clients_slab)
    if unlikely(h2 == NULL):
        attempt.upstream = NULL
        conn_close(&upstream.conn, False)
        return -1
    h2.upstream = upstream
    silence_settings(h2)
    h2.attempts = 0
    h2.connected = 0
    h2.scheduled = 0
    h2.closing = 0
    h2.heard = worker.loop.now
    h2.asked = 0
    h2.told = 0
    h2.rests_until = 0
    memset(&h2.c, 0, sizeof(h2.c))
    list_init(&h2.waiting)
    list_init(&h2.failing)
    list_init(&h2.ready)
    list_append(&host.shared, &h2.node)
    upstream.h2 = h2
    upstream.attempt = NULL
    upstream.conn.ops = &worker.client_h2_conn
    place_await(h2, attempt)
    return 0


cdef void client_h2_connected(Conn *conn, int error) noexcept nogil:
    cdef ClientH2 *h2 = h2_of(conn)
    cdef Upstream *upstream = h2.upstream
    cdef Worker *worker = upstream.worker
    cdef Host *host = upstream.host
    cdef uint64_t age = host.cluster.config.pool_max_age
    cdef H2Limits limits
    cdef int verdict = ALPN_REFUSED
    timer_clear(&conn.timer)
    if likely(error == 0):
        verdict = client_alpn_verdict(upstream)
        if unlikely(verdict == ALPN_ALONE):
            client_alpn_alone(h2)
            return
    if unlikely(verdict == ALPN_REFUSED):
        note_failure(h2)
        host.stats.connect_failures += 1
        host.cluster.stats.connect_failures += 1
        client_h2_end(h2, FLAG_UF)
        return
    if unlikely(conn.state & CONN_HUNG_UP) and conn_at_end(conn):
        client_h2_end(h2, FLAG_UC)
        return
    memset(&limits, 0, sizeof(limits))
    limits.head = host.cluster.config.max_response_head
    limits.line = limits.head
    limits.fields = MESSAGE_FIELDS_MAX
    limits.window = WINDOW
    limits.window_most = WINDOW_MOST
    limits.connection_window = CONNECTION_WINDOW
    limits.connection_window_most = CONNECTION_WINDOW_MOST
    h2.connected = 1
    if h2c_init(
        &h2.c, H2_CLIENT, &worker.bufs, &worker.h2_streams_slab, &worker.messages_slab, &worker.hpack_lookup, &limits,
        worker.loop.now, &worker.lane.header.protocol_errors_upstream, &worker.lane.header.protocol_errors_upstream,
    ) < 0:
        client_h2_end(h2, FLAG_UF)
        return
    if age != 0:
        # Up to a tenth less, so that connections opened together do not end together
        upstream.expires = worker.loop.now + age - random_span(&worker.random, age // 10)
    upstream.state = UPSTREAM_BUSY
    silence_begin(h2)
    client_h2_schedule(h2)
    serve_waiting(h2)


cdef void note_failure(ClientH2 *h2) noexcept nogil:
    """What TLS has to say is the reason for all who wait."""
    cdef Node *node = h2.waiting.next
    while h2.upstream.conn.tls != NULL and node != &h2.waiting:
        client_note_failure(h2.upstream, attempt_of(node))
        node = node.next


cdef Attempt *next_waiting(ClientH2 *h2) noexcept nogil:
    """The first that may go now, or NULL."""
    cdef Node *node = h2.waiting.next
    while node != &h2.waiting:
        if not client_h2_tunnel_waits(h2, attempt_of(node).exchange):
            return attempt_of(node)
        node = node.next
    return NULL


cdef void serve_waiting(ClientH2 *h2) noexcept nogil:
    cdef Attempt *attempt
    while True:
        attempt = next_waiting(h2)
        if attempt == NULL:
            return
        list_remove(&attempt.waiting)
        client_h2_tunnel_settle(h2, attempt.exchange)
        attempt.reused = 0
        h2.upstream.requests += 1
        attempt.state = ATTEMPT_RUNNING
        attempt_ready(attempt)


# -- ends -------------------------------------------------------------------------------------------------------------

cdef void fail_listed(Node *listed, int flag) noexcept nogil:
    cdef Attempt *attempt
    while not list_empty(listed):
        attempt = attempt_of(listed.next)
        # Who had not begun may begin anew, on another connection
        attempt.unread = attempt.unread or (flag == FLAG_UC and attempt.state == ATTEMPT_CONNECTING)
        stream_let_go(attempt, H2_CANCEL)
        attempt_failed(attempt, flag)


cdef void fail_above(ClientH2 *h2, uint32_t last, int flag, bint untouched) noexcept nogil:
    """The streams with higher ids; `untouched`: the host has not looked at them."""
    cdef H2Stream *s
    cdef Attempt *attempt
    while True:
        s = h2_owned_above(&h2.c, last)
        if s == NULL:
            break
        attempt = (<ClientStream *>s.owner).attempt
        if untouched:
            attempt.delivered = 0
            attempt.unread = 1
        stream_let_go(attempt, H2_CANCEL)
        attempt_failed(attempt, flag)


cdef void client_h2_end(ClientH2 *h2, int flag) noexcept nogil:
    """The connection is closed, and then everybody on it is told."""
    cdef Upstream *upstream = h2.upstream
    if upstream.conn.watch.dead:
        return
    h2.closing = 1
    list_remove(&h2.node)
    conn_close(&upstream.conn, False)
    pool_closed(upstream)
    fail_listed(&h2.waiting, flag)
    fail_listed(&h2.failing, flag)
    if h2.connected and h2.c.buckets != NULL:
        fail_above(h2, 0, flag, False)


cdef void client_h2_bury(Conn *conn) noexcept nogil:
    cdef ClientH2 *h2 = h2_of(conn)
    cdef Worker *worker = h2.upstream.worker
    if h2.connected:
        h2c_destroy(&h2.c)
    slab_put(&worker.h2_clients_slab, h2)
    slab_put(&worker.upstreams_slab, <Upstream *>conn)


cdef void shared_close(Upstream *upstream) noexcept nogil:
    """An idle connection, whichever protocol it speaks."""
    if likely(upstream.h2 == NULL):
        client_close(upstream)
    else:
        client_h2_end(<ClientH2 *>upstream.h2, FLAG_UC)


# -- whether the host is still there -----------------------------------------------------------------------------------

cdef void silence_settings(ClientH2 *h2) noexcept nogil:
    cdef const Cluster *cluster = h2.upstream.host.cluster
    h2.interval = cluster.config.keepalive_interval
    h2.patience = cluster.config.keepalive_timeout if h2.interval != 0 else <uint64_t>ANSWER_TIME * SECOND


cdef inline bint is_asked(const ClientH2 *h2) noexcept nogil:
    return unlikely(h2.asked != 0) and h2.heard <= h2.asked


cdef uint64_t silence_due(const ClientH2 *h2) noexcept nogil:
    """When there is something to do about it."""
    cdef bint idle = h2.upstream.state == UPSTREAM_IDLE
    cdef uint64_t due
    if is_asked(h2):
        due = h2.asked + h2.patience
    elif unlikely(h2.interval != 0):
        due = h2.heard + h2.interval
    elif idle:
        due = h2.rests_until
    else:
        due = h2.heard + <uint64_t>(LONG_SILENCE if h2.told == h2.heard else SILENCE) * SECOND
    return h2.rests_until if idle and h2.rests_until < due else due


cdef void silence_begin(ClientH2 *h2) noexcept nogil:
    """There are requests again. What was asked before them is still to be answered."""
    if likely(not is_asked(h2)):
        h2.heard = h2.upstream.worker.loop.now
        h2.told = 0
    timer_set(&h2.upstream.worker.loop.timers, &h2.upstream.conn.timer, silence_due(h2))


cdef void silence_rest(ClientH2 *h2) noexcept nogil:
    """The pool has it, and has set the timer to the end of its idle time."""
    h2.rests_until = h2.upstream.conn.timer.deadline
    if unlikely(h2.interval != 0 or is_asked(h2)):
        timer_set(&h2.upstream.worker.loop.timers, &h2.upstream.conn.timer, silence_due(h2))


cdef bint silence_ends(ClientH2 *h2) noexcept nogil:
    """Its time is over, unless an answer lies in the socket of a worker that was held up. False: the end."""
    cdef Upstream *upstream = h2.upstream
    upstream.conn.state |= CONN_READABLE
    client_h2_input(&upstream.conn)
    if upstream.conn.watch.dead:
        return False
    if not is_asked(h2):
        return True
    upstream.worker.lane.header.http2_lost_upstream += 1
    client_h2_end(h2, FLAG_UC)
    return False


cdef void silence_check(ClientH2 *h2, uint64_t now) noexcept nogil:
    """Of the timer: the host is asked, or taken for gone."""
    silence_settings(h2)
    if is_asked(h2):
        if h2.asked + h2.patience <= now and not silence_ends(h2):
            return
    elif silence_due(h2) <= now:
        h2.asked = now
        h2c_ask(&h2.c)
        client_h2_schedule(h2)
    timer_set(&h2.upstream.worker.loop.timers, &h2.upstream.conn.timer, silence_due(h2))


cdef void client_h2_timeout(Conn *conn, uint64_t now) noexcept nogil:
    cdef ClientH2 *h2 = h2_of(conn)
    cdef Upstream *upstream = h2.upstream
    if upstream.state == UPSTREAM_CONNECTING:
        upstream.host.stats.connect_failures += 1
        upstream.host.cluster.stats.connect_timeouts += 1
        if conn.tls != NULL and not conn.state & CONN_CONNECTING:
            tls_timed_out(conn)
            note_failure(h2)
        client_h2_end(h2, FLAG_UF)
    elif upstream.state == UPSTREAM_IDLE and h2.rests_until <= now:
        client_h2_end(h2, FLAG_UC)
    else:
        silence_check(h2, now)


# -- output -----------------------------------------------------------------------------------------------------------

cdef int output_write(ClientH2 *h2) noexcept nogil:
    """All that is in the output, in as few calls as it takes."""
    cdef iovec pieces[PIECES]
    cdef uint32_t count, total
    cdef Buf *buf
    cdef int result = CONN_DONE
    while h2.c.out_bytes != 0 and result == CONN_DONE:
        buf = h2.c.out_first
        count = 0
        total = 0
        while buf != NULL and count < <uint32_t>PIECES:
            pieces[count].iov_base = buf.data + buf.start
            pieces[count].iov_len = buf_length(buf)
            total += buf_length(buf)
            count += 1
            buf = buf.next
        result = conn_send(&h2.upstream.conn, pieces, count)
        if result >= 0:
            h2_out_gone(&h2.c, total)
    return result


cdef void deliver_ready(ClientH2 *h2) noexcept nogil:
    """Each that is listed now, once."""
    cdef Node *last = h2.ready.prev
    cdef Node *node
    cdef bint more = not list_empty(&h2.ready)
    while more and not list_empty(&h2.ready):
        node = h2.ready.next
        more = node != last
        call_deliver(call_of_ready(node).attempt)


cdef void client_h2_flush(ClientH2 *h2) noexcept nogil:
    cdef Conn *conn = &h2.upstream.conn
    cdef Attempt *attempt
    cdef H2Stream *s
    cdef bint more = True
    cdef int _turn
    deliver_ready(h2)
    h2.scheduled = 0
    for _turn in range(FLUSHES):
        if conn.output != NULL:
            more = False               # `drained` goes on
            break
        more = h2c_pump(&h2.c)
        if h2.c.out_bytes == 0:
            break
        if unlikely(output_write(h2) < 0):
            # An answer may have come before the reset: it is read first
            conn.state |= CONN_HUNG_UP
            watch_make_ready(&conn.watch)
            return
        if not more:
            break
    if unlikely(not list_empty(&h2.failing)):
        fail_listed(&h2.failing, FLAG_UC)
    while True:
        s = h2c_next_drained(&h2.c)
        if likely(s == NULL):
            break
        attempt = (<ClientStream *>s.owner).attempt
        attempt.blocked = 0
        attempt.exchange.last_activity = h2.upstream.worker.loop.now
        attempt_pump(attempt)
    if more and not h2.scheduled:
        client_h2_schedule(h2)
    client_h2_settle(h2)


cdef void client_h2_settle(ClientH2 *h2) noexcept nogil:
    """The connection's own state, between two events."""
    cdef Upstream *upstream = h2.upstream
    if upstream.conn.watch.dead:
        return
    if unlikely(h2.c.flags & H2C_FAILED):
        client_h2_end(h2, FLAG_UPE)
        return
    if not h2.closing:
        while has_room(h2) and pool_lend(upstream):
            pass
    if h2.attempts != 0 or upstream.conn.watch.dead:
        return
    if h2.closing:
        if h2.c.out_bytes == 0 and upstream.conn.output == NULL:
            client_h2_end(h2, FLAG_UC)
    elif upstream.state == UPSTREAM_BUSY:
        pool_put(upstream)
        if upstream.state == UPSTREAM_IDLE and not upstream.conn.watch.dead:
            silence_rest(h2)


# -- input ------------------------------------------------------------------------------------------------------------

cdef bint client_h2_event(ClientH2 *h2, const H2Event *event) noexcept nogil:
    """False: nothing more is to be received."""
    if event.kind == H2_HEAD:
        call_head(h2, event)
    elif event.kind == H2_BODY:
        call_body(h2, event)
    elif event.kind == H2_TRAILERS:
        call_trailers(h2, event)
    elif event.kind == H2_CLOSED:
        call_closed(h2, event)
    elif event.kind == H2_GOAWAY:
        h2.closing = 1
        client_h2_schedule(h2)
        fail_above(h2, event.last, FLAG_UC, True)
    elif event.kind == H2_FAILED:
        client_h2_schedule(h2)
        return False
    elif event.kind == H2_ALIVE:
        h2.told = h2.c.now
        timer_set(&h2.upstream.worker.loop.timers, &h2.upstream.conn.timer, silence_due(h2))
    elif event.kind == H2_SETTINGS:
        if h2.upstream.conn.tls != NULL:
            client_keep_session(h2.upstream)   # the tickets of TLS 1.3 come before
        serve_waiting(h2)
    return True


cdef bint client_h2_frames(ClientH2 *h2) noexcept nogil:
    """All whole frames of the buffer. False: the connection has ended, or is to."""
    cdef Conn *conn = &h2.upstream.conn
    cdef H2Event event
    cdef uint32_t used
    while conn.input != NULL:
        used = h2c_receive(&h2.c, conn_data(conn), conn_available(conn), &event)
        # The event is acted on while its bytes are where they were
        if event.kind != H2_NOTHING and not client_h2_event(h2, &event):
            return False
        if unlikely(conn.watch.dead):
            return False
        conn.input.start += used
        if event.kind == H2_NOTHING:
            break
    return True


cdef void client_h2_input(Conn *conn) noexcept nogil:
    """From an event, with input, or from the ready list, with something to send or to pass on."""
    cdef ClientH2 *h2 = h2_of(conn)
    cdef bint due = h2.scheduled
    cdef int result = CONN_DATA
    cdef int _read
    if unlikely(not h2.connected):
        return
    h2.c.now = h2.upstream.worker.loop.now
    for _read in range(READS):
        if unlikely(h2.c.out_bytes >= H2_OUTPUT_MOST and conn.output != NULL):
            result = CONN_BLOCKED      # the host does not read: it is read again once it does
            break
        if conn.input != NULL and not client_h2_frames(h2):
            break
        if not conn.state & (CONN_READABLE | CONN_HUNG_UP) or conn.state & CONN_EOF:
            result = CONN_DONE if not conn.state & CONN_EOF else -1
            break
        result = h2_read(conn)
        if result != CONN_DATA:
            break
        h2.heard = h2.c.now
    if unlikely(conn.watch.dead):
        return
    if unlikely(h2.c.flags & H2C_FAILED):
        client_h2_flush(h2)
        return
    if unlikely(result < 0 or conn.state & (CONN_EOF | CONN_BROKEN)):
        client_h2_end(h2, FLAG_UC)
        return
    if result == CONN_DATA:
        watch_make_ready(&conn.watch)  # more may be here, or in the kernel
    if conn.input != NULL:
        conn_release_input(conn)
    if due or not list_empty(&h2.ready):
        client_h2_flush(h2)
    elif (h2.c.out_bytes != 0 or not list_empty(&h2.c.senders)) and not h2.scheduled:
        client_h2_schedule(h2)         # a window may have opened


cdef void client_h2_drained(Conn *conn) noexcept nogil:
    """The socket takes more again."""
    if conn.state & CONN_BROKEN:
        conn.state |= CONN_HUNG_UP
        watch_make_ready(&conn.watch)
        return
    client_h2_schedule(h2_of(conn))


cdef void client_h2_install(Worker *worker) noexcept nogil:
    worker.client_h2_conn.connected = client_h2_connected
    worker.client_h2_conn.input = client_h2_input
    worker.client_h2_conn.drained = client_h2_drained
    worker.client_h2_conn.timeout = client_h2_timeout
    worker.client_h2_conn.bury = client_h2_bury
    worker.hooks.connect = shared_connect
    worker.hooks.close_idle = shared_close
    worker.hooks.shared_find = shared_find
    worker.hooks.shared_take = shared_take
    call_ops_install(worker)
