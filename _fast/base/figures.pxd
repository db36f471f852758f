"""What shared memory has counted, added up over the lanes, as Python numbers. For admin pages and metrics.

Counts are read while their writers go on: a sum may be a request behind, never torn. Ids, slots and generations are
given names by the caller; counts of one slot are kept apart by the generation of their owner.
"""
from tulle._fast.base.shared cimport ClusterStats, EndpointStats, Histogram, Series
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef struct Bounds:
    uint32_t count                     # of exposed buckets; the last has no bound
    uint32_t bucket_of[1088]           # by fine bucket

# Add what a lane has counted to sums; a fine bucket counts for the exposed one that its middle is in
cdef void series_add(uint64_t *total, char *arena, const Series *added, const Bounds *bounds) noexcept nogil
cdef void histogram_add(uint64_t *total, char *arena, const Histogram *added, const Bounds *bounds) noexcept nogil
cdef void fine_add(uint64_t *total, char *arena, const Histogram *added) noexcept nogil
cdef void cluster_add(uint64_t *total, const ClusterStats *added) noexcept nogil
cdef void endpoint_add(uint64_t *total, const EndpointStats *added) noexcept nogil
