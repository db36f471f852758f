"""See `pool.pxd`. Called by the exchange (acquire), the client side (put, closed) and the worker (wake, drain)."""
from libc.string cimport memcmp

from tulle._fast.base.atomic cimport atomic_store_u64
from tulle._fast.base.list cimport Node, list_append, list_empty, list_prepend, list_remove
from tulle._fast.base.shared cimport LIMIT_CONNECTIONS, LIMIT_PENDING
from tulle._fast.base.timer cimport timer_set
from tulle._fast.base.types cimport int64_t, likely, uint32_t, uint64_t, unlikely
from tulle._fast.flow.breaking cimport breaking_host_is_closed, breaking_leave_host
from tulle._fast.flow.ejection cimport ejection_probe_dropped
from tulle._fast.flow.introduction cimport introduction_of
from tulle._fast.flow.try_time cimport try_ends
from tulle._fast.flow.types cimport (
    ATTEMPT_CONNECTING, ATTEMPT_RUNNING, ATTEMPT_WAITING, UPSTREAM_BUSY, UPSTREAM_IDLE, X_RAW, Cluster,
    Exchange, Host,
)
from tulle._fast.flow.upstream cimport host_begin, host_end
from tulle._fast.flow.wake cimport wake_lane, wake_others
from tulle._fast.net.conn cimport CONN_EOF, CONN_HUNG_UP, CONN_READABLE, conn_is_quiet, conn_rest
from tulle._fast.net.system cimport EPOLLOUT
from tulle._fast.net.tls cimport tls_of
from tulle._fast.net.tls_context cimport TlsSet
from tulle._fast.policy.image cimport CLUSTER_AUTO, CLUSTER_HTTP2
from tulle._fast.policy.limits cimport limit_acquire, limit_oldest_lane, limit_release, limit_used
from tulle._fast.policy.retry cimport retry_method_repeats

cdef enum:
    MOST_LOOKS = 64                    # at idle connections, for the one that speaks for a client


cdef inline Upstream *upstream_of(Node *node) noexcept nogil:
    cdef Upstream *null = NULL
    return <Upstream *>(<char *>node - <size_t>&null.node)


cdef inline Attempt *attempt_of(Node *node) noexcept nogil:
    cdef Attempt *null = NULL
    return <Attempt *>(<char *>node - <size_t>&null.waiting)


cdef void idle_remove(Upstream *upstream) noexcept nogil:
    list_remove(&upstream.node)
    upstream.host.idle_count -= 1
    upstream.host.cluster.idle_count -= 1
    upstream.host.stats.connections_idle -= 1


# -- waiters ----------------------------------------------------------------------------------------------------------

cdef void waiters_publish(Cluster *cluster) noexcept nogil:
    """Tell the other workers since when our oldest waits."""
    cdef uint64_t since = 0
    if not list_empty(&cluster.waiters):
        since = attempt_of(cluster.waiters.next).waiting_since
    atomic_store_u64(&cluster.lines[cluster.worker.lane_index].oldest_waiter, since)


cdef void place_offer(Cluster *cluster) noexcept nogil:
    """There may be a free place: it belongs to the oldest waiter of all workers. Who takes it offers what is left."""
    cdef Worker *worker = cluster.worker
    cdef int lane
    if likely(cluster.config.max_connections == 0):
        return
    lane = limit_oldest_lane(worker.shared, cluster.lines)
    if unlikely(lane >= 0):
        wake_lane(worker, lane)


cdef void leave_queue(Attempt *attempt) noexcept nogil:
    cdef Cluster *cluster = attempt.host.cluster
    cdef Exchange *x = attempt.exchange
    # The deadline was that of the wait: the try begins here
    x.try_deadline = try_ends(x)
    list_remove(&attempt.waiting)
    cluster.waiter_count -= 1
    limit_release(cluster.lines, cluster.worker.lane_index, LIMIT_PENDING)
    waiters_publish(cluster)


cdef void pool_leave_queue(Attempt *attempt) noexcept nogil:
    cdef Cluster *cluster = attempt.host.cluster
    cdef bint first = cluster.waiters.next == &attempt.waiting
    leave_queue(attempt)
    if first:
        place_offer(cluster)           # what had been offered to it


cdef bint idle_evict(Cluster *cluster) noexcept nogil:
    """Close an idle connection of the cluster, the least recently used to the first host found."""
    cdef Node *node = cluster.all_hosts.next
    cdef Host *host
    if cluster.idle_count == 0:
        return False
    while node != &cluster.all_hosts:
        host = <Host *>node
        if host.idle_count > 0:
            cluster.worker.hooks.close_idle(upstream_of(host.idle.prev))
            return True
        node = node.next
    return False


cdef bint place_take(Cluster *cluster) noexcept nogil:
    """A place for a connection, that of an idle one when there is no other."""
    cdef Worker *worker = cluster.worker
    cdef uint32_t maximum = cluster.config.max_connections
    while not limit_acquire(worker.shared, cluster.lines, worker.lane_index, LIMIT_CONNECTIONS, maximum):
        if not idle_evict(cluster):
            return False
    return True


cdef void serve_waiters(Cluster *cluster) noexcept nogil:
    """Connect for our waiters while there are places, as long as nobody else has waited longer."""
    cdef Worker *worker = cluster.worker
    cdef Attempt *attempt
    while limit_oldest_lane(worker.shared, cluster.lines) == <int>worker.lane_index:
        if not place_take(cluster):
            return
        attempt = attempt_of(cluster.waiters.next)
        leave_queue(attempt)
        if connect_counted(attempt) != POOL_WAIT:
            worker.hooks.attempt_failed(attempt, -1)
    place_offer(cluster)


# -- acquire ----------------------------------------------------------------------------------------------------------

cdef bint pool_trusts(const Upstream *upstream) noexcept nogil:
    cdef const TlsSet *wanted = upstream.host.cluster.tls
    if upstream.conn.tls == NULL or wanted == NULL:
        return upstream.conn.tls == NULL and wanted == NULL
    return memcmp(tls_of(&upstream.conn).tls_set.trust, wanted.trust, 16) == 0


cdef bint upstream_has_news(Upstream *upstream) noexcept nogil:
    """An event has come for it. Of TLS it may be a ticket, which is nothing to us."""
    return upstream.conn.tls == NULL or not conn_is_quiet(&upstream.conn)


cdef Upstream *idle_take(Host *host, int method, uint64_t now, uint64_t introduced) noexcept nogil:
    cdef Upstream *upstream
    cdef Node *node = host.idle.next
    cdef uint32_t looks = 0
    while node != &host.idle:
        upstream = upstream_of(node)
        node = node.next
        if unlikely(upstream.h2 != NULL) and host.cluster.config.protocol == CLUSTER_AUTO:
            continue                   # for others
        if unlikely(introduced != 0 and upstream.introduced != introduced):
            looks += 1
            if looks == MOST_LOOKS:
                break
            continue                   # it speaks for another client
        if (
            unlikely(upstream.h2 != NULL or upstream.introduced != introduced)
            or unlikely(upstream.conn.state & (CONN_READABLE | CONN_HUNG_UP | CONN_EOF))
            or (unlikely(upstream.conn.watch.pending & ~<uint32_t>EPOLLOUT) and upstream_has_news(upstream))
            or (
                unlikely(upstream.conn.tls != NULL or host.cluster.tls != NULL)
                and not pool_trusts(upstream)
            )
            or (upstream.expires != 0 and upstream.expires <= now)
            or (not retry_method_repeats(method) and not conn_is_quiet(&upstream.conn))
        ):
            host.cluster.worker.hooks.close_idle(upstream)
            continue
        idle_remove(upstream)
        return upstream
    return NULL


cdef int connect_counted(Attempt *attempt) noexcept nogil:
    """Open a connection whose place is already taken; gives the place back when that fails at once."""
    cdef Host *host = attempt.host
    cdef Cluster *cluster = host.cluster
    cdef Worker *worker = cluster.worker
    attempt.state = ATTEMPT_CONNECTING
    if worker.hooks.connect(worker, attempt) < 0:
        cluster.stats.connect_failures += 1
        host.stats.connect_failures += 1
        limit_release(cluster.lines, worker.lane_index, LIMIT_CONNECTIONS)
        place_offer(cluster)
        return POOL_FAILED
    host.connections += 1
    host.stats.connections_active += 1
    cluster.stats.connections_total += 1
    worker.lane.header.upstream_total += 1
    worker.lane.header.upstream_active += 1
    return POOL_WAIT


cdef inline bint idle_use(Attempt *attempt) noexcept nogil:
    cdef Host *host = attempt.host
    cdef uint64_t introduced = 0
    cdef Upstream *upstream
    if unlikely(host.cluster.config.proxy_protocol != 0):
        introduced = introduction_of(attempt)
    upstream = idle_take(host, attempt.exchange.method, host.cluster.worker.loop.now, introduced)
    if unlikely(upstream == NULL):
        return False
    upstream.state = UPSTREAM_BUSY
    upstream.attempt = attempt
    attempt.upstream = upstream
    attempt.state = ATTEMPT_RUNNING
    attempt.reused = 1
    return True


cdef inline int shared_find(Attempt *attempt) noexcept nogil:
    """POOL_OVERFLOW: this request's connections are not shared, or none has room."""
    if likely(not pool_shares(attempt)):
        return POOL_OVERFLOW
    return attempt.host.cluster.worker.hooks.shared_find(attempt)


cdef int pool_acquire_now(Attempt *attempt) noexcept nogil:
    cdef Cluster *cluster = attempt.host.cluster
    cdef int result = shared_find(attempt)
    if unlikely(result != POOL_OVERFLOW):
        return result
    if cluster.config.protocol != CLUSTER_HTTP2 and idle_use(attempt):
        return POOL_READY
    if cluster.config.max_connections != 0 and limit_oldest_lane(cluster.worker.shared, cluster.lines) >= 0:
        return POOL_OVERFLOW
    return connect_counted(attempt) if place_take(cluster) else POOL_OVERFLOW


cdef int pool_acquire(Attempt *attempt, bint fresh) noexcept nogil:
    cdef int result = shared_find(attempt)
    if unlikely(result != POOL_OVERFLOW):
        return result
    if likely(not fresh and attempt.host.cluster.config.protocol != CLUSTER_HTTP2) and likely(idle_use(attempt)):
        return POOL_READY
    return pool_connect(attempt)


cdef int pool_connect(Attempt *attempt) noexcept nogil:
    cdef Cluster *cluster = attempt.host.cluster
    cdef Worker *worker = cluster.worker
    cdef uint32_t maximum = cluster.config.max_connections
    cdef Attempt *first
    if maximum == 0 or limit_oldest_lane(worker.shared, cluster.lines) < 0:
        if place_take(cluster):
            return connect_counted(attempt)
        cluster.stats.overflow[<int>LIMIT_CONNECTIONS] += 1
    if not limit_acquire(worker.shared, cluster.lines, worker.lane_index, LIMIT_PENDING, cluster.config.max_pending):
        cluster.stats.overflow[<int>LIMIT_PENDING] += 1
        # While this one tried, a waiter may have been refused the place on its account
        place_offer(cluster)
        return POOL_OVERFLOW
    attempt.state = ATTEMPT_WAITING
    attempt.waiting_since = worker.loop.now
    list_append(&cluster.waiters, &attempt.waiting)
    cluster.waiter_count += 1
    waiters_publish(cluster)
    # A place may have come free between the refusal and the notice: nobody would tell us of it
    if limit_oldest_lane(worker.shared, cluster.lines) == <int>worker.lane_index and place_take(cluster):
        first = attempt_of(cluster.waiters.next)
        leave_queue(first)
        place_offer(cluster)
        if first == attempt:
            return connect_counted(attempt)
        if connect_counted(first) != POOL_WAIT:
            worker.hooks.attempt_failed(first, -1)
    wake_others(worker)
    return POOL_WAIT


# -- release ----------------------------------------------------------------------------------------------------------

cdef void hand_over(Upstream *upstream, Attempt *attempt) noexcept nogil:
    """A waiter of ours takes the connection as it is, whichever host it had been meant for."""
    cdef Host *host = upstream.host
    cdef Host *meant = attempt.host
    leave_queue(attempt)
    if meant != host:
        if unlikely(meant.probe == attempt):
            ejection_probe_dropped(meant)
        if unlikely(attempt.host_token != 0):
            breaking_leave_host(attempt)
        host_begin(host)
        host_end(meant)
        attempt.host = host
    upstream.state = UPSTREAM_BUSY
    if upstream.h2 != NULL:
        host.cluster.worker.hooks.shared_take(upstream, attempt)
        return
    attempt.ops = &upstream.worker.client_ops
    upstream.attempt = attempt
    attempt.upstream = upstream
    attempt.state = ATTEMPT_RUNNING
    attempt.reused = 1
    host.cluster.worker.hooks.attempt_ready(attempt)


cdef inline bint first_may_use(const Upstream *upstream) noexcept nogil:
    cdef const Attempt *first = attempt_of(upstream.host.cluster.waiters.next)
    if unlikely(
        first.exchange.flags & X_RAW or first.host.meant or upstream.host.cluster.config.proxy_protocol != 0
    ):
        return False
    return likely(upstream.h2 == NULL) or pool_shares(first)


cdef bint pool_lend(Upstream *upstream) noexcept nogil:
    cdef Cluster *cluster = upstream.host.cluster
    if likely(list_empty(&cluster.waiters)) or not first_may_use(upstream):
        return False
    if not breaking_host_is_closed(upstream.host):
        return False
    if limit_oldest_lane(upstream.worker.shared, cluster.lines) != <int>upstream.worker.lane_index:
        return False
    hand_over(upstream, attempt_of(cluster.waiters.next))
    return True


cdef void pool_put(Upstream *upstream) noexcept nogil:
    cdef Host *host = upstream.host
    cdef Cluster *cluster = host.cluster
    cdef Worker *worker = upstream.worker
    cdef int lane
    upstream.attempt = NULL
    upstream.state = UPSTREAM_IDLE
    host.idle_count += 1
    cluster.idle_count += 1
    host.stats.connections_idle += 1
    list_prepend(&host.idle, &upstream.node)
    if (
        unlikely(worker.draining or not host.listed)
        or (unlikely(cluster.tls != NULL or upstream.conn.tls != NULL) and not pool_trusts(upstream))
        or (cluster.config.pool_max_requests != 0 and upstream.requests >= cluster.config.pool_max_requests)
        or (upstream.expires != 0 and upstream.expires <= worker.loop.now)
    ):
        worker.hooks.close_idle(upstream)
        return
    if unlikely(cluster.config.max_connections != 0):
        lane = limit_oldest_lane(worker.shared, cluster.lines)
        if lane >= 0 and lane != <int>worker.lane_index:
            worker.hooks.close_idle(upstream)
            return
        if not list_empty(&cluster.waiters):
            if unlikely(not breaking_host_is_closed(host) or not first_may_use(upstream)):
                # The waiter has not passed its breaker, or wants none of this kind: let it have the place alone
                worker.hooks.close_idle(upstream)
                return
            idle_remove(upstream)
            hand_over(upstream, attempt_of(cluster.waiters.next))
            return
    conn_rest(&upstream.conn)
    timer_set(&worker.loop.timers, &upstream.conn.timer, worker.loop.now + cluster.config.pool_idle_timeout)


cdef void pool_closed(Upstream *upstream) noexcept nogil:
    cdef Host *host = upstream.host
    cdef Cluster *cluster = host.cluster
    cdef Worker *worker = upstream.worker
    if upstream.state == UPSTREAM_IDLE:
        idle_remove(upstream)
    host.connections -= 1
    host.stats.connections_active -= 1
    worker.lane.header.upstream_active -= 1
    limit_release(cluster.lines, worker.lane_index, LIMIT_CONNECTIONS)
    place_offer(cluster)


cdef void pool_wake(Worker *worker) noexcept nogil:
    cdef Node *node = worker.all_clusters.next
    cdef Cluster *cluster
    cdef int64_t waiting
    cdef int lane
    while node != &worker.all_clusters:
        cluster = <Cluster *>node
        node = node.next
        if cluster.config.max_connections == 0:
            continue
        lane = limit_oldest_lane(worker.shared, cluster.lines)
        if lane == <int>worker.lane_index:
            serve_waiters(cluster)
        elif lane >= 0:
            # One call may stand for many waiters: for each an idle connection, whose end offers its place
            waiting = limit_used(worker.shared, cluster.lines, LIMIT_PENDING)
            while waiting > 0 and idle_evict(cluster):
                waiting -= 1
            place_offer(cluster)


cdef void pool_drain(Worker *worker) noexcept nogil:
    cdef Node *node = worker.all_clusters.next
    cdef Cluster *cluster
    while node != &worker.all_clusters:
        cluster = <Cluster *>node
        node = node.next
        while idle_evict(cluster):
            pass
