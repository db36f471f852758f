"""Log-linear histogram of durations in nanoseconds: 32 buckets an octave, so at most 1.6 % error at a bucket's middle.

A histogram is a directory of octaves; the counters of an octave are taken from the lane's arena on first use, so an
unused histogram costs its directory and a used one two to five octaves. They begin narrow, 16 bits each and all in one
line of cache, for most series are of routes that are seldom asked for. Before one of them would run over, all are
copied to wide ones, and then the directory points there: who reads meanwhile sees the one or the other, whole. The
narrow ones are not used again before the series is freed; the wide ones end with their place. Octave 0 is linear, 0 to
1,023 ns in steps of 32; octave k covers 2^(k+9) to 2^(k+10) - 1; the last one takes everything above (over 73 minutes).
"""
from tulle._fast.base.types cimport uint16_t, uint32_t, uint64_t

cdef enum:
    HISTOGRAM_OCTAVES = 34
    HISTOGRAM_STEPS = 32
    HISTOGRAM_WIDE = 0x80000000        # of an entry of the directory: the counters have 64 bits
    HISTOGRAM_NARROW_MOST = 0xFFFF

cdef struct Histogram:
    uint64_t count
    uint64_t sum                       # nanoseconds
    uint32_t octaves[34]               # arena offset / 8 of uint16_t[32], or of uint64_t[33] with HISTOGRAM_WIDE; or 0

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

cdef inline void *histogram_counters(const char *arena, uint32_t place) noexcept nogil:
    """What an entry of the directory points to."""
    return <void *>(arena + <uint64_t>(place & ~<uint32_t>HISTOGRAM_WIDE) * 8)

cdef inline uint64_t histogram_counter(const char *arena, uint32_t place, uint32_t step) noexcept nogil:
    if place & HISTOGRAM_WIDE:
        return (<const uint64_t *>histogram_counters(arena, place))[step]
    return (<const uint16_t *>histogram_counters(arena, place))[step]

cdef inline uint64_t histogram_middle(uint32_t octave, uint32_t step) noexcept nogil:
    """The middle of a bucket in nanoseconds."""
    if octave == 0:
        return <uint64_t>step * 32 + 16
    return (<uint64_t>(32 + step) << (octave + 4)) + (<uint64_t>1 << (octave + 3))
