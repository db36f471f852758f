"""See `adapting.pxd`."""
from tulle._fast.base.random cimport random_next
from tulle._fast.base.shared cimport FLAG_UO, LIMIT_REQUESTS
from tulle._fast.base.types cimport uint64_t, unlikely
from tulle._fast.flow.reply cimport reply_error
from tulle._fast.policy.adaptive cimport adaptive_limit, adaptive_record


cdef uint32_t adapting_limit(Cluster *cluster) noexcept nogil:
    cdef uint32_t limit = adaptive_limit(cluster.adaptive, &cluster.config.adaptive)
    cdef uint32_t most = cluster.config.max_requests
    return most if most != 0 and most < limit else limit


cdef void adapting_refuse(Exchange *x, uint32_t limit) noexcept nogil:
    if unlikely(limit == x.cluster.config.max_requests):
        x.cluster.stats.overflow[<int>LIMIT_REQUESTS] += 1
        reply_error(x, 503, FLAG_UO, NULL)
        return
    x.cluster.stats.adaptive_refused += 1
    reply_error(x, 503, FLAG_UO, b"upstream overflow: the limit of adaptive concurrency is reached")


cdef void adapting_learn(Attempt *attempt) noexcept nogil:
    cdef Cluster *cluster = attempt.host.cluster
    cdef uint64_t now = cluster.worker.loop.now
    adaptive_record(
        cluster.adaptive, &cluster.config.adaptive, attempt.started, now - attempt.started, now,
        random_next(&cluster.worker.random),
    )
