"""See `figures.pxd`."""
from cpython.array cimport array, clone

from tulle._fast.base.atomic cimport atomic_load_u32
from tulle._fast.base.histogram cimport (
    HISTOGRAM_OCTAVES, HISTOGRAM_STEPS, Histogram, histogram_counter, histogram_middle,
)
from tulle._fast.base.shared cimport (
    FLAG_COUNT, LIMIT_COUNT, RESPONSE_CLASSES, ClusterLine, ClusterStats, EndpointHealth, EndpointStats, Lane, Series,
    lane_cluster, lane_endpoint, shared_cluster_lines, shared_lane,
)
from tulle._fast.base.stats cimport (
    Stats, cluster_lines_size, cluster_stats_size, endpoint_stats_size, shared_offset, slot_after,
)
from tulle._fast.base.sweep cimport SeriesKey, series_is, series_key
from tulle._fast.base.types cimport uint32_t, uint64_t

FLAGS = (
    "NR", "UH", "UF", "UO", "UC", "UR", "UT", "UPE", "URX", "DC", "DPE", "DT", "RL", "DI", "FI", "UAEX", "RBAC", "SI",
    "LR", "OM", "DR", "PT",
)                                               # letters of ResponseFlag, in its order
LIMITS = ("connections", "pending", "requests", "retries")
CLUSTER_FIELDS = (
    "requests_active", "overflow_connections", "overflow_pending", "overflow_requests", "overflow_retries", "retries",
    "retries_succeeded", "retries_limited", "connections_total", "connect_failures", "connect_timeouts",
    "requests_total", "request_timeouts", "pending_timeouts", "panic_picks", "zone_local", "zone_other",
    "subset_fallbacks", "ejections_consecutive_5xx",
    "ejections_consecutive_gateway_failure", "ejections_consecutive_local_origin_failure", "ejections_success_rate",
    "ejections_local_origin_success_rate", "ejections_failure_percentage", "ejections_failure_percentage_local_origin",
    "ejections_probe", "ejections_prevented", "mirrored_answered", "mirrored_failed", "mirrored_abandoned",
    "breaker_refused", "overflow_adaptive", "hedges_won", "hedges_lost", "hedges_refused",
)
ENDPOINT_FIELDS = (
    "requests_active", "connections_active", "connections_idle", "requests_total", "responses_none", "responses_1xx",
    "responses_2xx", "responses_3xx", "responses_4xx", "responses_5xx", "connect_failures", "resets", "timeouts",
    "latency_sum", "step_backs", "local_failures",
)
FINE = HISTOGRAM_OCTAVES * HISTOGRAM_STEPS      # buckets of a histogram as it is kept
SERIES_HEAD = RESPONSE_CLASSES + FLAG_COUNT + 2     # words before the histograms: classes, flags, received, sent

cdef enum:
    CLUSTER_WORDS = 35
    ENDPOINT_WORDS = 16
    FINE_BUCKETS = HISTOGRAM_OCTAVES * HISTOGRAM_STEPS


cdef inline uint64_t fine_middle(uint64_t fine) noexcept nogil:
    return histogram_middle(<uint32_t>(fine // HISTOGRAM_STEPS), <uint32_t>(fine % HISTOGRAM_STEPS))


def middle(uint64_t fine) -> int:
    """The middle of a fine bucket in nanoseconds: at most 1.6 % from all that it counts, above a microsecond."""
    return fine_middle(fine)


def totals(Stats stats) -> dict[str, int]:
    """The figures of the lanes' headers added up, by name. `series_count` and the like are sums too."""
    total: dict[str, int] = {}
    for index in range(stats.lanes_used):
        for name, value in stats.lane(index).items():
            total[name] = total.get(name, 0) + value
    for name in ("state", "pid", "reserved"):
        total.pop(name, None)
    return total


# -- series -----------------------------------------------------------------------------------------------------------

def series(Stats stats, bounds: tuple[int, ...]) -> dict[tuple[int, int, int, int], array]:
    """Requests by (listener, route, cluster slot + 1, cluster generation): words, `SERIES_HEAD` and two histograms.

    Four zeros are the key of requests that found no room for a series.

    A histogram is count, sum of nanoseconds, and how many in each bucket: up to the first of `bounds` (nanoseconds),
    between the first and the second, and so on, above the last.
    """
    cdef Bounds exposed
    cdef uint32_t word, words
    cdef SeriesKey about
    cdef Series *found
    cdef array total
    cdef array read
    cdef array given
    cdef Lane *lane
    given = array("Q", bounds)
    buckets_of(&exposed, <const uint64_t *>given.data.as_ulonglongs, <uint32_t>len(given))
    words = SERIES_HEAD + 2 * (2 + exposed.count)
    sums: dict[tuple[int, int, int, int], array] = {}
    for index in range(stats.shared.lanes_used):
        lane = shared_lane(stats.shared, index)
        for offset in stats.series_offsets(index):
            found = <Series *>(<char *>lane + lane.arena + <uint64_t>offset)
            if not series_key(found, &about):
                continue
            read = zeros(words)
            series_add(<uint64_t *>read.data.as_ulonglongs, <char *>lane + lane.arena, found, &exposed)
            if not series_is(found, &about):
                continue
            key = (about.listener, about.route, about.cluster, about.cluster_generation)
            total = sums.get(key)
            if total is None:
                sums[key] = read
                continue
            for word in range(words):
                total.data.as_ulonglongs[word] += read.data.as_ulonglongs[word]
    return sums


def durations(Stats stats, bint upstream, bint by_cluster) -> dict[tuple[int, int], array]:
    """Fine buckets of the total or the upstream time, by (listener id, 0) or by (cluster slot + 1, generation)."""
    cdef SeriesKey about
    cdef Series *found
    cdef array total
    cdef array read
    cdef Lane *lane
    cdef uint32_t fine
    sums: dict[tuple[int, int], array] = {}
    for index in range(stats.shared.lanes_used):
        lane = shared_lane(stats.shared, index)
        for offset in stats.series_offsets(index):
            found = <Series *>(<char *>lane + lane.arena + <uint64_t>offset)
            if not series_key(found, &about):
                continue
            read = zeros(FINE_BUCKETS)
            fine_add(
                <uint64_t *>read.data.as_ulonglongs,
                <char *>lane + lane.arena,
                &found.upstream if upstream else &found.duration,
            )
            if not series_is(found, &about):
                continue
            if by_cluster:
                key = (int(about.cluster), int(about.cluster_generation))
            else:
                key = (int(about.listener), 0)
            total = sums.get(key)
            if total is None:
                sums[key] = read
                continue
            for fine in range(FINE_BUCKETS):
                total.data.as_ulonglongs[fine] += read.data.as_ulonglongs[fine]
    return sums


cdef void series_add(uint64_t *total, char *arena, const Series *added, const Bounds *bounds) noexcept nogil:
    cdef int index
    for index in range(RESPONSE_CLASSES):
        total[index] += added.requests[index]
    for index in range(FLAG_COUNT):
        total[RESPONSE_CLASSES + index] += added.flags[index]
    total += RESPONSE_CLASSES + FLAG_COUNT
    total[0] += added.bytes_received
    total[1] += added.bytes_sent
    histogram_add(total + 2, arena, &added.duration, bounds)
    histogram_add(total + 4 + bounds.count, arena, &added.upstream, bounds)


cdef void histogram_add(uint64_t *total, char *arena, const Histogram *added, const Bounds *bounds) noexcept nogil:
    cdef uint32_t octave, step, place
    total[0] += added.count
    total[1] += added.sum
    for octave in range(HISTOGRAM_OCTAVES):
        place = atomic_load_u32(&added.octaves[octave])
        if place != 0:
            for step in range(HISTOGRAM_STEPS):
                total[2 + bounds.bucket_of[octave * HISTOGRAM_STEPS + step]] += histogram_counter(arena, place, step)


cdef void fine_add(uint64_t *total, char *arena, const Histogram *added) noexcept nogil:
    cdef uint32_t octave, step, place
    for octave in range(HISTOGRAM_OCTAVES):
        place = atomic_load_u32(&added.octaves[octave])
        if place != 0:
            for step in range(HISTOGRAM_STEPS):
                total[octave * HISTOGRAM_STEPS + step] += histogram_counter(arena, place, step)


cdef inline void buckets_of(Bounds *exposed, const uint64_t *bounds, uint32_t count) noexcept nogil:
    """A fine bucket counts where its middle does."""
    cdef int fine
    cdef uint32_t bucket = 0
    exposed.count = count + 1
    for fine in range(FINE_BUCKETS):
        while bucket < count and fine_middle(<uint64_t>fine) > bounds[bucket]:
            bucket += 1
        exposed.bucket_of[fine] = bucket


# -- clusters and endpoints -------------------------------------------------------------------------------------------

def clusters(Stats stats) -> dict[tuple[int, int], array]:
    """By (slot, generation): words as `CLUSTER_FIELDS` names them."""
    cdef uint64_t slot, begin, end
    cdef ClusterStats *found
    cdef array total
    cdef Lane *lane
    sums: dict[tuple[int, int], array] = {}
    for index in range(stats.shared.lanes_used):
        lane = shared_lane(stats.shared, index)
        found = lane_cluster(lane, 0)
        for begin, end in stats.extents(shared_offset(stats.shared, found), cluster_stats_size(stats.shared)):
            for slot in range(
                begin // sizeof(ClusterStats), slot_after(end, sizeof(ClusterStats), stats.shared.cluster_capacity)
            ):
                if found[slot].generation != 0:
                    total = sum_of(sums, slot, found[slot].generation, CLUSTER_WORDS)
                    cluster_add(<uint64_t *>total.data.as_ulonglongs, found + slot)
    return sums


def endpoints(Stats stats) -> dict[tuple[int, int], array]:
    """By (slot, generation): words as `ENDPOINT_FIELDS` names them."""
    cdef uint64_t slot, begin, end
    cdef EndpointStats *found
    cdef array total
    cdef Lane *lane
    sums: dict[tuple[int, int], array] = {}
    for index in range(stats.shared.lanes_used):
        lane = shared_lane(stats.shared, index)
        found = lane_endpoint(lane, 0)
        for begin, end in stats.extents(shared_offset(stats.shared, found), endpoint_stats_size(stats.shared)):
            for slot in range(
                begin // sizeof(EndpointStats), slot_after(end, sizeof(EndpointStats), stats.shared.endpoint_capacity)
            ):
                if found[slot].generation != 0:
                    total = sum_of(sums, slot, found[slot].generation, ENDPOINT_WORDS)
                    endpoint_add(<uint64_t *>total.data.as_ulonglongs, found + slot)
    return sums


def limits(Stats stats) -> dict[int, list[int]]:
    """What all lanes hold of a cluster's limits together, by slot: words as `LIMITS` names them."""
    cdef uint64_t slot, begin, end
    cdef uint64_t row = <uint64_t>stats.shared.lane_capacity * sizeof(ClusterLine)
    cdef ClusterLine *line
    sums: dict[int, list[int]] = {}
    for begin, end in stats.extents(stats.shared.cluster_lines, cluster_lines_size(stats.shared)):
        for slot in range(begin // row, slot_after(end, row, stats.shared.cluster_capacity)):
            line = shared_cluster_lines(stats.shared, <uint32_t>slot)
            used = [0] * LIMIT_COUNT
            for lane in range(stats.shared.lanes_used):
                for limit in range(LIMIT_COUNT):
                    used[limit] += line[<uint32_t>lane].used[<uint32_t>limit]
            if any(used):
                sums[slot] = used
    return sums


def health(Stats stats) -> dict[tuple[int, int], tuple[int, int, int, int, int]]:
    """By (slot, generation), of endpoints that are checked, or are or were not well: 1 if active health checks fail,
    until when outlier detection has it out (monotonic ns, odd while it is probed, 0: it is in), how often that was in a
    row; since when checks find it so (wall clock ns, 0: never checked), and their last failure."""
    cdef uint64_t slot, begin, end
    cdef EndpointHealth *health = <EndpointHealth *>(<char *>stats.shared + stats.shared.endpoint_health)
    cdef uint64_t size = stats.shared.endpoint_capacity * sizeof(EndpointHealth)
    found = {}
    for begin, end in stats.extents(stats.shared.endpoint_health, size):
        for slot in range(
            begin // sizeof(EndpointHealth), slot_after(end, sizeof(EndpointHealth), stats.shared.endpoint_capacity)
        ):
            if health[slot].unhealthy or health[slot].ejected or health[slot].ejections or health[slot].checked_since:
                found[slot, health[slot].generation] = (
                    health[slot].unhealthy, health[slot].ejected, health[slot].ejections,
                    health[slot].checked_since, health[slot].check_failure,
                )
    return found


def learnt(Stats stats) -> dict[tuple[int, int], tuple[int, int]]:
    """By (slot, generation), of endpoints that workers have told each other of: monotonic ns until which it is left
    alone, and its latency in microseconds as peak EWMA knew it when it was last written."""
    cdef uint64_t slot, begin, end
    cdef EndpointHealth *health = <EndpointHealth *>(<char *>stats.shared + stats.shared.endpoint_health)
    cdef uint64_t size = stats.shared.endpoint_capacity * sizeof(EndpointHealth)
    found = {}
    for begin, end in stats.extents(stats.shared.endpoint_health, size):
        for slot in range(
            begin // sizeof(EndpointHealth), slot_after(end, sizeof(EndpointHealth), stats.shared.endpoint_capacity)
        ):
            if health[slot].stepped_back or health[slot].latency:
                found[slot, health[slot].generation] = health[slot].stepped_back, health[slot].latency >> 32
    return found


def sum_of(sums: dict[tuple[int, int], array], slot: int, generation: int, words: int) -> array:
    """The words that an owner of a slot is summed in."""
    total = sums.get((slot, generation))
    if total is None:
        total = sums[slot, generation] = zeros(words)
    return total


def zeros(words: int) -> array:
    return clone(array("Q"), words, zero=True)


cdef void cluster_add(uint64_t *total, const ClusterStats *added) noexcept nogil:
    cdef uint32_t limit, reason, outcome
    total[0] += added.requests_active
    for limit in range(LIMIT_COUNT):
        total[1 + limit] += added.overflow[limit]
    total[5] += added.retries
    total[6] += added.retries_succeeded
    total[7] += added.retries_limited
    total[8] += added.connections_total
    total[9] += added.connect_failures
    total[10] += added.connect_timeouts
    total[11] += added.requests_total
    total[12] += added.request_timeouts
    total[13] += added.pending_timeouts
    total[14] += added.panic_picks
    total[15] += added.zone_local
    total[16] += added.zone_other
    total[17] += added.subset_fallbacks
    for reason in range(8):
        total[18 + reason] += added.ejections[reason]
    total[26] += added.ejections_prevented
    for outcome in range(3):
        total[27 + outcome] += added.mirrored[outcome]
    total[30] += added.breaker_refused
    total[31] += added.adaptive_refused
    for outcome in range(3):
        total[32 + outcome] += added.hedges[outcome]


cdef void endpoint_add(uint64_t *total, const EndpointStats *added) noexcept nogil:
    cdef int status_class
    total[0] += added.requests_active
    total[1] += added.connections_active
    total[2] += added.connections_idle
    total[3] += added.requests_total
    for status_class in range(RESPONSE_CLASSES):
        total[4 + status_class] += added.responses[status_class]
    total[10] += added.connect_failures
    total[11] += added.resets
    total[12] += added.timeouts
    total[13] += added.latency_sum
    total[14] += added.step_backs
    total[15] += added.local_failures
