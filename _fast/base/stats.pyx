"""See `stats.pxd`.

Counts are read while their writers go on: a sum may be a request behind, never torn, for each is one aligned word.
The block is sparse and reading a hole through a mapping would fill it, so only the extents that hold data are walked.
"""
import errno
import mmap
import os

from libc.string cimport memset

from tulle._fast.base.atomic cimport atomic_load_acquire_u32, atomic_load_acquire_u64
from tulle._fast.base.shared cimport (
    LANE_FREE, LISTENER_SLOTS, RESPONSE_CLASSES, SERIES_NOBODYS, SERIES_SLOTS, SHARED_LAYOUT, ClusterLine,
    ClusterStats, EndpointStats, Lane, LaneHeader, Series, SharedHeader, lane_cluster, lane_endpoint,
    shared_cluster_lines, shared_lane, shared_layout, shared_open, shared_size,
)
from tulle._fast.base.types cimport uint32_t, uint64_t

LAYOUT = SHARED_LAYOUT
MOST_LISTENERS = LISTENER_SLOTS


def create(uint32_t lanes, uint32_t clusters, uint32_t endpoints) -> int:
    """A new block for so many lanes and slots: its descriptor, closed on exec. OSError when there is no memory."""
    cdef unsigned char[:] view
    cdef uint32_t index
    size = shared_size(lanes, clusters, endpoints)
    descriptor = os.memfd_create("tulle-shared", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, size)
        mapping = mmap.mmap(descriptor, size)
    except OSError:
        os.close(descriptor)
        raise
    view = mapping
    shared_layout(&view[0], lanes, clusters, endpoints)
    for index in range(2):
        (<SharedHeader *>&view[0]).secret[index] = int.from_bytes(os.urandom(8), "little")
    view = None
    mapping.close()
    return descriptor


cdef void clear_cluster_lines(SharedHeader *shared, uint32_t lane, uint64_t begin, uint64_t end) noexcept nogil:
    cdef uint64_t row = <uint64_t>shared.lane_capacity * sizeof(ClusterLine)
    cdef uint64_t slot
    cdef ClusterLine *line
    for slot in range(begin // row, slot_after(end, row, shared.cluster_capacity)):
        line = shared_cluster_lines(shared, <uint32_t>slot) + lane
        memset(line.used, 0, sizeof(line.used))
        line.oldest_waiter = 0


cdef void clear_cluster_gauges(SharedHeader *shared, Lane *lane, uint64_t begin, uint64_t end) noexcept nogil:
    cdef uint64_t slot
    for slot in range(begin // sizeof(ClusterStats), slot_after(end, sizeof(ClusterStats), shared.cluster_capacity)):
        lane_cluster(lane, <uint32_t>slot).requests_active = 0


cdef void clear_endpoint_gauges(SharedHeader *shared, Lane *lane, uint64_t begin, uint64_t end) noexcept nogil:
    cdef uint64_t slot
    cdef EndpointStats *stats
    for slot in range(begin // sizeof(EndpointStats), slot_after(end, sizeof(EndpointStats), shared.endpoint_capacity)):
        stats = lane_endpoint(lane, <uint32_t>slot)
        stats.requests_active = 0
        stats.connections_active = 0
        stats.connections_idle = 0


cdef bint nobodys_has_counted(Lane *lane) noexcept nogil:
    cdef const Series *series = <const Series *>(<char *>lane + lane.arena + SERIES_NOBODYS)
    cdef uint64_t requests = 0
    cdef int status_class
    if lane.header.series_overflow != 0:
        for status_class in range(RESPONSE_CLASSES):
            requests |= series.requests[status_class]
    return requests != 0


cdef class Stats:
    """A block of shared memory, mapped from its descriptor. ValueError when it has another layout."""

    def __init__(self, int descriptor):
        size = os.fstat(descriptor).st_size
        if size == 0:
            raise ValueError("the shared memory is empty")
        self.view = mmap.mmap(descriptor, size)
        self.descriptor = descriptor
        self.shared = shared_open(&self.view[0], size)
        if self.shared == NULL:
            raise ValueError("the shared memory has another layout than this version of Tulle")

    @property
    def lane_capacity(self) -> int:
        return self.shared.lane_capacity

    @property
    def cluster_capacity(self) -> int:
        return self.shared.cluster_capacity

    @property
    def endpoint_capacity(self) -> int:
        return self.shared.endpoint_capacity

    @property
    def lanes_used(self) -> int:
        """Lanes below this one have been in use at some time."""
        return self.shared.lanes_used

    def set_workers(self, uint32_t count) -> None:
        """How many workers are meant to run: what the share of each is counted from."""
        self.shared.workers = count

    def set_draining(self, bint draining) -> None:
        self.shared.draining = draining

    @property
    def overloaded(self) -> dict[str, bool]:
        """Whether new work is refused, by what there is too much of."""
        return {
            "connections": self.shared.overload_connections != 0, "memory": self.shared.overload_memory != 0,
        }

    def use_lane(self, uint32_t lane) -> None:
        """Call before a worker begins in that lane."""
        if lane >= self.shared.lane_capacity:
            raise IndexError(f"lane {lane} of {self.shared.lane_capacity}")
        if lane >= self.shared.lanes_used:
            self.shared.lanes_used = lane + 1

    def clear_lane(self, uint32_t index) -> None:
        """Zero what a worker held, once it has been reaped and before its lane is used again; counters stay."""
        cdef Lane *lane
        cdef LaneHeader *header
        if index >= self.shared.lanes_used:
            raise IndexError(f"lane {index} of {self.shared.lanes_used}")
        lane = shared_lane(self.shared, index)
        header = &lane.header
        header.state = LANE_FREE
        header.pid = 0
        header.downstream_active = 0
        header.upstream_active = 0
        header.requests_active = 0
        header.buffers_active = 0
        header.tunnels_active = 0
        header.memory = 0
        header.admitted = 0
        header.shed_active = 0
        lane.series_copied = 0
        start = shared_offset(self.shared, lane.listeners)
        for begin, end in self.extents(start, sizeof(lane.listeners)):
            memset(<char *>lane.listeners + <uint64_t>begin, 0, <size_t>(end - begin))
        for begin, end in self.extents(self.shared.cluster_lines, cluster_lines_size(self.shared)):
            clear_cluster_lines(self.shared, index, begin, end)
        start = shared_offset(self.shared, lane_cluster(lane, 0))
        for begin, end in self.extents(start, cluster_stats_size(self.shared)):
            clear_cluster_gauges(self.shared, lane, begin, end)
        start = shared_offset(self.shared, lane_endpoint(lane, 0))
        for begin, end in self.extents(start, endpoint_stats_size(self.shared)):
            clear_endpoint_gauges(self.shared, lane, begin, end)

    def extents(self, uint64_t start, uint64_t size) -> list[tuple[int, int]]:
        """The parts of a region that hold data, as (begin, end) in bytes from the start of the region."""
        cdef uint64_t position = start
        cdef uint64_t end = start + size
        cdef uint64_t hole
        found = []
        while position < end:
            try:
                position = os.lseek(self.descriptor, position, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:       # ENXIO: nothing but a hole up to the end
                    raise
                break
            if position >= end:
                break
            hole = min(<uint64_t>os.lseek(self.descriptor, position, os.SEEK_HOLE), end)
            found.append((position - start, hole - start))
            position = hole
        return found

    def series_offsets(self, uint32_t index) -> list[int]:
        """Where in a lane's arena its series are, as of one moment: see `sweep`."""
        cdef Lane *lane = shared_lane(self.shared, index)
        cdef uint32_t *slots
        cdef uint32_t place, swaps
        cdef uint64_t slot, begin, end, used
        while True:
            swaps = atomic_load_acquire_u32(&lane.series_swaps)
            used = atomic_load_acquire_u64(&lane.series_index)
            slots = <uint32_t *>(<char *>lane + used)
            found = [SERIES_NOBODYS] if nobodys_has_counted(lane) else []
            for begin, end in self.extents(shared_offset(self.shared, slots), <uint64_t>SERIES_SLOTS * 4):
                for slot in range(begin // 4, slot_after(end, 4, SERIES_SLOTS)):
                    place = atomic_load_acquire_u32(&slots[slot])
                    if place != 0:
                        found.append(<uint64_t>place * 8)
            if swaps == atomic_load_acquire_u32(&lane.series_swaps) and used == lane.series_index:
                return found

    def listener_connections(self, uint32_t listener) -> int:
        """Those of a listener, given by its id."""
        cdef uint32_t lane
        total = 0
        for lane in range(self.shared.lanes_used):
            total += shared_lane(self.shared, lane).listeners[listener % <uint32_t>LISTENER_SLOTS]
        return total

    def lane(self, uint32_t index) -> dict[str, int]:
        """The figures of a lane's header, by name."""
        if index >= self.shared.lanes_used:
            raise IndexError(f"lane {index} of {self.shared.lanes_used}")
        return shared_lane(self.shared, index).header
