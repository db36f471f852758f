"""How many retries a cluster may get: a share of the requests under way, and a few a second whatever there is.

The share is Envoy's retry budget, the rate is the minimum of Gateway API's (GEP-3388) and of Linkerd's. Both are exact
over all workers: the share is counted in the lanes of the cluster's limits as those are (`limits`), the rate is a token
bucket in one shared word. So retries never become more than that share of the traffic, however many requests fail,
while a cluster with little traffic still gets some.
"""
from tulle._fast.base.atomic cimport atomic_compare_exchange_u64, atomic_fetch_add_i32, atomic_load_u64
from tulle._fast.base.shared cimport LIMIT_REQUESTS, LIMIT_RETRIES, ClusterLine, SharedHeader
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.gcra cimport gcra_take
from tulle._fast.policy.limits cimport limit_used

cdef struct RetryBudget:
    uint32_t enabled                   # else max_retries holds
    uint32_t percent                   # of the requests under way
    uint32_t least                     # retries a second that are always allowed
    uint32_t reserved

cdef enum:
    BUDGET_SECOND = 1000000000

cdef inline bint retry_budget_draw(uint64_t *bucket, uint32_t least, uint64_t now) noexcept nogil:
    """One of the retries of this second, of which no more are kept than a second's worth."""
    cdef uint64_t interval, following, wait
    cdef uint64_t arrival = atomic_load_u64(bucket)
    if least == 0:
        return False
    interval = BUDGET_SECOND // least
    while gcra_take(arrival, now, interval, BUDGET_SECOND - interval, &following, &wait):
        if atomic_compare_exchange_u64(bucket, &arrival, following):
            return True
    return False

cdef inline bint retry_budget_acquire(
    const SharedHeader *shared, ClusterLine *lines, uint32_t lane, uint64_t *bucket, const RetryBudget *budget,
    uint64_t now
) noexcept nogil:
    """Take a place among the retries, to be released as any of LIMIT_RETRIES."""
    atomic_fetch_add_i32(&lines[lane].used[<int>LIMIT_RETRIES], 1)
    if (
        limit_used(shared, lines, LIMIT_RETRIES) * 100 <= limit_used(shared, lines, LIMIT_REQUESTS) * budget.percent
        or retry_budget_draw(bucket, budget.least, now)
    ):
        return True
    atomic_fetch_add_i32(&lines[lane].used[<int>LIMIT_RETRIES], -1)
    return False
