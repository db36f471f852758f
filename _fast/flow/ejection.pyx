"""See `ejection.pxd`."""
from libc.stdlib cimport calloc, free

from tulle._fast.base.atomic cimport (
    atomic_compare_exchange_u64, atomic_fetch_add_u32, atomic_load_acquire_u32, atomic_load_u32, atomic_load_u64,
    atomic_store_u64,
)
from tulle._fast.base.clock cimport MILLISECOND
from tulle._fast.base.random cimport random_below
from tulle._fast.base.shared cimport RESPONSE_CLASSES, EndpointStats, lane_endpoint, shared_lane
from tulle._fast.base.types cimport int32_t, likely, uint32_t, unlikely
from tulle._fast.flow.types cimport Cluster, Worker, host_of_load
from tulle._fast.policy.balancer cimport BalancerState
from tulle._fast.policy.outlier cimport (
    OUTCOME_GOOD, OUTLIER_NONE, OUTLIER_PROBE, OutlierPolicy, OutlierSample, outlier_count, outlier_eject,
    outlier_forgive, outlier_judge, outlier_most, outlier_probe, outlier_probe_dropped, outlier_probed, outlier_sample,
    outlier_undo,
)


cdef inline void cluster_changed(Cluster *cluster) noexcept nogil:
    atomic_fetch_add_u32(&cluster.state.epoch, 1)


cdef inline bint host_is_left(const Host *host) noexcept nogil:
    return atomic_load_acquire_u32(&host.health.unhealthy) == 0 and atomic_load_u64(&host.health.ejected) == 0


cdef bint too_many_out(const Cluster *cluster) noexcept nogil:
    """More than the share, or no host that is healthy and in."""
    cdef uint32_t out = 0
    cdef uint32_t left = 0
    cdef uint32_t index
    for index in range(cluster.host_count):
        if atomic_load_u64(&cluster.hosts[index].health.ejected) != 0:
            out += 1
        elif host_is_left(cluster.hosts[index]):
            left += 1
    return left == 0 or out > outlier_most(&cluster.config.outlier, cluster.host_count)


cdef void host_eject(Host *host, int reason) noexcept nogil:
    cdef Cluster *cluster = host.cluster
    cdef Worker *worker = cluster.worker
    cdef const OutlierPolicy *policy = &cluster.config.outlier
    cdef uint64_t ejected
    if not host.listed or random_below(&worker.random, 100) >= policy.enforcing[reason]:
        return
    ejected = outlier_eject(policy, host.health, worker.loop.now)
    if ejected == 0:
        return
    if too_many_out(cluster):
        outlier_undo(host.health, ejected)
        cluster.stats.ejections_prevented += 1
        return
    cluster.stats.ejections[reason] += 1
    cluster_changed(cluster)


# -- over an interval -------------------------------------------------------------------------------------------------

cdef void host_sample(const Worker *worker, Host *host, OutlierSample *sample) noexcept nogil:
    """What all lanes have counted since the last interval; nothing for a host that is out."""
    cdef const EndpointStats *stats
    cdef uint64_t answers = 0
    cdef uint64_t errors = 0
    cdef uint64_t local = 0
    cdef uint32_t lane
    cdef int status_class
    for lane in range(atomic_load_u32(&worker.shared.lanes_used)):
        stats = lane_endpoint(shared_lane(worker.shared, lane), host.slot)
        if stats.generation != host.generation:
            continue
        for status_class in range(RESPONSE_CLASSES):
            answers += stats.responses[status_class]
        errors += stats.responses[5]
        local += stats.local_failures
    outlier_sample(host.health, <uint32_t>answers, <uint32_t>errors, <uint32_t>local, sample)
    if atomic_load_u64(&host.health.ejected) != 0:
        sample.answers = 0
        sample.errors = 0
        sample.local = 0


cdef void interval_judge(Cluster *cluster, uint64_t intervals) noexcept nogil:
    cdef OutlierSample *samples = <OutlierSample *>calloc(cluster.host_count + 1, sizeof(OutlierSample))
    cdef int32_t *verdicts = <int32_t *>calloc(cluster.host_count + 1, sizeof(int32_t))
    cdef uint32_t index
    if samples != NULL and verdicts != NULL:
        for index in range(cluster.host_count):
            host_sample(cluster.worker, cluster.hosts[index], &samples[index])
        outlier_judge(&cluster.config.outlier, samples, cluster.host_count, verdicts)
        for index in range(cluster.host_count):
            if verdicts[index] != OUTLIER_NONE:
                host_eject(cluster.hosts[index], verdicts[index])
            else:
                outlier_forgive(cluster.hosts[index].health, intervals)
    free(samples)
    free(verdicts)


cdef void interval_end(Cluster *cluster, uint64_t now) noexcept nogil:
    cdef uint64_t length = cluster.config.outlier.interval
    cdef uint64_t ends = atomic_load_u64(&cluster.state.interval_ends)
    if now < ends or not atomic_compare_exchange_u64(&cluster.state.interval_ends, &ends, now + length):
        return
    # The first outcome of all begins the first interval
    if likely(ends != 0):
        interval_judge(cluster, 1 + (now - ends) // length)


# -- outcomes and probes ----------------------------------------------------------------------------------------------

cdef void probe_end(Host *host, bint good, uint64_t now) noexcept nogil:
    cdef Cluster *cluster = host.cluster
    host.probe = NULL
    if not outlier_probed(&cluster.config.outlier, host.health, host.probe_token, good, now):
        return
    if not good:
        cluster.stats.ejections[<int>OUTLIER_PROBE] += 1
    cluster_changed(cluster)


cdef void ejection_learn(Attempt *attempt, int outcome) noexcept nogil:
    cdef Host *host = attempt.host
    cdef Cluster *cluster = host.cluster
    cdef uint64_t now = cluster.worker.loop.now
    cdef int reason
    if unlikely(host.probe == attempt):
        probe_end(host, outcome == OUTCOME_GOOD, now)
        return
    reason = outlier_count(&cluster.config.outlier, host.health, outcome)
    if unlikely(reason != OUTLIER_NONE):
        host_eject(host, reason)
    if unlikely(now >= atomic_load_u64(&cluster.state.interval_ends)):
        interval_end(cluster, now)


cdef bint host_probe(Host *host, Attempt *attempt) noexcept nogil:
    cdef Cluster *cluster = host.cluster
    cdef uint64_t token
    # A host that its health checks fail is not worth a request
    if atomic_load_u64(&host.health.ejected) == 0 or atomic_load_acquire_u32(&host.health.unhealthy) != 0:
        return False
    token = outlier_probe(&cluster.config.outlier, host.health, cluster.worker.loop.now)
    if token == 0:
        return False
    host.probe = attempt
    host.probe_token = token
    return True


cdef Host *ejection_probe(const HostSet *hosts, Attempt *attempt) noexcept nogil:
    cdef const BalancerState *state
    cdef uint32_t group, index
    for group in range(hosts.count):
        state = &hosts.groups[group].balancer
        for index in range(state.count):
            if host_probe(host_of_load(state.hosts[index].load), attempt):
                return host_of_load(state.hosts[index].load)
    return NULL


cdef void ejection_probe_dropped(Host *host) noexcept nogil:
    host.probe = NULL
    outlier_probe_dropped(host.health, host.probe_token, host.cluster.worker.loop.now)
    # All look again, for it is due at another time than they know
    cluster_changed(host.cluster)


cdef bint ejection_is_out(Host *host, uint64_t *look_at) noexcept nogil:
    cdef uint64_t ejected = atomic_load_u64(&host.health.ejected)
    cdef uint64_t soon = host.cluster.worker.loop.now + MILLISECOND
    if likely(ejected == 0):
        return False
    if not host.cluster.config.outlier.enabled:
        # A reload has taken the policy away, and nobody else would end this
        atomic_store_u64(&host.health.ejected, 0)
        return False
    # One that is due and was not probed now is tried again soon, not with every request; one whose health checks fail
    # has to wait for these
    if atomic_load_acquire_u32(&host.health.unhealthy) == 0:
        if ejected < soon:
            ejected = soon
        if ejected < look_at[0]:
            look_at[0] = ejected
    return True
