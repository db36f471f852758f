"""A place among the retries of a cluster, by its budget or else its limit: for a retry, or for a hedge."""
from tulle._fast.base.shared cimport LIMIT_RETRIES
from tulle._fast.flow.types cimport Cluster, Worker
from tulle._fast.policy.limits cimport limit_acquire, limit_release
from tulle._fast.policy.retry_budget cimport retry_budget_acquire

cdef inline bint retry_place_acquire(Cluster *cluster) noexcept nogil:
    cdef Worker *worker = cluster.worker
    if not cluster.config.retry_budget.enabled:
        return limit_acquire(
            worker.shared, cluster.lines, worker.lane_index, LIMIT_RETRIES, cluster.config.max_retries
        )
    return retry_budget_acquire(
        worker.shared, cluster.lines, worker.lane_index, &cluster.state.retry_bucket, &cluster.config.retry_budget,
        worker.loop.now,
    )

cdef inline void retry_place_release(Cluster *cluster) noexcept nogil:
    limit_release(cluster.lines, cluster.worker.lane_index, LIMIT_RETRIES)
