"""Pauses and budgets of retries as plain functions, for tests; built in place only."""
from libc.string cimport memset

from tulle._fast.base.clock cimport clock_monotonic
from tulle._fast.base.random cimport Random, random_seed
from tulle._fast.base.shared cimport shared_cluster_lines, shared_cluster_state
from tulle._fast.base.stats cimport Stats
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.image cimport RouteEntry
from tulle._fast.policy.retry cimport retry_pause
from tulle._fast.policy.retry_budget cimport RetryBudget, retry_budget_acquire, retry_budget_draw


def pauses(uint64_t base, uint64_t longest, uint32_t retry, int times, uint64_t seed=1) -> list[int]:
    """So many pauses before the n-th retry, in nanoseconds."""
    cdef RouteEntry route
    cdef Random random
    memset(&route, 0, sizeof(route))
    route.retry_base = base
    route.retry_max = longest
    random_seed(&random, seed)
    return [retry_pause(&route, retry, &random) for _ in range(times)]


def acquire(Stats stats, uint32_t lane, uint32_t slot, uint32_t percent, uint32_t least, uint64_t now) -> bool:
    """A place within the budget, at a time in nanoseconds."""
    cdef RetryBudget budget
    budget.percent = percent
    budget.least = least
    return retry_budget_acquire(
        stats.shared, shared_cluster_lines(stats.shared, slot), lane,
        &shared_cluster_state(stats.shared, slot).retry_bucket, &budget, now,
    )


def draw_for(Stats stats, uint32_t slot, uint32_t least, uint64_t nanoseconds) -> tuple[int, int, int]:
    """Draw as fast as can be for so long: how many were got, when it was begun and when it was over."""
    cdef uint64_t *bucket = &shared_cluster_state(stats.shared, slot).retry_bucket
    cdef uint64_t begun = clock_monotonic()
    cdef uint64_t now = begun
    cdef int got = 0
    with nogil:
        while now < begun + nanoseconds:
            got += retry_budget_draw(bucket, least, now)
            now = clock_monotonic()
    return got, begun, now
