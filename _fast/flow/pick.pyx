"""See `pick.pxd`."""
from tulle._fast.base.atomic cimport atomic_load_acquire_u32
from tulle._fast.base.random cimport random_below, random_next, random_split
from tulle._fast.base.types cimport int32_t, likely, uint32_t, uint64_t, unlikely
from tulle._fast.flow.affinity cimport affinity_host
from tulle._fast.flow.breaking cimport breaking_host_is_out
from tulle._fast.flow.ejection cimport ejection_is_out, ejection_probe
from tulle._fast.flow.hash_on cimport exchange_hash
from tulle._fast.flow.latency cimport latency_take
from tulle._fast.flow.step_back cimport step_back_until
from tulle._fast.flow.types cimport Exchange, Worker, host_of_load
from tulle._fast.flow.warm_up cimport warm_up_look, warm_up_returned
from tulle._fast.policy.balancer cimport HOST_BARRED, HOST_DOWN, HOST_RESTING, HOST_UP, BalancerState
from tulle._fast.policy.host_groups cimport (
    HostGroup, HostGroups, HostSet, host_groups_find, host_groups_look, host_set_draw,
)
from tulle._fast.policy.image cimport (
    BALANCER_LEAST_REQUEST, BALANCER_MAGLEV, BALANCER_PEAK_EWMA, BALANCER_RANDOM, BALANCER_RING_HASH,
    BALANCER_ROUND_ROBIN, ENDPOINTS_FALL_BACK, ENDPOINTS_ZONE_AWARE, ZONE_OWN,
)
from tulle._fast.policy.lb_least_request cimport lb_least_request_pick
from tulle._fast.policy.lb_maglev cimport lb_maglev_pick
from tulle._fast.policy.lb_peak_ewma cimport lb_peak_ewma_pick
from tulle._fast.policy.lb_random cimport lb_random_pick
from tulle._fast.policy.lb_ring_hash cimport lb_ring_hash_pick
from tulle._fast.policy.lb_round_robin cimport lb_round_robin_pick
from tulle._fast.policy.load_bound cimport LoadBound

cdef enum:
    PICK_TRIALS = 4
    NEVER = 0xFFFFFFFFFFFFFFFF


cdef inline bint host_rests(Cluster *cluster, Host *host) noexcept nogil:
    """It has asked to be left alone."""
    cdef uint64_t until = step_back_until(host)
    if until <= cluster.worker.loop.now:
        return False
    if until < cluster.look_at:
        cluster.look_at = until
    return True


cdef uint32_t host_availability(Cluster *cluster, Host *host) noexcept nogil:
    if unlikely(breaking_host_is_out(host, cluster.worker.loop.now, &cluster.look_at)):
        return HOST_BARRED
    if not host.well:
        return HOST_DOWN
    return HOST_RESTING if cluster.config.max_step_back != 0 and host_rests(cluster, host) else HOST_UP


cdef void cluster_look(Cluster *cluster) noexcept nogil:
    cdef bint well
    cdef uint32_t index
    cdef Host *host
    # Read before the hosts are: a change that comes meanwhile raises it again, and we look again
    cluster.epoch = atomic_load_acquire_u32(&cluster.state.epoch)
    cluster.look_at = NEVER
    for index in range(cluster.host_count):
        host = cluster.hosts[index]
        well = not ejection_is_out(host, &cluster.look_at) and atomic_load_acquire_u32(&host.health.unhealthy) == 0
        if unlikely(well and not host.well and cluster.looked != 0):
            warm_up_returned(host)
        host.well = well
        host.load.available = host_availability(cluster, host)
        if cluster.config.balancer == BALANCER_PEAK_EWMA:
            latency_take(host)
    cluster.looked = cluster.worker.loop.now
    if unlikely(cluster.config.slow_start.window != 0 or cluster.weighed):
        warm_up_look(cluster)
    host_groups_look(&cluster.groups)


cdef bint exchange_tried(const Exchange *x, const Host *host) noexcept nogil:
    cdef uint32_t index
    for index in range(x.tried_count):
        if x.tried[index] == host:
            return True
    return False


cdef int32_t hashed_pick(Cluster *cluster, BalancerState *state, Exchange *x, int trial) noexcept nogil:
    """`trial`: how often the host that came of it had been tried already."""
    cdef uint64_t hash = exchange_hash(x) + trial * <uint64_t>0x9E3779B97F4A7C15
    cdef LoadBound bound
    bound.factor = cluster.config.bounded_load
    bound.in_flight = cluster.stats.requests_active
    if cluster.config.balancer == BALANCER_MAGLEV:
        return lb_maglev_pick(state, hash, &bound)
    return lb_ring_hash_pick(state, hash, &cluster.config.ring, &bound)


cdef inline int32_t algorithm_pick(Cluster *cluster, BalancerState *state, Exchange *x, int trial) noexcept nogil:
    cdef Worker *worker = cluster.worker
    cdef uint32_t balancer = cluster.config.balancer
    if balancer == BALANCER_ROUND_ROBIN:
        return lb_round_robin_pick(state)
    if balancer == BALANCER_LEAST_REQUEST:
        return lb_least_request_pick(state, &worker.random, cluster.config.choices)
    if balancer == BALANCER_PEAK_EWMA:
        return lb_peak_ewma_pick(state, &worker.random, &cluster.config.ewma, worker.loop.now, cluster.config.choices)
    if balancer == BALANCER_RANDOM:
        return lb_random_pick(state, &worker.random)
    return hashed_pick(cluster, state, x, trial)


cdef Host *untried_host(Cluster *cluster, const BalancerState *state, const Exchange *x) noexcept nogil:
    """Any that is up, since the algorithm came upon none."""
    cdef uint32_t begin = random_below(&cluster.worker.random, state.count)
    cdef uint32_t index
    cdef Host *host
    for index in range(state.count):
        host = host_of_load(state.hosts[(begin + index) % state.count].load)
        if host.load.available == HOST_UP and not exchange_tried(x, host):
            return host
    return NULL


cdef Host *group_pick(Cluster *cluster, BalancerState *state, Exchange *x) noexcept nogil:
    """A host of one group, if there is one that has not been tried."""
    cdef Host *host = NULL
    cdef Host *other
    cdef int32_t index
    cdef int trial
    for trial in range(PICK_TRIALS):
        index = algorithm_pick(cluster, state, x, trial)
        if index < 0:
            return NULL
        host = host_of_load(state.hosts[index].load)
        if likely(x.tried_count == 0) or state.count == 1 or not exchange_tried(x, host):
            return host
    other = untried_host(cluster, state, x)
    return other if other != NULL else host


# -- several groups ---------------------------------------------------------------------------------------------------

cdef HostSet *set_choose(Cluster *cluster, const Exchange *x) noexcept nogil:
    """The hosts that the exchange's backend may use; NULL: none."""
    cdef HostGroups *groups = &cluster.groups
    cdef HostSet *hosts = groups.sets
    if x.subset == 0:
        return hosts
    hosts = host_groups_find(groups, x.subset, x.subset_key)
    if (hosts == NULL or hosts.fall_back) and groups.flags & ENDPOINTS_FALL_BACK:
        cluster.stats.subset_fallbacks += 1
        return groups.sets
    return hosts


cdef bint set_has(const HostSet *hosts, const Host *host) noexcept nogil:
    cdef const BalancerState *state
    cdef uint32_t group, index
    if hosts == NULL:
        return False
    for group in range(hosts.count):
        state = &hosts.groups[group].balancer
        for index in range(state.count):
            if state.hosts[index].load == &host.load:
                return True
    return False


cdef Host *pick_elsewhere(Cluster *cluster, const HostSet *hosts, HostGroup **group, Exchange *x) noexcept nogil:
    """A host that has not been tried, of another group than this one: the next by priority, the own zone first."""
    cdef HostGroup *left = group[0]
    cdef Host *host
    cdef uint32_t index
    for index in range(hosts.count):
        if &hosts.groups[index] == left:
            continue
        host = group_pick(cluster, &hosts.groups[index].balancer, x)
        if host != NULL and not exchange_tried(x, host):
            group[0] = &hosts.groups[index]
            return host
    return NULL


cdef void pick_count(Cluster *cluster, const HostGroup *group, const Host *host) noexcept nogil:
    if group.panic:
        cluster.stats.panic_picks += 1
    if cluster.groups.flags & ENDPOINTS_ZONE_AWARE:
        if host.load.zone == ZONE_OWN:
            cluster.stats.zone_local += 1
        else:
            cluster.stats.zone_other += 1


cdef inline uint32_t group_draw(Cluster *cluster, Exchange *x) noexcept nogil:
    """By chance, but what is hashed has its group too."""
    cdef uint64_t seed
    if cluster.config.balancer != BALANCER_RING_HASH and cluster.config.balancer != BALANCER_MAGLEV:
        return <uint32_t>(random_next(&cluster.worker.random) >> 32)
    seed = exchange_hash(x)
    return <uint32_t>(random_split(&seed) >> 32)


cdef Host *pick_grouped(Cluster *cluster, Exchange *x) noexcept nogil:
    cdef const HostSet *hosts = set_choose(cluster, x)
    cdef HostGroup *group = NULL
    cdef Host *host = NULL
    cdef Host *other
    if hosts != NULL:
        group = host_set_draw(hosts, group_draw(cluster, x))
    if group == NULL:
        return NULL
    host = group_pick(cluster, &group.balancer, x)
    if unlikely(host == NULL or exchange_tried(x, host)) and hosts.count > 1:
        other = pick_elsewhere(cluster, hosts, &group, x)
        if other != NULL:
            host = other
    if likely(host != NULL):
        pick_count(cluster, group, host)
    return host


cdef Host *pick_probe(Cluster *cluster, Attempt *attempt) noexcept nogil:
    """One of the hosts that the exchange may use, if it is to be the probe of one."""
    cdef Exchange *x = attempt.exchange
    cdef const HostSet *hosts = NULL
    if not cluster.config.outlier.enabled or cluster.groups.set_count == 0:
        return NULL
    hosts = cluster.groups.sets
    if x.subset != 0:
        hosts = host_groups_find(&cluster.groups, x.subset, x.subset_key)
    return ejection_probe(hosts, attempt) if hosts != NULL else NULL


cdef Host *cluster_pick(Cluster *cluster, Attempt *attempt) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    cdef Host *host
    if unlikely(
        atomic_load_acquire_u32(&cluster.state.epoch) != cluster.epoch
        or cluster.worker.loop.now >= cluster.look_at
    ):
        host = pick_probe(cluster, attempt)
        cluster_look(cluster)
        if host != NULL:
            return host
    if unlikely(cluster.config.affinity.count != 0):
        host = affinity_host(cluster, x)
        if host != NULL and (x.subset == 0 or set_has(set_choose(cluster, x), host)):
            return host
    if likely(cluster.groups.plain and x.subset == 0):
        return group_pick(cluster, &cluster.groups.groups[0].balancer, x)
    return pick_grouped(cluster, x) if cluster.groups.set_count > 0 else NULL
