"""See `warm_up.pxd`."""
from tulle._fast.base.atomic cimport atomic_compare_exchange_u64, atomic_load_u64, atomic_store_u64
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.host_groups cimport host_groups_weigh
from tulle._fast.policy.slow_start cimport WARM, WARM_STEPS, SlowStartPolicy, slow_start_share

cdef enum:
    SHORTEST_STEP = 10000000           # ns between two looks


cdef void warm_up_joined(Host *host) noexcept nogil:
    cdef uint64_t never = 0
    atomic_compare_exchange_u64(&host.health.joined, &never, host.cluster.worker.loop.now)


cdef void warm_up_returned(Host *host) noexcept nogil:
    # Another worker that has seen it before has written the better time
    if atomic_load_u64(&host.health.joined) <= host.cluster.looked:
        atomic_store_u64(&host.health.joined, host.cluster.worker.loop.now)


cdef bint shares_look(Cluster *cluster, const SlowStartPolicy *policy, uint64_t now) noexcept nogil:
    """Whether any host has less than its whole weight."""
    cdef uint32_t index, share
    cdef bint warming = False
    for index in range(cluster.host_count):
        share = slow_start_share(policy, atomic_load_u64(&cluster.hosts[index].health.joined), now)
        cluster.hosts[index].load.share = share
        if share < WARM:
            warming = True
    return warming


cdef void warm_up_look(Cluster *cluster) noexcept nogil:
    cdef const SlowStartPolicy *policy = &cluster.config.slow_start
    cdef uint64_t now = cluster.worker.loop.now
    cdef uint64_t step = policy.window // WARM_STEPS
    if policy.window != 0 and shares_look(cluster, policy, now):
        host_groups_weigh(&cluster.groups, WARM)
        cluster.weighed = True
        step = step if step > SHORTEST_STEP else <uint64_t>SHORTEST_STEP
        if now + step < cluster.look_at:
            cluster.look_at = now + step
    elif cluster.weighed:
        host_groups_weigh(&cluster.groups, 1)
        cluster.weighed = False
