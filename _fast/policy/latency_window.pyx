"""See `latency_window.pxd`."""
from libc.string cimport memcpy, memset

from tulle._fast.base.histogram cimport histogram_octave, histogram_step
from tulle._fast.base.types cimport unlikely


cdef inline uint32_t bucket_of(uint64_t nanoseconds) noexcept nogil:
    cdef uint32_t octave = histogram_octave(nanoseconds)
    return octave * 8 + (histogram_step(nanoseconds, octave) >> 2)


cdef inline uint64_t bucket_end(uint32_t bucket) noexcept nogil:
    cdef uint32_t octave = bucket >> 3
    cdef uint64_t step = (bucket & 7) + 1
    return step << 7 if octave == 0 else (8 + step) << (octave + 6)


cdef void window_turn(LatencyWindow *window, uint64_t now) noexcept nogil:
    """The slice is over; when the next one would be too, both are."""
    if now - window.slice_ends < <uint64_t>WINDOW_SLICE:
        memcpy(window.counts[1], window.counts[0], sizeof(window.counts[0]))
    else:
        memset(window.counts[1], 0, sizeof(window.counts[1]))
    memset(window.counts[0], 0, sizeof(window.counts[0]))
    window.slice_ends = now + <uint64_t>WINDOW_SLICE
    window.refresh_at = now


cdef void window_record(LatencyWindow *window, uint64_t nanoseconds, uint64_t now) noexcept nogil:
    if unlikely(now >= window.slice_ends):
        window_turn(window, now)
    window.counts[0][bucket_of(nanoseconds)] += 1


cdef void window_sum(LatencyWindow *window, uint64_t now) noexcept nogil:
    cdef uint32_t total = 0
    cdef uint32_t bucket
    for bucket in range(WINDOW_BUCKETS):
        total += window.counts[0][bucket] + window.counts[1][bucket]
        window.sums[bucket] = total
    window.refresh_at = now + <uint64_t>WINDOW_REFRESH


cdef uint64_t window_quantile(LatencyWindow *window, double quantile, uint64_t now) noexcept nogil:
    cdef uint32_t low = 0
    cdef uint32_t high = WINDOW_BUCKETS - 1
    cdef uint32_t middle, total
    if unlikely(now >= window.slice_ends):
        window_turn(window, now)
    if unlikely(now >= window.refresh_at):
        window_sum(window, now)
    total = window.sums[high]
    if total < <uint32_t>WINDOW_LEAST or total * (1 - quantile) < 0.9999:
        return 0
    while low < high:
        middle = (low + high) // 2
        if window.sums[middle] >= quantile * total:
            high = middle
        else:
            low = middle + 1
    return bucket_end(low)
