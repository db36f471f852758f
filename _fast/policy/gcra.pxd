"""The token bucket as one number: the generic cell rate algorithm.

A bucket is the time at which it will be full again, its *theoretical arrival time*. Each request moves that time on by
`interval`, the time in which one token comes; a request conforms while the time is at most `tolerance` ahead of now. So
a bucket that holds `burst` tokens has a tolerance of (burst - 1) * interval, a time in the past is a full bucket, and
never are more than burst + floor(window / interval) requests taken in any window. All times are nanoseconds.
"""
from tulle._fast.base.types cimport uint64_t

cdef inline bint gcra_take(
    uint64_t arrival, uint64_t now, uint64_t interval, uint64_t tolerance, uint64_t *following, uint64_t *wait
) noexcept nogil:
    """True: `*following` is the bucket with one token less. False: there will be a token after `*wait`."""
    cdef uint64_t ahead = arrival - now if arrival > now else 0
    if ahead > tolerance:
        wait[0] = ahead - tolerance
        return False
    following[0] = now + ahead + interval
    return True

cdef inline uint64_t gcra_tokens(uint64_t arrival, uint64_t now, uint64_t interval, uint64_t tolerance) noexcept nogil:
    """How many requests would conform now."""
    cdef uint64_t ahead = arrival - now if arrival > now else 0
    if ahead > tolerance:
        return 0
    return (tolerance - ahead) // interval + 1

cdef inline uint64_t gcra_reset(uint64_t arrival, uint64_t now, uint64_t tolerance) noexcept nogil:
    """How long until there is a token, when there is none; else until there are all."""
    cdef uint64_t ahead = arrival - now if arrival > now else 0
    return ahead - tolerance if ahead > tolerance else ahead
