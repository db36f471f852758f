"""See `pick.pxd`."""
from tulle._fast.base.atomic cimport atomic_load_acquire_u32
from tulle._fast.base.types cimport int32_t, likely, uint32_t, unlikely
from tulle._fast.flow.types cimport Worker
from tulle._fast.policy.balancer cimport BalancerState, HostLoad
from tulle._fast.policy.host_groups cimport host_groups_look
from tulle._fast.policy.image cimport BALANCER_LEAST_REQUEST, BALANCER_RANDOM
from tulle._fast.policy.lb_least_request cimport lb_least_request_pick
from tulle._fast.policy.lb_random cimport lb_random_pick
from tulle._fast.policy.lb_round_robin cimport lb_round_robin_pick

cdef enum:
    PICK_TRIALS = 4


cdef inline Host *host_of_load(HostLoad *load) noexcept nogil:
    cdef Host *null = NULL
    return <Host *>(<char *>load - <size_t>&null.load)


cdef inline bint host_available(const Host *host) noexcept nogil:
    return atomic_load_acquire_u32(&host.health.unhealthy) == 0 and atomic_load_acquire_u32(&host.health.ejected) == 0


cdef void cluster_look(Cluster *cluster) noexcept nogil:
    cdef uint32_t index
    # Read before the hosts are: a change that comes meanwhile raises it again, and we look again
    cluster.epoch = atomic_load_acquire_u32(&cluster.state.epoch)
    for index in range(cluster.host_count):
        cluster.hosts[index].load.available = host_available(cluster.hosts[index])
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
    if unlikely(atomic_load_acquire_u32(&cluster.state.epoch) != cluster.epoch):
        cluster_look(cluster)
    if unlikely(cluster.groups.count == 0):
        return NULL
    state = &cluster.groups.groups[0].balancer
    for _trial in range(PICK_TRIALS):
        if cluster.config.balancer == BALANCER_LEAST_REQUEST:
            index = lb_least_request_pick(state, &worker.random, cluster.config.choices)
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
