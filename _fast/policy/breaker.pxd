"""A circuit breaker that opens when too many requests fail, of an endpoint or a cluster, for all workers together.

    closed --- failure rate over a window ---> open --- its time is up ---> half-open --- n successes ---> closed
                                                ^                               |
                                                +--------- a failure -----------+

All of its state is one word that is changed by compare-and-exchange, so that half-open lets exactly n requests of all
workers through. Such a request carries a token, the round that it belongs to, and has to come back with it: with what
became of it, or without (`breaker_drop`). A round has an end: what has not come back by then, because its worker was
killed or it takes for ever, is written off, and another round begins. What comes back from an earlier round, or from
before the breaker opened, says nothing any more.

The times for which it stays open double as long as it does not hold. Times are monotonic nanoseconds; pure.
"""
from tulle._fast.base.shared cimport BreakerState
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef enum BreakerKind:
    BREAKER_CLOSED = 0
    BREAKER_HALF_OPEN = 1
    BREAKER_OPEN = 2

cdef enum BreakerScope:
    BREAKER_OF_ENDPOINT = 1
    BREAKER_OF_CLUSTER = 2

cdef enum:
    BREAKER_TICK_BITS = 20             # of a nanosecond: the state counts time in units of about a millisecond
    BREAKER_PROBES_MAX = 255

cdef struct BreakerPolicy:
    uint32_t scope                     # BreakerScope; 0: off
    uint32_t threshold                 # per cent of failures that open it
    uint32_t minimum                   # requests in the window below which nothing is judged
    uint32_t probes                    # requests of a half-open round, 1 to BREAKER_PROBES_MAX
    uint64_t window
    uint64_t open                      # for how long the first time; doubles
    uint64_t open_max

cdef inline uint32_t breaker_kind(uint64_t word) noexcept nogil:
    return word & 3

cdef inline uint64_t breaker_until(uint64_t word) noexcept nogil:
    """Nanoseconds: open, until when; half-open, the end of the round."""
    return (word >> 24) << BREAKER_TICK_BITS

# Whether a request may pass. `*token` is 0, or to be brought back. `*changed`: availability has changed for others too
cdef bint breaker_admit(
    BreakerState *state, const BreakerPolicy *policy, uint64_t now, uint64_t *token, bint *changed
) noexcept nogil
# What became of a request that had passed; True: the breaker has opened or closed
cdef bint breaker_record(
    BreakerState *state, const BreakerPolicy *policy, uint64_t now, uint64_t token, bint failed
) noexcept nogil
# It came to no end that says anything. True: its place is free again
cdef bint breaker_drop(BreakerState *state, uint64_t token) noexcept nogil
# Whether nothing would pass now; `*look_at` is moved up to when that may be otherwise
cdef bint breaker_is_shut(
    const BreakerState *state, const BreakerPolicy *policy, uint64_t now, uint64_t *look_at
) noexcept nogil
# Requests and failures of the window
cdef void breaker_window(
    const BreakerState *state, const BreakerPolicy *policy, uint64_t now, uint64_t *requests, uint64_t *failures
) noexcept nogil
