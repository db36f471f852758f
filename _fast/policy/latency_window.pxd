"""How long a cluster took to answer of late, as a histogram that forgets: what a quantile of now is asked of.

The histograms in shared memory count from the beginning, and only answers that were used. This one has two slices of
WINDOW_SLICE, the current one and the one before; so it knows the last 10 to 20 seconds. Its buckets are an eighth of an
octave wide: a quantile is told as the upper end of its bucket, at most 12.5 % too long. Running sums of both slices are
made at most every WINDOW_REFRESH; to record is an addition, to ask is a binary search.

One worker's; the caller gives the time.
"""
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef enum:
    WINDOW_BUCKETS = 272               # 8 to each octave of base/histogram
    WINDOW_SLICE = 10000000000         # ns
    WINDOW_REFRESH = 100000000         # ns
    WINDOW_LEAST = 10                  # so few tell nothing

cdef struct LatencyWindow:
    uint64_t slice_ends                # monotonic ns, as all times here
    uint64_t refresh_at
    uint32_t counts[2][272]            # of the current slice, and of the one before
    uint32_t sums[272]                 # of both together, as of the last refresh: so many in this bucket and below

cdef void window_record(LatencyWindow *window, uint64_t nanoseconds, uint64_t now) noexcept nogil
# The quantile in nanoseconds; 0: there are fewer than WINDOW_LEAST, or too few for one to be beyond it
cdef uint64_t window_quantile(LatencyWindow *window, double quantile, uint64_t now) noexcept nogil
