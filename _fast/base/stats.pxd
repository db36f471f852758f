"""The Python border of shared memory: what the master needs to lay it out and to tend the lanes."""
from tulle._fast.base.shared cimport ClusterLine, ClusterStats, EndpointStats, SharedHeader
from tulle._fast.base.types cimport uint64_t


cdef class Stats:
    cdef SharedHeader *shared
    cdef readonly int descriptor
    cdef unsigned char[:] view         # keeps the mapping alive

cdef inline uint64_t shared_offset(SharedHeader *shared, void *place) noexcept nogil:
    return <uint64_t>(<char *>place - <char *>shared)

cdef inline uint64_t cluster_lines_size(SharedHeader *shared) noexcept nogil:
    return <uint64_t>shared.cluster_capacity * shared.lane_capacity * sizeof(ClusterLine)

cdef inline uint64_t cluster_stats_size(SharedHeader *shared) noexcept nogil:
    return shared.cluster_capacity * sizeof(ClusterStats)

cdef inline uint64_t endpoint_stats_size(SharedHeader *shared) noexcept nogil:
    return shared.endpoint_capacity * sizeof(EndpointStats)

cdef inline uint64_t slot_after(uint64_t end, uint64_t size, uint64_t capacity) noexcept nogil:
    """The first slot of `size` bytes that begins at or after `end`."""
    cdef uint64_t slot = (end + size - 1) // size
    return slot if slot < capacity else capacity
