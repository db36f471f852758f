"""See `cluster_writer.pxd`."""
from libc.string cimport memset

from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.balancing_writer cimport write_balancing
from tulle._fast.policy.image cimport *
from tulle._fast.policy.outlier_writer cimport outlier_policy
from tulle._fast.policy.retry_budget cimport RetryBudget


cdef int fill_retry_budget(RetryBudget *budget, row) except -1:
    memset(budget, 0, sizeof(RetryBudget))
    if row is not None:
        budget.enabled = 1
        budget.percent = row.percent
        budget.least = row.least
    return 0


cdef Span write_clusters(ImageBuffer out, rows, list slots) except *:
    cdef Span span
    cdef ClusterEntry entry
    cdef Py_ssize_t index
    span.count = <uint32_t>len(rows)
    span.offset = out.reserve(sizeof(ClusterEntry), span.count)
    for index, cluster in enumerate(rows):
        memset(&entry, 0, sizeof(ClusterEntry))
        entry.slot, entry.generation = slots[index]
        entry.name = out.text(cluster.name)
        write_balancing(out, &entry, cluster)
        entry.max_connections = cluster.max_connections
        entry.max_pending = cluster.max_pending
        entry.max_requests = cluster.max_requests
        entry.max_retries = cluster.max_retries
        entry.connect_timeout = cluster.connect_timeout
        entry.pending_timeout = cluster.pending_timeout
        entry.pool_idle_timeout = cluster.pool_idle_timeout
        entry.pool_max_age = cluster.pool_max_age
        entry.pool_max_requests = cluster.pool_max_requests
        entry.max_response_head = cluster.max_response_head
        fill_retry_budget(&entry.retry_budget, cluster.retry_budget)
        entry.outlier = outlier_policy(cluster.outlier)
        (<ClusterEntry *>(out.data + span.offset))[index] = entry
    return span
