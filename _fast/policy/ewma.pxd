"""The latency of a host as a moving average that follows peaks at once and forgets them by and by.

An observation above the average replaces it, one below draws it down, the more the longer ago the last one was; while
nothing is observed it sinks, so that a host that was slow is tried again. A failure counts as `failure_penalty` at
least. `EwmaSeed` is an average in one word of shared memory: what other workers know of a host. Pure: the time, in
monotonic nanoseconds, is passed in.
"""
from libc.math cimport exp

from tulle._fast.base.types cimport likely, uint32_t, uint64_t, unlikely

ctypedef uint64_t EwmaSeed             # microseconds << 32 | when, in units of 2^20 ns; 0: none

cdef enum:
    SEED_SHIFT = 20

cdef struct EwmaPolicy:                # nanoseconds
    uint64_t default_rtt               # of a host that nothing is known of
    uint64_t decay                     # after which an observation counts 1/e
    uint64_t failure_penalty

cdef struct Ewma:
    double cost                        # nanoseconds at `stamp`
    uint64_t stamp                     # 0: nothing is known

cdef inline double ewma_sunk(double cost, uint64_t elapsed, uint64_t decay) noexcept nogil:
    cdef double share = <double>elapsed / <double>decay
    # Most often an instant of the decay: two terms of the series are exact to 10^-5 then
    if likely(share < 0.03):
        return cost * (1 - share + share * share / 2)
    return cost * exp(-share)

cdef inline double ewma_at(const Ewma *ewma, const EwmaPolicy *policy, uint64_t now) noexcept nogil:
    if unlikely(ewma.stamp == 0):
        return <double>policy.default_rtt
    return ewma_sunk(ewma.cost, now - ewma.stamp if likely(now > ewma.stamp) else 0, policy.decay)

cdef inline void ewma_observe(Ewma *ewma, const EwmaPolicy *policy, uint64_t latency, uint64_t now) noexcept nogil:
    cdef double current = ewma_at(ewma, policy, now)
    cdef uint64_t elapsed = now - ewma.stamp if ewma.stamp != 0 and now > ewma.stamp else 0
    if <double>latency >= current:
        ewma.cost = <double>latency
    else:
        ewma.cost = current + <double>latency * (1 - ewma_sunk(1, elapsed, policy.decay))
    ewma.stamp = now

cdef inline EwmaSeed ewma_seed(const Ewma *ewma) noexcept nogil:
    cdef double microseconds = ewma.cost / 1000
    if microseconds > 4e9:
        microseconds = 4e9
    return <uint64_t>(1 + microseconds) << 32 | <uint32_t>(ewma.stamp >> SEED_SHIFT)

cdef inline uint64_t ewma_seed_age(EwmaSeed seed, uint64_t now) noexcept nogil:
    """Nanoseconds; the clock of seeds goes round in 52 days."""
    return <uint64_t><uint32_t>(<uint32_t>(now >> SEED_SHIFT) - <uint32_t>seed) << SEED_SHIFT

cdef inline double ewma_seed_cost(EwmaSeed seed, const EwmaPolicy *policy, uint64_t now) noexcept nogil:
    return ewma_sunk(<double>(seed >> 32) * 1000, ewma_seed_age(seed, now), policy.decay)

cdef inline void ewma_take(Ewma *ewma, const EwmaPolicy *policy, EwmaSeed seed, uint64_t now) noexcept nogil:
    """What others know: all of it of a host that is new here, else only what is worse."""
    cdef double cost = ewma_seed_cost(seed, policy, now) if seed != 0 else 0
    if ewma.stamp == 0:
        ewma.cost = cost if seed != 0 else <double>policy.default_rtt
        ewma.stamp = now
    elif cost > ewma_at(ewma, policy, now):
        ewma.cost = cost
        ewma.stamp = now
