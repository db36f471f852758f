"""Log-linear histogram of durations in nanoseconds: 32 buckets an octave, so at most 1.6 % error at a bucket's middle.

A histogram is a directory of octaves; the counters of an octave are taken from the lane's arena on first use, so an
unused histogram costs its directory and a used one two to five octaves. Octave 0 is linear, 0 to 1,023 ns in steps
of 32; octave k covers 2^(k+9) to 2^(k+10) - 1; the last one takes everything above (over 73 minutes).
"""
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef enum:
    HISTOGRAM_OCTAVES = 34
    HISTOGRAM_STEPS = 32

cdef struct Histogram:
    uint64_t count
    uint64_t sum                       # nanoseconds
    uint32_t octaves[34]               # arena offset / 8 of uint64_t[32], or 0

cdef extern from *:
    """
    #define tulle_clz64(x) __builtin_clzll(x)
    """
    int clz64 "tulle_clz64"(uint64_t value) noexcept nogil

cdef inline uint32_t histogram_octave(uint64_t nanoseconds) noexcept nogil:
    cdef uint32_t octave
    if nanoseconds < 1024:
        return 0
    octave = 54 - clz64(nanoseconds)
    return octave if octave < HISTOGRAM_OCTAVES else HISTOGRAM_OCTAVES - 1

cdef inline uint32_t histogram_step(uint64_t nanoseconds, uint32_t octave) noexcept nogil:
    if octave == 0:
        return <uint32_t>(nanoseconds >> 5)
    nanoseconds >>= octave + 4
    return <uint32_t>(nanoseconds & 31) if nanoseconds < 64 else 31

cdef inline uint64_t histogram_middle(uint32_t octave, uint32_t step) noexcept nogil:
    """The middle of a bucket in nanoseconds."""
    if octave == 0:
        return <uint64_t>step * 32 + 16
    return (<uint64_t>(32 + step) << (octave + 4)) + (<uint64_t>1 << (octave + 3))
