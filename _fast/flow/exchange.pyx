"""See `exchange.pxd`. Called by the server sides; calls down to attempt, reply and the policy floor."""
from libc.string cimport memset

from tulle._fast.base.buf cimport buf_get
from tulle._fast.base.list cimport Node
from tulle._fast.base.random cimport random_below
from tulle._fast.base.shared cimport FLAG_DPE, FLAG_NR, FLAG_OM, FLAG_UH, FLAG_UO, LIMIT_REQUESTS, lane_series_expect
from tulle._fast.base.slab cimport slab_get
from tulle._fast.base.timer cimport timer_init
from tulle._fast.base.types cimport likely, unlikely
from tulle._fast.flow.adapting cimport adapting_limit, adapting_refuse
from tulle._fast.flow.attempt cimport attempt_start, exchange_timeout
from tulle._fast.flow.authorize cimport authorize
from tulle._fast.flow.farewell cimport farewell_say
from tulle._fast.flow.finish cimport exchange_finish
from tulle._fast.flow.grpc cimport grpc_bound, grpc_recognise, grpc_take_name
from tulle._fast.flow.grpc_web cimport grpc_web_begin
from tulle._fast.flow.head_edits cimport request_id_choose
from tulle._fast.flow.interception cimport MEANT_TEXT, interception_name
from tulle._fast.flow.mirror cimport mirror_begin, mirror_goal
from tulle._fast.flow.overload cimport overload_refuses
from tulle._fast.flow.policing cimport police_listener, police_resumed, police_route
from tulle._fast.flow.reply cimport reply_error, reply_fixed, reply_redirect
from tulle._fast.flow.table cimport table_ref
from tulle._fast.flow.token_table cimport token_leave
from tulle._fast.flow.types cimport (
    ATTEMPT_RUNNING, TOKEN_SETTLED, TOKEN_UNASKED, TOKEN_UNAVAILABLE, X_AWAITS, X_CONNECT, X_GRPC, X_HELD,
    X_HOLDS_REQUEST, X_KEEP_ALIVE, X_MIRROR, X_RAW, X_RESPONSE_ENDED, X_SERVER_BLOCKED, X_TUNNEL, X_UPGRADE, Cluster,
)
from tulle._fast.flow.upgrade cimport upgrade_may_pass
from tulle._fast.flow.upstream cimport cluster_use
from tulle._fast.http.message cimport (
    FRAMING_LENGTH, FRAMING_NONE, MESSAGE_KEEP_ALIVE, MESSAGE_UPGRADE, METHOD_CONNECT, message_at,
)
from tulle._fast.policy.image cimport (
    LISTENER_GRPC_WEB, ROUTE_ALLOW_CONNECT, ROUTE_ALLOW_UPGRADE, ROUTE_FORWARD, ROUTE_POLICED, ROUTE_REDIRECT,
    BackendEntry, Image, RouteEntry, RouteName, TableEntry, image_at, image_cluster,
)
from tulle._fast.policy.interception cimport LISTENER_ORIGINAL_DESTINATION
from tulle._fast.policy.limits cimport limit_acquire
from tulle._fast.policy.path cimport PATH_AS_IS, PATH_REFUSED, path_normalise
from tulle._fast.policy.route cimport RouteMatch, RouteQuery, route_match


cdef const ListenerEntry *listener_in(const Image *image, uint32_t listener_id) noexcept nogil:
    cdef const ListenerEntry *entry = <const ListenerEntry *>image_at(image, image.listeners.offset)
    cdef uint32_t index
    for index in range(image.listeners.count):
        if entry[index].id == listener_id:
            return &entry[index]
    return NULL


cdef const ListenerEntry *listener_find(Worker *worker, uint32_t listener_id, Table **table) noexcept nogil:
    cdef const ListenerEntry *entry
    cdef Node *node = worker.tables.prev
    while node != &worker.tables:
        table[0] = <Table *>node
        entry = listener_in(table[0].image, listener_id)
        if likely(entry != NULL):
            return entry
        node = node.prev
    return NULL


cdef Exchange *exchange_new(
    Worker *worker, void *server, const ServerOps *ops, uint32_t listener_id, Message *message, Buf *buf,
    uint64_t started
) noexcept nogil:
    cdef Exchange *null = NULL
    cdef Exchange *x = <Exchange *>slab_get(&worker.exchanges_slab)
    cdef Table *table
    if unlikely(x == NULL):
        return NULL
    memset(x, 0, <size_t>&null.second)
    x.worker = worker
    x.attempt = &x.first
    x.first.exchange = x
    x.server = server
    x.server_ops = ops
    x.listener_id = listener_id
    x.listener = listener_find(worker, listener_id, &table)
    if likely(x.listener != NULL):
        x.table = table_ref(table)
    x.request = message
    x.request_buf = buf
    x.method = message.method
    x.version_minor = message.version_minor
    if message.flags & MESSAGE_KEEP_ALIVE:
        x.flags |= X_KEEP_ALIVE
    x.started = started
    x.last_activity = worker.loop.now
    x.wall_started = started + worker.wall_offset
    timer_init(&x.timer, exchange_timeout)
    worker.lane.header.requests_active += 1
    grpc_recognise(x)
    return x


cdef void exchange_refuse(Exchange *x, uint16_t status, int flag, const char *detail) noexcept nogil:
    x.flags &= ~<uint32_t>X_KEEP_ALIVE
    if status == 0:
        if flag >= 0:
            x.response_flags |= <uint32_t>1 << flag
        exchange_finish(x, False, False)
        return
    reply_error(x, status, flag, detail)


# -- routing ----------------------------------------------------------------------------------------------------------

cdef uint32_t without_port(const char *authority, uint32_t length) noexcept nogil:
    cdef uint32_t index = length
    while index > 0 and c'0' <= authority[index - 1] <= c'9':
        index -= 1
    if index > 0 and authority[index - 1] == c':':
        return index - 1
    return length


cdef bint path_prepare(Exchange *x) noexcept nogil:
    """x.path in normal form; False when it is refused."""
    cdef Message *message = x.request
    cdef uint32_t length = 0
    cdef int result
    if unlikely(message.path_length == 0 or message_at(message, message.path)[0] == c'*'):
        x.path = b"/"
        x.path_length = 0 if message.path_length == 0 else 1
        return True
    x.path = message_at(message, message.path)
    x.path_length = message.path_length
    # Most paths are in normal form: ask with room that is only there when it is needed
    result = path_normalise(x.path, x.path_length, x.listener.flags, x.worker.scratch, &length)
    if likely(result == PATH_AS_IS):
        return True
    if result == PATH_REFUSED:
        return False
    return path_keep(x, length)


cdef bint path_keep(Exchange *x, uint32_t length) noexcept nogil:
    cdef uint32_t index
    x.path_buf = buf_get(&x.worker.bufs, x.request.target_length > 4096)
    if x.path_buf == NULL:
        return False
    for index in range(length):
        x.path_buf.data[index] = x.worker.scratch[index]
    x.path_buf.end = length
    x.path = x.path_buf.data
    x.path_length = length
    return True


cdef void exchange_run(Exchange *x) noexcept nogil:
    cdef Message *message = x.request
    cdef RouteQuery query
    cdef RouteMatch found
    cdef const TableEntry *table
    cdef char destination[MEANT_TEXT]
    if unlikely(x.listener == NULL):
        exchange_refuse(x, 503, FLAG_UH, b"this listener is no longer configured")
        return
    request_id_choose(x)
    if unlikely(x.listener.flags & LISTENER_GRPC_WEB) and not grpc_web_begin(x):
        exchange_refuse(x, 503, FLAG_OM, b"overloaded: without memory")
        return
    if unlikely(x.table.image.overload_memory != 0) and overload_refuses(x):
        return
    if unlikely(x.listener.rate_limits.count != 0) and not police_listener(x):
        return
    if unlikely(not path_prepare(x)):
        exchange_refuse(x, 400, FLAG_DPE, b"the path is malformed, or has an escape that this listener refuses")
        return
    query.host = message_at(message, message.authority)
    query.host_length = without_port(query.host, message.authority_length)
    query.path = x.path
    query.path_length = x.path_length if x.path_length else 1          # CONNECT has none: as the root
    query.query = message_at(message, message.query)
    query.query_length = message.query_length
    query.message = message
    table = <const TableEntry *>image_at(x.table.image, x.listener.table)
    if unlikely(x.listener.flags & LISTENER_ORIGINAL_DESTINATION):
        interception_name(x, &query, destination)
    found = route_match(x.table.image, table, &query, NULL, NULL)
    x.route = found.route
    if likely(found.route != NULL):
        x.route_id = found.match.id
        x.named = <const RouteName *>image_at(x.table.image, found.match.named)
        x.prefix_length = found.prefix_length
        x.max_body = x.listener.max_body
        if unlikely(x.flags & X_GRPC):
            grpc_take_name(x, found.match.index)
    if unlikely(x.listener.guard != 0) and not authorize(x):
        return
    exchange_admit(x)


cdef void exchange_admit(Exchange *x) noexcept nogil:
    """Who sends it may do so."""
    if unlikely(x.route == NULL):
        reply_error(x, 404, FLAG_NR, NULL)
        return
    if unlikely(x.route.flags & ROUTE_POLICED) and not police_route(x):
        return
    exchange_go(x)


cdef void exchange_resume(Exchange *x) noexcept nogil:
    x.flags &= ~<uint32_t>X_HELD
    if x.flags & X_MIRROR:
        exchange_enter(x, mirror_goal(x))
    elif x.token_state != TOKEN_UNASKED and x.token_state != TOKEN_SETTLED:
        if x.flags & X_AWAITS:
            token_leave(x)             # nobody has answered in time
            x.token_state = TOKEN_UNAVAILABLE
        if authorize(x):
            exchange_admit(x)
    elif police_resumed(x):
        exchange_go(x)


cdef void exchange_go(Exchange *x) noexcept nogil:
    """To where the route sends it."""
    cdef const Message *message = x.request
    cdef const RouteEntry *route = x.route
    if (
        unlikely(x.max_body != 0) and message.framing == FRAMING_LENGTH and message.content_length > x.max_body
    ):
        exchange_refuse(x, 413, FLAG_DPE, b"the request body is larger than is allowed here")
        return
    if unlikely(route.kind != ROUTE_FORWARD):
        if route.kind == ROUTE_REDIRECT:
            reply_redirect(x)
        else:
            reply_fixed(x)
        return
    if unlikely(x.method == METHOD_CONNECT):
        if not route.flags & ROUTE_ALLOW_CONNECT:
            exchange_refuse(x, 405, FLAG_DPE, b"CONNECT is not allowed by this route")
            return
        x.flags |= X_CONNECT
    if unlikely(message.flags & MESSAGE_UPGRADE) and route.flags & ROUTE_ALLOW_UPGRADE and upgrade_may_pass(message):
        x.flags |= X_UPGRADE
    if unlikely(message.protocol_length != 0 and not x.flags & X_UPGRADE):
        # An extended CONNECT (RFC 8441) is nothing without its tunnel
        exchange_refuse(x, 501, FLAG_DPE, b"this route allows no upgrades")
        return
    if unlikely(route.mirrors.count != 0):
        mirror_begin(x)
    exchange_forward(x)


cdef const BackendEntry *backend_choose(Exchange *x) noexcept nogil:
    """Drawn by weight."""
    cdef const BackendEntry *backend = <const BackendEntry *>image_at(x.table.image, x.route.backends.offset)
    cdef uint32_t draw
    if likely(x.route.backends.count == 1):
        return backend
    draw = random_below(&x.worker.random, x.route.total_weight)
    while draw >= backend.weight_until:
        backend += 1
    return backend


cdef void exchange_forward(Exchange *x) noexcept nogil:
    if unlikely(x.route.total_weight == 0):
        reply_error(x, 503, FLAG_UH, b"all the backends of this route have weight 0")
        return
    exchange_enter(x, backend_choose(x))


cdef void exchange_enter(Exchange *x, const BackendEntry *backend) noexcept nogil:
    """To a cluster, and on to a host of it."""
    cdef const RouteEntry *route = x.route
    cdef Cluster *cluster
    cdef uint32_t limit
    cluster = cluster_use(x.worker, x.table, backend.cluster)
    if unlikely(cluster == NULL):
        reply_error(x, 503, FLAG_UH, b"no room for this cluster in shared memory")
        return
    x.cluster = cluster
    cluster.exchanges += 1
    x.cluster_generation = cluster.generation
    x.settings = image_cluster(x.table.image, backend.cluster)
    x.cluster_name = x.settings.name
    x.subset = backend.subset
    x.subset_key = backend.subset_key
    limit = cluster.config.max_requests
    if unlikely(cluster.config.adaptive.enabled):
        limit = adapting_limit(cluster)
    if unlikely(not limit_acquire(x.worker.shared, cluster.lines, x.worker.lane_index, LIMIT_REQUESTS, limit)):
        if cluster.config.adaptive.enabled:
            adapting_refuse(x, limit)
            return
        cluster.stats.overflow[<int>LIMIT_REQUESTS] += 1
        reply_error(x, 503, FLAG_UO, NULL)
        return
    x.flags |= X_HOLDS_REQUEST
    cluster.stats.requests_active += 1
    cluster.stats.requests_total += 1
    x.series_slot = lane_series_expect(
        x.worker.lane, x.listener_id, x.route_id, cluster.slot + 1, cluster.generation
    )
    x.idle_timeout = route.idle_timeout if likely(not x.flags & X_RAW) else x.listener.idle_timeout
    if route.request_timeout != 0 and x.request.framing == FRAMING_NONE and not x.flags & (X_CONNECT | X_UPGRADE):
        x.request_deadline = x.worker.loop.now + route.request_timeout
    if unlikely(x.flags & X_GRPC):
        grpc_bound(x)
    attempt_start(x)


# -- from the server side ---------------------------------------------------------------------------------------------

cdef void exchange_server_drained(Exchange *x) noexcept nogil:
    x.flags &= ~<uint32_t>X_SERVER_BLOCKED
    x.last_activity = x.worker.loop.now
    if unlikely(x.websocket.wanted) and not farewell_say(x):
        return
    if x.flags & X_RESPONSE_ENDED and not x.flags & X_TUNNEL:
        exchange_finish(x, x.flags & X_KEEP_ALIVE != 0, False)
    elif x.attempt.state == ATTEMPT_RUNNING:
        x.attempt.ops.resume(x.attempt)


cdef void exchange_install(Worker *worker) noexcept nogil:
    worker.hooks.exchange_resume = exchange_resume
