"""Slow start: a host that joins begins with a part of its weight and has all of it after a window. Envoy's formula.

    weight * max(least, (age / window) ^ (1 / aggression))

Pure: the time is passed in. A host's share is in thousandths, for weights are whole numbers.
"""
from libc.math cimport pow

from tulle._fast.base.types cimport uint32_t, uint64_t

cdef enum:
    WARM = 1000
    WARM_STEPS = 100                   # of a window: how often shares are looked at

cdef struct SlowStartPolicy:
    uint64_t window                    # ns; 0: off
    double exponent                    # 1 / aggression
    uint32_t least                     # thousandths

cdef inline uint32_t slow_start_share(const SlowStartPolicy *policy, uint64_t joined, uint64_t now) noexcept nogil:
    """From `least` to WARM. `joined` 0: it was there from the beginning."""
    cdef uint64_t age = now - joined if now > joined else 0
    cdef uint32_t share
    if joined == 0 or age >= policy.window:
        return WARM
    share = <uint32_t>(WARM * pow(<double>age / <double>policy.window, policy.exponent))
    if share < policy.least:
        share = policy.least
    return share if share > 0 else 1
