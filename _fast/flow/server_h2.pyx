"""See `server_h2.pxd`. RFC 9113 sections 3.4 (preface), 5.4 (errors), 6.8 (GOAWAY)."""

from tulle._fast.base.buf cimport Buf, buf_length
from tulle._fast.base.clock cimport MILLISECOND
from tulle._fast.base.list cimport list_empty
from tulle._fast.base.shared cimport FLAG_DR
from tulle._fast.base.slab cimport slab_get, slab_put
from tulle._fast.base.timer cimport timer_clear, timer_set
from tulle._fast.base.types cimport likely, uint32_t, uint64_t, unlikely
from tulle._fast.flow.h2_read cimport h2_read
from tulle._fast.flow.attempt cimport exchange_client_gone, exchange_give_up
from tulle._fast.flow.exchange cimport exchange_server_drained, listener_find
from tulle._fast.flow.farewell cimport farewell_want
from tulle._fast.flow.overload cimport ADMITTED
from tulle._fast.flow.server_h1 cimport server_close
from tulle._fast.flow.server_h2_stream cimport (
    stream_body, stream_closed, stream_head, stream_ops_install, stream_trailers,
)
from tulle._fast.flow.table cimport table_ref
from tulle._fast.flow.types cimport Table
from tulle._fast.http.h2_connection cimport h2c_ask, h2c_destroy, h2c_init, h2c_receive, h2c_shut, h2c_shutdown
from tulle._fast.http.h2_output cimport h2_out_gone
from tulle._fast.http.h2_send cimport h2c_next_drained, h2c_pump
from tulle._fast.http.h2_stream cimport h2_owned_above
from tulle._fast.http.h2_types cimport (
    H2_ALIVE, H2_BODY, H2_CLOSED, H2_FAILED, H2_GOAWAY, H2_HEAD, H2_NOTHING, H2_OUTPUT_MOST, H2_PONG, H2_REFUSE,
    H2_SERVER, H2_SETTINGS, H2_TRAILERS, H2C_FAILED, H2C_GOAWAY_SEEN, H2C_GOAWAY_SENT, H2Event, H2Limits, H2Stream,
)
from tulle._fast.net.conn cimport (
    CONN_BLOCKED, CONN_BROKEN, CONN_DATA, CONN_DONE, CONN_EOF, CONN_HUNG_UP, CONN_READABLE, Conn,
    conn_available, conn_data, conn_fill, conn_release_input, conn_rest, conn_send, conn_shutdown,
)
from tulle._fast.net.loop cimport watch_make_ready
from tulle._fast.net.system cimport iovec
from tulle._fast.policy.image cimport ListenerEntry

cdef enum:
    WINDOW = 65535                     # of a stream, in the beginning
    WINDOW_MOST = 1048576
    CONNECTION_WINDOW = 262144
    CONNECTION_WINDOW_MOST = 2097152
    PIECES = 16                        # buffers handed to the kernel in one call
    FLUSHES = 4                        # calls for one connection before others have their turn
    READS = 4
    LINGER_TIME = 1000                 # milliseconds that we read on after our FIN, so that no reset overtakes it
    LINGER_BYTES = 1048576
    PING_TIME = 1000                   # milliseconds that a drain waits for the answer to its PING


cdef inline ServerH2 *h2_of(Conn *conn) noexcept nogil:
    return <ServerH2 *>(<Server *>conn).h2


# -- beginning --------------------------------------------------------------------------------------------------------

cdef bint server_h2_begin(Server *server) noexcept nogil:
    """The preface is in the buffer, or still to come, in the time for a head. False without memory: as it was."""
    cdef Worker *worker = server.worker
    cdef ServerH2 *h2 = <ServerH2 *>slab_get(&worker.h2_servers_slab)
    cdef Table *table
    cdef const ListenerEntry *listener = listener_find(worker, server.listener_id, &table)
    cdef H2Limits limits
    if h2 == NULL or listener == NULL:
        if h2 != NULL:
            slab_put(&worker.h2_servers_slab, h2)
        return False
    limits.streams = listener.max_streams
    limits.head = listener.max_head
    limits.line = listener.max_line
    limits.fields = listener.max_fields
    limits.extended_connect = 1
    limits.window = WINDOW
    limits.window_most = WINDOW_MOST
    limits.connection_window = CONNECTION_WINDOW
    limits.connection_window_most = CONNECTION_WINDOW_MOST
    h2.server = server
    h2.exchanges = 0
    h2.requests = 0
    h2.heard = worker.loop.now
    h2.asked = 0
    h2.rests_until = 0
    h2.interval = 0
    h2.patience = 0
    h2.scheduled = 0
    h2.greeted = 0
    h2.draining = 0
    h2.lingering = 0
    if h2c_init(
        &h2.c, H2_SERVER, &worker.bufs, &worker.h2_streams_slab, &worker.messages_slab, &worker.hpack_lookup, &limits,
        worker.loop.now, &worker.lane.header.protocol_errors_downstream, &worker.lane.header.http2_calmed,
    ) < 0:
        h2c_destroy(&h2.c)
        slab_put(&worker.h2_servers_slab, h2)
        return False
    if server.message != NULL:
        slab_put(&worker.messages_slab, server.message)
        server.message = NULL
    server.parsing = 0
    server.h2 = h2
    server.conn.ops = &worker.server_h2_conn
    if server.closing or worker.draining:
        server_h2_drain(server)
    server_h2_input(&server.conn)
    return True


cdef void server_h2_bury(Conn *conn) noexcept nogil:
    cdef Server *server = <Server *>conn
    cdef ServerH2 *h2 = h2_of(conn)
    h2c_destroy(&h2.c)
    slab_put(&server.worker.h2_servers_slab, h2)
    slab_put(&server.worker.servers_slab, server)


# -- ends -------------------------------------------------------------------------------------------------------------

cdef void server_h2_end_all(ServerH2 *h2, bint give_up) noexcept nogil:
    """No exchange can be answered any more. One that is given up may wait with its last words for a window."""
    cdef H2Stream *s
    cdef uint32_t id = 0
    while True:
        s = h2_owned_above(&h2.c, id)
        if s == NULL:
            break
        id = s.id
        if give_up:
            exchange_give_up((<ServerStream *>s.owner).x, FLAG_DR)
        else:
            exchange_client_gone((<ServerStream *>s.owner).x)


cdef void server_h2_gone(ServerH2 *h2) noexcept nogil:
    """The client has left, or cannot be written to."""
    server_h2_end_all(h2, False)
    server_close(h2.server, False)


cdef void server_h2_give_up(Server *server) noexcept nogil:
    """There is no further turn of the loop: what can be said is said here."""
    cdef ServerH2 *h2 = <ServerH2 *>server.h2
    server_h2_end_all(h2, True)
    h2c_shut(&h2.c)
    h2c_pump(&h2.c)
    if server.conn.output == NULL:
        output_write(h2)


cdef void server_h2_farewell(Server *server) noexcept nogil:
    cdef ServerH2 *h2 = <ServerH2 *>server.h2
    cdef H2Stream *s = h2_owned_above(&h2.c, 0)
    cdef uint32_t id
    while s != NULL:
        id = s.id
        farewell_want((<ServerStream *>s.owner).x)
        s = h2_owned_above(&h2.c, id)


cdef void server_h2_linger(ServerH2 *h2) noexcept nogil:
    """The last frame is in the output: our FIN behind it, and a while of reading what is still coming."""
    if h2.lingering:
        return
    h2.lingering = 1
    h2.server.remaining = LINGER_BYTES
    timer_set(
        &h2.server.worker.loop.timers, &h2.server.conn.timer,
        h2.server.worker.loop.now + <uint64_t>LINGER_TIME * MILLISECOND,
    )
    server_h2_schedule(h2)


cdef void server_h2_linger_input(ServerH2 *h2) noexcept nogil:
    cdef Conn *conn = &h2.server.conn
    cdef int result = CONN_DATA
    cdef uint32_t got
    while result == CONN_DATA and conn.state & (CONN_READABLE | CONN_HUNG_UP) and not conn.state & CONN_EOF:
        result = conn_fill(conn)
        got = conn_available(conn)
        if got:
            conn.input.start = conn.input.end
        conn_release_input(conn)
        if got >= h2.server.remaining:
            server_close(h2.server, False)
            return
        h2.server.remaining -= got
    if conn.state & (CONN_EOF | CONN_BROKEN):
        server_close(h2.server, False)


cdef void server_h2_rest(ServerH2 *h2) noexcept nogil:
    """Nothing is asked for now: the idle time begins."""
    cdef Server *server = h2.server
    cdef Table *table
    cdef const ListenerEntry *listener = listener_find(server.worker, server.listener_id, &table)
    conn_rest(&server.conn)
    if unlikely(listener == NULL):
        h2.rests_until = <uint64_t>-1
        return
    h2.rests_until = server.worker.loop.now + listener.idle_timeout
    h2.interval = listener.keepalive_interval
    h2.patience = listener.keepalive_timeout
    timer_set(&server.worker.loop.timers, &server.conn.timer, silence_due(h2))


cdef void server_h2_busy(ServerH2 *h2) noexcept nogil:
    h2.rests_until = 0
    # Else the timer goes on, and comes to ask
    if likely(h2.interval == 0):
        timer_clear(&h2.server.conn.timer)


cdef void server_h2_drain(Server *server) noexcept nogil:
    """The first step. What the client opens until it answers the PING is still served."""
    cdef ServerH2 *h2 = <ServerH2 *>server.h2
    cdef Table *table
    if h2.draining or h2.lingering or h2.c.flags & H2C_FAILED:
        return
    h2.draining = 1
    if server.table == NULL and listener_find(server.worker, server.listener_id, &table) != NULL:
        server.table = table_ref(table)
    h2c_shutdown(&h2.c)
    timer_set(
        &server.worker.loop.timers, &server.conn.timer, server.worker.loop.now + <uint64_t>PING_TIME * MILLISECOND
    )
    server_h2_schedule(h2)


cdef void server_h2_shut(ServerH2 *h2) noexcept nogil:
    """The second step; the end comes with the last exchange."""
    h2c_shut(&h2.c)
    server_h2_schedule(h2)


cdef void server_h2_timeout(Conn *conn, uint64_t now) noexcept nogil:
    """The end of lingering, of waiting for the client's first words or a PING's answer, or of the idle time."""
    cdef ServerH2 *h2 = h2_of(conn)
    if h2.lingering or not h2.greeted:
        server_close(h2.server, False)
    elif h2.draining:
        if h2.c.flags & H2C_GOAWAY_SENT == 0:
            server_h2_shut(h2)
    elif h2.rests_until != 0 and h2.rests_until <= now:
        server_h2_drain(h2.server)
    elif h2.interval != 0:
        silence_check(h2, now)


# -- whether the client is still there --------------------------------------------------------------------------------

cdef inline bint is_asked(const ServerH2 *h2) noexcept nogil:
    return unlikely(h2.asked != 0) and h2.heard <= h2.asked


cdef uint64_t silence_due(const ServerH2 *h2) noexcept nogil:
    """When there is something to do about it, or about the idle time."""
    cdef uint64_t due = <uint64_t>-1
    if unlikely(h2.interval != 0):
        due = h2.asked + h2.patience if is_asked(h2) else h2.heard + h2.interval
    return h2.rests_until if h2.rests_until != 0 and h2.rests_until < due else due


cdef bint silence_ends(ServerH2 *h2) noexcept nogil:
    """Its time is over, unless an answer lies in the socket of a worker that was held up. False: the end."""
    cdef Conn *conn = &h2.server.conn
    conn.state |= CONN_READABLE
    server_h2_input(conn)
    if conn.watch.dead or h2.lingering or h2.draining:
        return False
    if not is_asked(h2):
        return True
    h2.server.worker.lane.header.http2_lost_downstream += 1
    server_h2_gone(h2)
    return False


cdef void silence_check(ServerH2 *h2, uint64_t now) noexcept nogil:
    if is_asked(h2):
        if h2.asked + h2.patience <= now and not silence_ends(h2):
            return
    elif silence_due(h2) <= now:
        h2.asked = now
        h2c_ask(&h2.c)
        server_h2_schedule(h2)
    timer_set(&h2.server.worker.loop.timers, &h2.server.conn.timer, silence_due(h2))


# -- output -----------------------------------------------------------------------------------------------------------

cdef int output_write(ServerH2 *h2) noexcept nogil:
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
        result = conn_send(&h2.server.conn, pieces, count)
        if result >= 0:
            h2_out_gone(&h2.c, total)
    return result


cdef void server_h2_flush(ServerH2 *h2) noexcept nogil:
    """What has gathered goes out; whose bytes have gone may go on; what the ends of exchanges mean is decided."""
    cdef Conn *conn = &h2.server.conn
    cdef H2Stream *s
    cdef bint more = True
    cdef int _turn
    h2.scheduled = 0
    for _turn in range(FLUSHES):
        if conn.output != NULL:
            more = False               # `drained` goes on
            break
        more = h2c_pump(&h2.c)
        if h2.c.out_bytes == 0:
            break
        if unlikely(output_write(h2) < 0):
            server_h2_gone(h2)
            return
        if not more:
            break
    while True:
        s = h2c_next_drained(&h2.c)
        if likely(s == NULL):
            break
        exchange_server_drained((<ServerStream *>s.owner).x)
    if more and not h2.scheduled:
        server_h2_schedule(h2)
    server_h2_settle(h2)


cdef void server_h2_settle(ServerH2 *h2) noexcept nogil:
    """The connection's own state, between two events."""
    cdef Server *server = h2.server
    if unlikely(h2.lingering):
        if h2.c.out_bytes == 0:
            conn_shutdown(&server.conn)
        return
    if unlikely(h2.c.flags & H2C_FAILED):
        server_h2_end_all(h2, False)
        server_h2_linger(h2)
        return
    if h2.exchanges != 0:
        return
    if unlikely(h2.c.flags & H2C_GOAWAY_SENT):
        server_h2_linger(h2)
    elif unlikely(h2.c.flags & H2C_GOAWAY_SEEN):
        server_h2_shut(h2)             # nobody will ask again
    elif unlikely(server.admitted != ADMITTED and h2.requests > 0):
        server_h2_drain(server)
    elif h2.greeted and not h2.draining and h2.rests_until == 0:
        server_h2_rest(h2)


# -- input ------------------------------------------------------------------------------------------------------------

cdef bint server_h2_event(ServerH2 *h2, const H2Event *event) noexcept nogil:
    """False: nothing more is to be received."""
    if event.kind == H2_HEAD or event.kind == H2_REFUSE:
        stream_head(h2, event)
    elif event.kind == H2_BODY:
        stream_body(h2, event)
    elif event.kind == H2_TRAILERS:
        stream_trailers(h2, event)
    elif event.kind == H2_CLOSED:
        stream_closed(h2, event)
    elif event.kind == H2_PONG:
        if h2.draining:
            server_h2_shut(h2)
    elif event.kind == H2_ALIVE:
        if not h2.draining:
            timer_set(&h2.server.worker.loop.timers, &h2.server.conn.timer, silence_due(h2))
    elif event.kind == H2_FAILED:
        server_h2_schedule(h2)
        return False
    elif event.kind == H2_GOAWAY:
        server_h2_schedule(h2)
    elif event.kind == H2_SETTINGS and not h2.greeted:
        h2.greeted = 1
        if not h2.draining:
            server_h2_rest(h2)
    return True


cdef bint server_h2_frames(ServerH2 *h2) noexcept nogil:
    """All whole frames of the buffer. False: the connection has ended, or is to."""
    cdef Conn *conn = &h2.server.conn
    cdef H2Event event
    cdef uint32_t used
    while conn.input != NULL:
        used = h2c_receive(&h2.c, conn_data(conn), conn_available(conn), &event)
        # The event is acted on while its bytes are where they were
        if event.kind != H2_NOTHING and not server_h2_event(h2, &event):
            return False
        if unlikely(conn.watch.dead):
            return False
        conn.input.start += used
        if event.kind == H2_NOTHING:
            break
    return True


cdef void server_h2_input(Conn *conn) noexcept nogil:
    """From an event, with input, or from the ready list, with something to send."""
    cdef ServerH2 *h2 = h2_of(conn)
    cdef bint due = h2.scheduled
    cdef int result = CONN_DATA
    cdef int _read
    if unlikely(h2.lingering):
        if due:
            server_h2_flush(h2)
        if not conn.watch.dead:
            server_h2_linger_input(h2)
        return
    h2.c.now = h2.server.worker.loop.now
    for _read in range(READS):
        if unlikely(h2.c.out_bytes >= H2_OUTPUT_MOST and conn.output != NULL):
            result = CONN_BLOCKED      # the client does not read: it is read again once it does
            break
        if conn.input != NULL and not server_h2_frames(h2):
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
    if unlikely(result < 0 or conn.state & CONN_EOF):
        server_h2_gone(h2)
        return
    if result == CONN_DATA and not h2.lingering:
        watch_make_ready(&conn.watch)  # more may be here, or in the kernel
    if conn.input != NULL:
        conn_release_input(conn)
    if due:
        server_h2_flush(h2)
    elif (h2.c.out_bytes != 0 or not list_empty(&h2.c.senders)) and not h2.scheduled:
        server_h2_schedule(h2)         # frames of ours, or windows that have opened


cdef void server_h2_drained(Conn *conn) noexcept nogil:
    """The socket takes more again."""
    cdef ServerH2 *h2 = h2_of(conn)
    if conn.state & CONN_BROKEN:
        server_h2_gone(h2)
        return
    server_h2_schedule(h2)


cdef void server_h2_connected(Conn *conn, int error) noexcept nogil:
    pass


cdef void server_h2_install(Worker *worker) noexcept nogil:
    worker.server_h2_conn.connected = server_h2_connected
    worker.server_h2_conn.input = server_h2_input
    worker.server_h2_conn.drained = server_h2_drained
    worker.server_h2_conn.timeout = server_h2_timeout
    worker.server_h2_conn.bury = server_h2_bury
    worker.hooks.server_h2_begin = server_h2_begin
    worker.hooks.server_h2_drain = server_h2_drain
    worker.hooks.server_h2_give_up = server_h2_give_up
    worker.hooks.server_h2_farewell = server_h2_farewell
    stream_ops_install(worker)
