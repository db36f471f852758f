"""See `cluster_writer.pxd`."""
from libc.string cimport memset

from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.adaptive cimport AdaptivePolicy
from tulle._fast.policy.balancing_writer cimport write_balancing
from tulle._fast.policy.breaker cimport BREAKER_OF_CLUSTER, BREAKER_OF_ENDPOINT, BreakerPolicy
from tulle._fast.policy.image cimport *
from tulle._fast.policy.outlier_writer cimport outlier_policy
from tulle._fast.policy.retry_budget cimport RetryBudget
_PROTOCOLS = {"http1": CLUSTER_HTTP1, "http2": CLUSTER_HTTP2, "auto": CLUSTER_AUTO}
_SCOPES = {"endpoint": BREAKER_OF_ENDPOINT, "cluster": BREAKER_OF_CLUSTER}


cdef int fill_retry_budget(RetryBudget *budget, row) except -1:
    memset(budget, 0, sizeof(RetryBudget))
    if row is not None:
        budget.enabled = 1
        budget.percent = row.percent
        budget.least = row.least
    return 0


cdef int fill_breaker(BreakerPolicy *policy, row) except -1:
    memset(policy, 0, sizeof(BreakerPolicy))
    if row is not None:
        for name in row.scope:
            policy.scope |= <uint32_t>_SCOPES[name]
        policy.threshold = row.threshold
        policy.minimum = row.minimum_requests
        policy.probes = row.half_open_requests
        policy.window = row.window
        policy.open = row.open
        policy.open_max = row.max_open
    return 0


cdef int fill_adaptive(AdaptivePolicy *policy, row) except -1:
    memset(policy, 0, sizeof(AdaptivePolicy))
    if row is not None:
        policy.enabled = 1
        policy.min_concurrency = row.min_concurrency
        policy.max_concurrency = row.max_concurrency
        policy.request_count = row.request_count
        policy.percentile = row.percentile
        policy.buffer = row.buffer
        policy.update_interval = row.update_interval
        policy.measure_interval = row.measure_interval
        policy.jitter = row.jitter
        policy.fixed_rtt = row.fixed_rtt
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
        entry.protocol = _PROTOCOLS[cluster.protocol]
        entry.max_streams = cluster.max_streams
        fill_breaker(&entry.breaker, cluster.failure_rate)
        fill_adaptive(&entry.adaptive, cluster.adaptive)
        fill_retry_budget(&entry.retry_budget, cluster.retry_budget)
        entry.tls = cluster.tls
        entry.proxy_protocol = cluster.proxy_protocol
        entry.title_case = cluster.title_case
        entry.keepalive_interval = cluster.keepalive_interval
        entry.keepalive_timeout = cluster.keepalive_timeout
        entry.outlier = outlier_policy(cluster.outlier)
        (<ClusterEntry *>(out.data + span.offset))[index] = entry
    return span
