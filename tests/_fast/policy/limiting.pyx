"""Limits on shared memory as plain functions, for tests; built in place only."""
from tulle._fast.base.atomic cimport atomic_fetch_add_i32, atomic_store_u64
from tulle._fast.base.random cimport Random, random_below, random_seed
from tulle._fast.base.shared cimport ClusterLine, shared_cluster_lines
from tulle._fast.base.stats cimport Stats
from tulle._fast.base.types cimport int32_t, uint32_t, uint64_t
from tulle._fast.policy.limits cimport (
    limit_acquire, limit_oldest_lane, limit_release, limit_used, listener_acquire, listener_release, listener_used,
)


def acquire(Stats stats, uint32_t lane, uint32_t slot, int limit, uint32_t maximum) -> bool:
    return limit_acquire(stats.shared, shared_cluster_lines(stats.shared, slot), lane, limit, maximum)


def release(Stats stats, uint32_t lane, uint32_t slot, int limit) -> None:
    limit_release(shared_cluster_lines(stats.shared, slot), lane, limit)


def used(Stats stats, uint32_t slot, int limit) -> int:
    return limit_used(stats.shared, shared_cluster_lines(stats.shared, slot), limit)


def wait(Stats stats, uint32_t lane, uint32_t slot, uint64_t since) -> None:
    """The oldest request of a lane waits since then; 0: none does."""
    atomic_store_u64(&shared_cluster_lines(stats.shared, slot)[lane].oldest_waiter, since)


def oldest(Stats stats, uint32_t slot) -> int:
    """The lane whose turn it is, or -1."""
    return limit_oldest_lane(stats.shared, shared_cluster_lines(stats.shared, slot))


def hammer(Stats stats, uint32_t lane, uint32_t maximum, uint32_t most, uint32_t times, unsigned int[:] words) -> None:
    """Take and give back places as fast as can be, `times` times, holding up to `most`.

    words[0] counts the places that all processes hold; words[1 + 2 * lane] gets the most that this one ever saw there,
    and the word after it how many places this one got.
    """
    cdef ClusterLine *lines = shared_cluster_lines(stats.shared, 0)
    cdef int32_t *held = <int32_t *>&words[0]
    cdef Random random
    cdef int32_t seen, peak = 0
    cdef uint32_t own = 0, got = 0, _time
    random_seed(&random, lane)
    with nogil:
        for _time in range(times):
            if own > 0 and (own == most or random_below(&random, 2) == 0):
                atomic_fetch_add_i32(held, -1)
                limit_release(lines, lane, 0)
                own -= 1
            elif limit_acquire(stats.shared, lines, lane, 0, maximum):
                seen = atomic_fetch_add_i32(held, 1) + 1
                if seen > peak:
                    peak = seen
                own += 1
                got += 1
        while own > 0:
            atomic_fetch_add_i32(held, -1)
            limit_release(lines, lane, 0)
            own -= 1
    words[1 + 2 * lane] = <uint32_t>peak
    words[2 + 2 * lane] = got


def accept(Stats stats, uint32_t lane, uint32_t listener, uint32_t maximum) -> bool:
    return listener_acquire(stats.shared, lane, listener, maximum)


def close(Stats stats, uint32_t lane, uint32_t listener) -> None:
    listener_release(stats.shared, lane, listener)


def accepted(Stats stats, uint32_t listener) -> int:
    return listener_used(stats.shared, listener)


def hammer_listener(Stats stats, uint32_t lane, uint32_t maximum, uint32_t times, unsigned int[:] words) -> None:
    """Accept a connection and close it, `times` times; words as in `hammer`."""
    cdef int32_t *held = <int32_t *>&words[0]
    cdef int32_t seen, peak = 0
    cdef uint32_t got = 0, _time
    with nogil:
        for _time in range(times):
            if listener_acquire(stats.shared, lane, 1, maximum):
                seen = atomic_fetch_add_i32(held, 1) + 1
                if seen > peak:
                    peak = seen
                got += 1
                atomic_fetch_add_i32(held, -1)
                listener_release(stats.shared, lane, 1)
    words[1 + 2 * lane] = <uint32_t>peak
    words[2 + 2 * lane] = got
