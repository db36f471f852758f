"""See `breaking.pxd`."""
from tulle._fast.base.atomic cimport atomic_fetch_add_u32, atomic_load_u64
from tulle._fast.base.types cimport likely, unlikely
from tulle._fast.flow.ejection cimport ejection_probe_dropped
from tulle._fast.flow.pick cimport cluster_look, cluster_pick
from tulle._fast.policy.breaker cimport (
    BREAKER_CLOSED, BREAKER_OF_CLUSTER, BREAKER_OF_ENDPOINT, breaker_admit, breaker_drop, breaker_is_shut,
    breaker_kind, breaker_record, breaker_until,
)

cdef enum:
    HOST_TRIALS = 4                    # hosts that other workers have filled up since we looked
    SECOND = 1000000000


cdef inline void cluster_changed(Cluster *cluster) noexcept nogil:
    atomic_fetch_add_u32(&cluster.state.epoch, 1)


# -- before a try -----------------------------------------------------------------------------------------------------

cdef bint host_admit(Host *host, uint64_t now, uint64_t *token) noexcept nogil:
    cdef bint changed = False
    if not breaker_admit(&host.health.breaker, &host.cluster.config.breaker, now, token, &changed):
        return False
    if unlikely(changed):
        cluster_changed(host.cluster)
    return True


cdef Host *breaking_pick(Cluster *cluster, Attempt *attempt, Passage *passage, bint *shut) noexcept nogil:
    cdef uint64_t now = cluster.worker.loop.now
    cdef bint changed = False
    cdef Host *host
    cdef int _trial
    passage.cluster_token = 0
    passage.host_token = 0
    shut[0] = cluster.config.breaker.scope & BREAKER_OF_CLUSTER and not breaker_admit(
        &cluster.state.breaker, &cluster.config.breaker, now, &passage.cluster_token, &changed
    )
    if unlikely(shut[0]):
        return NULL
    for _trial in range(HOST_TRIALS):
        host = cluster_pick(cluster, attempt)
        if host == NULL:
            break
        if likely(
            not cluster.config.breaker.scope & BREAKER_OF_ENDPOINT or host_admit(host, now, &passage.host_token)
        ):
            return host
        if unlikely(host.probe == attempt):
            ejection_probe_dropped(host)
        cluster_look(cluster)
    if passage.cluster_token != 0:
        breaker_drop(&cluster.state.breaker, passage.cluster_token)
    return NULL


cdef bint breaking_cluster_is_shut(const Cluster *cluster) noexcept nogil:
    cdef uint64_t look_at = <uint64_t>-1
    return cluster.config.breaker.scope & BREAKER_OF_CLUSTER and breaker_is_shut(
        &cluster.state.breaker, &cluster.config.breaker, cluster.worker.loop.now, &look_at
    )


cdef uint64_t breaking_seconds_left(const Cluster *cluster) noexcept nogil:
    cdef uint64_t until = breaker_until(atomic_load_u64(&cluster.state.breaker.word))
    cdef uint64_t now = cluster.worker.loop.now
    return (until - now) // SECOND + 1 if until > now else 1


cdef bint breaking_host_is_out(Host *host, uint64_t now, uint64_t *look_at) noexcept nogil:
    return host.cluster.config.breaker.scope & BREAKER_OF_ENDPOINT and breaker_is_shut(
        &host.health.breaker, &host.cluster.config.breaker, now, look_at
    )


cdef bint breaking_host_is_closed(const Host *host) noexcept nogil:
    return (
        not host.cluster.config.breaker.scope & BREAKER_OF_ENDPOINT
        or breaker_kind(atomic_load_u64(&host.health.breaker.word)) == BREAKER_CLOSED
    )


# -- after it ---------------------------------------------------------------------------------------------------------

cdef void breaking_learn(Attempt *attempt, bint failed) noexcept nogil:
    cdef Host *host = attempt.host
    cdef Cluster *cluster = host.cluster
    cdef uint64_t now = cluster.worker.loop.now
    if cluster.config.breaker.scope & BREAKER_OF_ENDPOINT:
        if unlikely(breaker_record(
            &host.health.breaker, &cluster.config.breaker, now, attempt.host_token, failed
        )):
            cluster_changed(cluster)
    if cluster.config.breaker.scope & BREAKER_OF_CLUSTER:
        breaker_record(&cluster.state.breaker, &cluster.config.breaker, now, attempt.cluster_token, failed)
    attempt.host_token = 0
    attempt.cluster_token = 0


cdef void breaking_leave_host(Attempt *attempt) noexcept nogil:
    if attempt.host_token != 0 and breaker_drop(&attempt.host.health.breaker, attempt.host_token):
        cluster_changed(attempt.host.cluster)
    attempt.host_token = 0


cdef void breaking_drop(Attempt *attempt) noexcept nogil:
    breaking_leave_host(attempt)
    if attempt.cluster_token != 0:
        breaker_drop(&attempt.host.cluster.state.breaker, attempt.cluster_token)
    attempt.cluster_token = 0
