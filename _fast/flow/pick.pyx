"""See `pick.pxd`."""
from tulle._fast.base.atomic cimport atomic_load_acquire_u32
from tulle._fast.base.types cimport int32_t, likely, uint32_t, unlikely
from tulle._fast.flow.types cimport Worker
from tulle._fast.policy.balancer cimport BalancerState
from tulle._fast.policy.image cimport BALANCER_LEAST_REQUEST, BALANCER_RANDOM
from tulle._fast.policy.lb_least_request cimport lb_least_request_pick
from tulle._fast.policy.lb_random cimport lb_random_pick
from tulle._fast.policy.lb_round_robin cimport lb_round_robin_pick

cdef enum:
    PICK_TRIALS = 4


cdef inline bint host_usable(const Host *host) noexcept nogil:
    return atomic_load_acquire_u32(&host.health.unhealthy) == 0 and atomic_load_acquire_u32(&host.health.ejected) == 0


cdef void cluster_look(Cluster *cluster) noexcept nogil:
    cdef uint32_t index
    # Read before the hosts are: a change that comes meanwhile raises it again, and we look again
    cluster.epoch = atomic_load_acquire_u32(&cluster.state.epoch)
    for index in range(cluster.balancer.count):
        cluster.balancer.hosts[index].usable = host_usable(cluster.hosts[index])


cdef bint exchange_tried(const Exchange *x, const Host *host) noexcept nogil:
    cdef uint32_t index
    for index in range(x.tried_count):
        if x.tried[index] == host:
            return True
    return False


cdef Host *cluster_pick(Cluster *cluster, Exchange *x) noexcept nogil:
    cdef BalancerState *state = &cluster.balancer
    cdef Worker *worker = cluster.worker
    cdef int32_t index = -1
    cdef int _trial
    if unlikely(atomic_load_acquire_u32(&cluster.state.epoch) != cluster.epoch):
        cluster_look(cluster)
    for _trial in range(PICK_TRIALS):
        if cluster.config.balancer == BALANCER_LEAST_REQUEST:
            index = lb_least_request_pick(state, &worker.random, cluster.config.choices)
        elif cluster.config.balancer == BALANCER_RANDOM:
            index = lb_random_pick(state, &worker.random)
        else:
            index = lb_round_robin_pick(state)
        if index < 0:
            return NULL
        if likely(x.tried_count == 0) or state.count == 1 or not exchange_tried(x, cluster.hosts[index]):
            break
    return cluster.hosts[index]
