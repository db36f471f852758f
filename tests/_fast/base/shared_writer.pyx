"""Counts as a worker does, so that the readers can be tested."""
from libc.stdlib cimport free, malloc

from tulle._fast.base.atomic cimport atomic_fetch_add_u32
from tulle._fast.base.grpc_stats cimport lane_grpc_count
from tulle._fast.base.histogram cimport Histogram, histogram_octave, histogram_step
from tulle._fast.base.shared cimport (
    Lane, Series, histogram_record, lane_cluster, lane_endpoint, lane_series, shared_cluster_lines,
    shared_cluster_state, shared_endpoint_health, shared_lane,
)
from tulle._fast.base.stats cimport Stats
from tulle._fast.base.sweep cimport Sweep, sweep_begin, sweep_end, sweep_init, sweep_step
from tulle._fast.base.types cimport int32_t, uint32_t, uint64_t

cdef extern from "<string.h>" nogil:
    void *memcpy(void *target, const void *source, size_t size) noexcept
    void *memset(void *target, int byte, size_t size) noexcept


def record(
    Stats stats, uint32_t lane, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation,
    int status, uint64_t duration, uint64_t upstream,
) -> None:
    """One request."""
    cdef Lane *own = shared_lane(stats.shared, lane)
    cdef Series *series = lane_series(stats.shared, own, listener, route, cluster, generation)
    series.requests[status // 100] += 1
    histogram_record(stats.shared, own, &series.duration, duration)
    histogram_record(stats.shared, own, &series.upstream, upstream)


def record_same(
    Stats stats, uint32_t lane, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation,
    uint64_t duration, uint32_t times,
) -> None:
    """So many durations that are all the same."""
    cdef Lane *own = shared_lane(stats.shared, lane)
    cdef Series *series = lane_series(stats.shared, own, listener, route, cluster, generation)
    cdef uint32_t _time
    for _time in range(times):
        histogram_record(stats.shared, own, &series.duration, duration)


def flag(Stats stats, uint32_t lane, uint32_t listener, int flag, uint64_t received, uint64_t sent) -> None:
    """A response flag of a request without route, and its bytes."""
    cdef Series *series = lane_series(stats.shared, shared_lane(stats.shared, lane), listener, 0, 0, 0)
    series.flags[flag] += 1
    series.bytes_received += received
    series.bytes_sent += sent


def set_unhealthy(Stats stats, uint32_t cluster, endpoints: dict[int, bool]) -> None:
    """Say as health checks do of endpoints by slot, of the cluster in this slot, whether they fail."""
    for slot, unhealthy in endpoints.items():
        shared_endpoint_health(stats.shared, slot).unhealthy = unhealthy
    atomic_fetch_add_u32(&shared_cluster_state(stats.shared, cluster).epoch, 1)


def fill_arena(Stats stats, uint32_t lane) -> None:
    """Leave the arena of a lane without room for another series."""
    shared_lane(stats.shared, lane).header.arena_used = stats.shared.arena_size - 8


def leave_half_made(Stats stats, uint32_t lane) -> None:
    """As a worker that was killed between filling its arena and publishing: bytes beyond `arena_used`."""
    cdef Lane *own = shared_lane(stats.shared, lane)
    cdef unsigned char *beyond = <unsigned char *>own + own.arena + own.header.arena_used
    cdef uint32_t index
    for index in range(4096):
        beyond[index] = 0xAB


def hold(Stats stats, uint32_t lane, uint32_t slot, int limit, int32_t count) -> None:
    """Occupy a limit of a cluster, and gauges of its lane."""
    cdef Lane *own = shared_lane(stats.shared, lane)
    shared_cluster_lines(stats.shared, slot)[lane].used[limit] += count
    shared_cluster_lines(stats.shared, slot)[lane].oldest_waiter = 1
    lane_cluster(own, slot).requests_active += <uint32_t>count
    own.header.requests_active += <uint32_t>count
    own.header.downstream_active += <uint32_t>count


def count_cluster(Stats stats, uint32_t lane, uint32_t slot, uint32_t generation, uint64_t requests) -> None:
    cdef Lane *own = shared_lane(stats.shared, lane)
    lane_cluster(own, slot).generation = generation
    lane_cluster(own, slot).requests_total += requests


def count_endpoint(Stats stats, uint32_t lane, uint32_t slot, uint32_t generation, uint32_t active) -> None:
    cdef Lane *own = shared_lane(stats.shared, lane)
    lane_endpoint(own, slot).generation = generation
    lane_endpoint(own, slot).requests_active += active
    lane_endpoint(own, slot).requests_total += active


def count_grpc(Stats stats, uint32_t lane, ids: tuple[int, int, int, int, int], uint32_t code) -> None:
    """A call of (listener, route, cluster, generation, name)."""
    cdef uint32_t listener = ids[0]
    cdef uint32_t route = ids[1]
    cdef uint32_t cluster = ids[2]
    cdef uint32_t generation = ids[3]
    cdef uint64_t name = ids[4]
    lane_grpc_count(shared_lane(stats.shared, lane), listener, route, cluster, generation, name, code)


def append(Stats stats, uint32_t lane, bytes line) -> bool:
    """Put a line into the ring as a worker does; whether there was room."""
    cdef Lane *own = shared_lane(stats.shared, lane)
    cdef uint64_t size = <uint64_t>len(line)
    cdef uint64_t start = own.header.ring_head & (stats.shared.ring_size - 1)
    cdef uint64_t first = stats.shared.ring_size - start
    cdef const char *text = line
    if own.header.ring_head - own.header.ring_tail + size > stats.shared.ring_size:
        own.header.log_dropped += 1
        return False
    if first > size:
        first = size
    memcpy(<char *>own + own.ring + start, text, first)
    memcpy(<char *>own + own.ring, text + first, size - first)
    own.header.ring_head += size
    return True


def fine_bucket(uint64_t nanoseconds) -> int:
    cdef uint32_t octave = histogram_octave(nanoseconds)
    return octave * 32 + histogram_step(nanoseconds, octave)


def record_often(Stats stats, uint32_t lane, uint32_t series, uint32_t times) -> None:
    """Durations of all lengths, into so many series in turn."""
    cdef Lane *own = shared_lane(stats.shared, lane)
    cdef Histogram **histograms = <Histogram **>malloc(series * sizeof(void *))
    cdef uint64_t duration = 1
    cdef uint32_t index, _time, which = 0
    if histograms == NULL:
        raise MemoryError
    for index in range(series):
        histograms[index] = &lane_series(stats.shared, own, 1, index + 1, 1, 1).duration
    with nogil:
        for _time in range(times):
            duration = duration * <uint64_t>0x9E3779B97F4A7C15 + 1
            histogram_record(stats.shared, own, histograms[which], duration >> (27 + (duration & 15)))
            which = which + 1 if which + 1 < series else 0
    free(histograms)


def find_often(Stats stats, uint32_t lane, uint32_t series, uint32_t times) -> int:
    """Look up so many series in turn; the sum of their routes."""
    cdef Lane *own = shared_lane(stats.shared, lane)
    cdef uint64_t total = 0
    cdef uint32_t _time, which = 0
    with nogil:
        for _time in range(times):
            total += lane_series(stats.shared, own, 1, which + 1, 1, 1).route
            which = which + 1 if which + 1 < series else 0
    return total


def fill_structures(Stats stats, uint32_t lane) -> None:
    """Something other than 0 in every word of the lane's header and of one cluster, endpoint and series."""
    cdef Lane *own = shared_lane(stats.shared, lane)
    cdef uint64_t arena_used, series_count
    cdef Series *series = lane_series(stats.shared, own, 1, 2, 3, 4)
    cdef Histogram duration, upstream
    histogram_record(stats.shared, own, &series.duration, 2_000_000)
    histogram_record(stats.shared, own, &series.upstream, 1_000_000)
    duration, upstream = series.duration, series.upstream
    arena_used, series_count = own.header.arena_used, own.header.series_count
    memset(&own.header, 1, sizeof(own.header))
    own.header.arena_used, own.header.series_count = arena_used, series_count
    memset(lane_cluster(own, 5), 1, sizeof(lane_cluster(own, 5)[0]))
    memset(lane_endpoint(own, 6), 1, sizeof(lane_endpoint(own, 6)[0]))
    memset(series, 1, sizeof(series[0]))
    series.listener, series.route, series.cluster, series.cluster_generation = 1, 2, 3, 4
    series.duration, series.upstream = duration, upstream


cdef class Sweeper:
    """Sweeps a lane as its worker does, in steps that the test makes."""
    cdef Sweep sweep
    cdef Stats stats

    def __init__(self, Stats stats, uint32_t lane) -> None:
        self.stats = stats
        sweep_init(&self.sweep, stats.shared, shared_lane(stats.shared, lane), stats.descriptor)

    def begin(self, int numbers) -> bool:
        """By the numbers that live, a descriptor, which is closed; whether they make sense."""
        return sweep_begin(&self.sweep, numbers)

    def step(self, uint32_t most) -> bool:
        """Go on for so many series; whether there is more to do."""
        return sweep_step(&self.sweep, most)

    def __dealloc__(self) -> None:
        sweep_end(&self.sweep)
