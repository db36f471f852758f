"""See `pick.pxd`."""
from tulle._fast.base.atomic cimport atomic_load_acquire_u32
from tulle._fast.base.types cimport int32_t, likely, uint32_t, uint64_t, unlikely
from tulle._fast.flow.latency cimport latency_take
from tulle._fast.flow.step_back cimport step_back_until
from tulle._fast.flow.types cimport Worker
from tulle._fast.policy.balancer cimport BalancerState, HostLoad
from tulle._fast.policy.host_groups cimport host_groups_look
from tulle._fast.policy.image cimport BALANCER_LEAST_REQUEST, BALANCER_PEAK_EWMA, BALANCER_RANDOM
from tulle._fast.policy.lb_least_request cimport lb_least_request_pick
from tulle._fast.policy.lb_peak_ewma cimport lb_peak_ewma_pick
from tulle._fast.policy.lb_random cimport lb_random_pick
from tulle._fast.policy.lb_round_robin cimport lb_round_robin_pick

cdef enum:
    PICK_TRIALS = 4
    NEVER = 0xFFFFFFFFFFFFFFFF


cdef inline Host *host_of_load(HostLoad *load) noexcept nogil:
    cdef Host *null = NULL
    return <Host *>(<char *>load - <size_t>&null.load)


cdef inline bint host_available(const Host *host) noexcept nogil:
    return atomic_load_acquire_u32(&host.health.unhealthy) == 0 and atomic_load_acquire_u32(&host.health.ejected) == 0


cdef void look_at_step_backs(Cluster *cluster) noexcept nogil:
    """Hosts that asked to be left alone are, as long as there are others."""
    cdef uint64_t now = cluster.worker.loop.now
    cdef uint64_t until
    cdef uint32_t index
    cdef bint others = False
    for index in range(cluster.host_count):
        until = step_back_until(cluster.hosts[index])
        if until > now and until < cluster.look_at:
            cluster.look_at = until
        if until <= now and cluster.hosts[index].load.available:
            others = True
    if not others or cluster.look_at == NEVER:
        return
    for index in range(cluster.host_count):
        if step_back_until(cluster.hosts[index]) > now:
            cluster.hosts[index].load.available = 0


cdef void cluster_look(Cluster *cluster) noexcept nogil:
    cdef uint32_t index
    # Read before the hosts are: a change that comes meanwhile raises it again, and we look again
    cluster.epoch = atomic_load_acquire_u32(&cluster.state.epoch)
    cluster.look_at = NEVER
    for index in range(cluster.host_count):
        cluster.hosts[index].load.available = host_available(cluster.hosts[index])
        if cluster.config.balancer == BALANCER_PEAK_EWMA:
            latency_take(cluster.hosts[index])
    if cluster.config.max_step_back != 0:
        look_at_step_backs(cluster)
    host_groups_look(&cluster.groups)


cdef bint exchange_tried(const Exchange *x, const Host *host) noexcept nogil:
    cdef uint32_t index
    for index in range(x.tried_count):
        if x.tried[index] == host:
            return True
    return False


cdef Host *cluster_pick(Cluster *cluster, Exchange *x) noexcept nogil:
    cdef BalancerState *state
    cdef Worker *worker = cluster.worker
    cdef Host *host
    cdef int32_t index = -1
    cdef int _trial
    if unlikely(
        atomic_load_acquire_u32(&cluster.state.epoch) != cluster.epoch or worker.loop.now >= cluster.look_at
    ):
        cluster_look(cluster)
    if unlikely(cluster.groups.count == 0):
        return NULL
    state = &cluster.groups.groups[0].balancer
    for _trial in range(PICK_TRIALS):
        if cluster.config.balancer == BALANCER_LEAST_REQUEST:
            index = lb_least_request_pick(state, &worker.random, cluster.config.choices)
        elif cluster.config.balancer == BALANCER_PEAK_EWMA:
            index = lb_peak_ewma_pick(state, &worker.random, &cluster.config.ewma, worker.loop.now)
        elif cluster.config.balancer == BALANCER_RANDOM:
            index = lb_random_pick(state, &worker.random)
        else:
            index = lb_round_robin_pick(state)
        if index < 0:
            return NULL
        host = host_of_load(state.hosts[index].load)
        if likely(x.tried_count == 0) or state.count == 1 or not exchange_tried(x, host):
            break
    return host
