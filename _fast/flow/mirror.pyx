"""See `mirror.pxd`. The exchange of the original calls `Hooks.mirror_feed` and `mirror_leave`."""
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from tulle._fast.base.buf cimport Buf, buf_get, buf_ref, buf_room, buf_unref
from tulle._fast.base.random cimport random_next
from tulle._fast.base.shared cimport MIRROR_ABANDONED, MIRROR_ANSWERED, MIRROR_FAILED
from tulle._fast.base.slab cimport slab_get, slab_put
from tulle._fast.base.timer cimport timer_init, timer_set
from tulle._fast.base.types cimport uint16_t, uint32_t, uint64_t, unlikely
from tulle._fast.flow.attempt cimport attempt_pump, exchange_timeout
from tulle._fast.flow.finish cimport exchange_finish
from tulle._fast.flow.table cimport table_ref
from tulle._fast.flow.token_table cimport token_use
from tulle._fast.flow.types cimport (
    BODY_DATA, BODY_END, BODY_GONE, BODY_MORE, SEND_END, X_BACKOFF, X_CONNECT, X_GRPC, X_GRPC_WEB, X_HELD, X_MIRROR,
    X_RAW, X_REPLAY_LOST, X_REQUEST_READ, X_RESPONSE_BEGUN, X_RESPONSE_ENDED, X_TLS, X_UPGRADE, Meant, Mirror,
)
from tulle._fast.http.message cimport Message
from tulle._fast.net.conn cimport CONN_DONE, Conn
from tulle._fast.policy.image cimport image_at
from tulle._fast.policy.mirror cimport MirrorEntry, mirror_hits

cdef enum:
    MIRROR_BYTES = 262144              # of a body that a mirror may be behind


# -- beginning --------------------------------------------------------------------------------------------------------

cdef bint copy_path(Exchange *x, const Exchange *original) noexcept nogil:
    """The path where it lies in the request's bytes, else a copy: its buffer has room for one target only."""
    x.path = original.path
    x.path_length = original.path_length
    x.prefix_length = original.prefix_length
    if original.path_buf == NULL:
        return True
    x.path_buf = buf_get(&x.worker.bufs, original.path_length > 4096)
    if x.path_buf == NULL:
        return False
    memcpy(x.path_buf.data, original.path, original.path_length)
    x.path_buf.end = original.path_length
    x.path = x.path_buf.data
    return True


cdef void copy_request(Exchange *x, Mirror *mirror, const Exchange *original) noexcept nogil:
    """What outlives the original: the head by reference to its buffer, texts of its connection by value."""
    memcpy(x.request, original.request, sizeof(Message))
    x.request_buf = buf_ref(original.request_buf)
    x.method = original.method
    x.version_minor = original.version_minor
    memcpy(mirror.peer, original.peer, original.peer_length)
    x.peer = mirror.peer
    x.peer_length = original.peer_length
    x.peer_port = original.peer_port
    memcpy(x.request_id, original.request_id, sizeof(x.request_id))
    x.request_id_length = original.request_id_length
    x.table = table_ref(original.table)
    x.listener = original.listener
    x.route = original.route
    x.named = original.named
    x.route_id = original.route_id
    x.grpc_deadline = original.grpc_deadline
    x.grpc_name = original.grpc_name
    x.token_entry = original.token_entry
    if unlikely(original.token != NULL):
        token_use(x, original.token)
    if unlikely(original.certificate != NULL):
        mirror.certificate = <char *>malloc(original.certificate_length)
        if mirror.certificate != NULL:
            memcpy(mirror.certificate, original.certificate, original.certificate_length)
            x.certificate = mirror.certificate
            x.certificate_length = original.certificate_length


cdef void mirror_make(Exchange *original, const MirrorEntry *entry) noexcept nogil:
    cdef Worker *worker = original.worker
    cdef Mirror *mirror = <Mirror *>slab_get(&worker.mirrors_slab)
    cdef Exchange *x = <Exchange *>slab_get(&worker.exchanges_slab)
    cdef Message *message = <Message *>slab_get(&worker.messages_slab)
    if mirror == NULL or x == NULL or message == NULL or original.peer_length > sizeof(mirror.peer):
        if mirror != NULL:
            slab_put(&worker.mirrors_slab, mirror)
        if x != NULL:
            slab_put(&worker.exchanges_slab, x)
        if message != NULL:
            slab_put(&worker.messages_slab, message)
        return
    memset(mirror, 0, sizeof(Mirror))
    memset(x, 0, sizeof(Exchange))
    mirror.exchange = x
    mirror.goal = &entry.goal
    mirror.suffix = entry.suffix != 0
    x.worker = worker
    x.attempt = &x.first
    x.first.exchange = x
    x.server = mirror
    x.server_ops = &worker.mirror_ops
    x.request = message
    x.started = worker.loop.now
    x.last_activity = worker.loop.now
    x.wall_started = x.started + worker.wall_offset
    # Never sent again, whatever the route says of retries
    x.flags = X_MIRROR | X_HELD | X_BACKOFF | X_REPLAY_LOST | (original.flags & (X_REQUEST_READ | X_GRPC | X_TLS))
    x.backoff_until = worker.loop.now
    worker.lane.header.requests_active += 1
    copy_request(x, mirror, original)
    timer_init(&x.timer, exchange_timeout)
    if not copy_path(x, original):
        exchange_finish(x, False, False)
        return
    if not original.flags & X_REQUEST_READ:
        mirror.source = original
        mirror.next = original.mirrors
        original.mirrors = mirror
    timer_set(&worker.loop.timers, &x.timer, worker.loop.now)


cdef void mirror_begin(Exchange *x) noexcept nogil:
    cdef const MirrorEntry *entry = <const MirrorEntry *>image_at(x.table.image, x.route.mirrors.offset)
    cdef uint32_t index
    if x.flags & (X_CONNECT | X_UPGRADE | X_GRPC_WEB | X_RAW):
        return                         # what a tunnel says next depends on the answer; and see grpc_web
    for index in range(x.route.mirrors.count):
        if mirror_hits(&entry[index], random_next(&x.worker.random)):
            mirror_make(x, &entry[index])


cdef const BackendEntry *mirror_goal(const Exchange *x) noexcept nogil:
    return (<Mirror *>x.server).goal


# -- the body, from the original --------------------------------------------------------------------------------------

cdef void mirror_detach(Mirror *mirror) noexcept nogil:
    """The original has nothing more for it."""
    cdef Mirror **place
    if mirror.source == NULL:
        return
    place = &mirror.source.mirrors
    while place[0] != mirror:
        place = &place[0].next
    place[0] = mirror.next
    mirror.source = NULL


cdef bint mirror_keep(Mirror *mirror, const char *data, size_t length) noexcept nogil:
    """A copy at the end of the queue; False when it is too far behind."""
    cdef Worker *worker = mirror.exchange.worker
    cdef size_t part
    cdef Buf *buf
    if mirror.queued + length > MIRROR_BYTES:
        return False
    mirror.queued += <uint32_t>length
    while length > 0:
        buf = mirror.last
        if buf == NULL or buf_room(buf) == 0:
            buf = buf_get(&worker.bufs, False)
            if buf == NULL:
                return False
            buf.next = NULL
            if mirror.last == NULL:
                mirror.first = buf
            else:
                mirror.last.next = buf
            mirror.last = buf
        part = min(length, <size_t>buf_room(buf))
        memcpy(buf.data + buf.end, data, part)
        buf.end += <uint32_t>part
        data += part
        length -= part
    return True


cdef void mirror_feed(Exchange *original, const char *data, size_t length, bint end) noexcept nogil:
    cdef Mirror *mirror = original.mirrors
    cdef Mirror *following
    while mirror != NULL:
        following = mirror.next
        if not mirror_keep(mirror, data, length):
            mirror.abandoned = 1
            exchange_finish(mirror.exchange, False, False)
        else:
            if end:
                mirror.complete = 1
                mirror_detach(mirror)
            attempt_pump(mirror.exchange.attempt)
        mirror = following


cdef void mirror_leave(Exchange *original) noexcept nogil:
    """The original is over before its body was: what the mirror has of it is no request."""
    while original.mirrors != NULL:
        exchange_finish(original.mirrors.exchange, False, False)


# -- the server side --------------------------------------------------------------------------------------------------

cdef int mirror_read_body(Exchange *x, const char **data, size_t *length) noexcept nogil:
    cdef Mirror *mirror = <Mirror *>x.server
    cdef Worker *worker = x.worker
    cdef Buf *buf
    if mirror.given != NULL:
        buf_unref(&worker.bufs, mirror.given)
        mirror.given = NULL
    buf = mirror.first
    if buf == NULL:
        return BODY_END if mirror.complete else BODY_MORE if mirror.source != NULL else BODY_GONE
    mirror.first = buf.next
    if mirror.first == NULL:
        mirror.last = NULL
    mirror.given = buf
    data[0] = buf.data + buf.start
    length[0] = buf.end - buf.start
    mirror.queued -= buf.end - buf.start
    return BODY_END if mirror.first == NULL and mirror.complete else BODY_DATA


cdef int mirror_send(Exchange *x, uint32_t flags, const char *data, size_t length) noexcept nogil:
    (<Mirror *>x.server).answered = flags & SEND_END != 0
    return CONN_DONE


cdef int mirror_informational(Exchange *x, const Message *message) noexcept nogil:
    return CONN_DONE


cdef int mirror_reply(Exchange *x, uint16_t status, uint32_t extras, const char *body, size_t length) noexcept nogil:
    """There was no answer, and nobody to tell."""
    x.flags |= X_RESPONSE_BEGUN | X_RESPONSE_ENDED
    exchange_finish(x, False, False)
    return CONN_DONE


cdef uint32_t mirror_local_address(Exchange *x, char *text) noexcept nogil:
    return 0


cdef const Meant *mirror_meant(Exchange *x) noexcept nogil:
    return NULL


cdef Conn *mirror_plain_sink(Exchange *x) noexcept nogil:
    return NULL


cdef Conn *mirror_plain_source(Exchange *x, uint64_t **remaining) noexcept nogil:
    return NULL


cdef void mirror_finished(Exchange *x, bint keep, bint cut) noexcept nogil:
    cdef Mirror *mirror = <Mirror *>x.server
    cdef Worker *worker = x.worker
    cdef Buf *buf
    mirror_detach(mirror)
    if x.cluster != NULL:
        if mirror.abandoned:
            x.cluster.stats.mirrored[<int>MIRROR_ABANDONED] += 1
        elif mirror.answered:
            x.cluster.stats.mirrored[<int>MIRROR_ANSWERED] += 1
        else:
            x.cluster.stats.mirrored[<int>MIRROR_FAILED] += 1
    if mirror.given != NULL:
        buf_unref(&worker.bufs, mirror.given)
    while mirror.first != NULL:
        buf = mirror.first
        mirror.first = buf.next
        buf_unref(&worker.bufs, buf)
    free(mirror.certificate)
    slab_put(&worker.mirrors_slab, mirror)


cdef void mirror_install(Worker *worker) noexcept nogil:
    worker.hooks.mirror_feed = mirror_feed
    worker.hooks.mirror_leave = mirror_leave
    worker.mirror_ops.send = mirror_send
    worker.mirror_ops.send_informational = mirror_informational
    worker.mirror_ops.reply = mirror_reply
    worker.mirror_ops.local_address = mirror_local_address
    worker.mirror_ops.meant = mirror_meant
    worker.mirror_ops.plain_sink = mirror_plain_sink
    worker.mirror_ops.plain_source = mirror_plain_source
    worker.mirror_ops.read_body = mirror_read_body
    worker.mirror_ops.finished = mirror_finished
