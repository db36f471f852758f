"""See `shared.pxd`. Called by the master to lay the block out and by workers to count."""
from libc.string cimport memset

from tulle._fast.base.atomic cimport (
    atomic_compare_exchange_u32, atomic_load_u32, atomic_store_release_u32, atomic_store_release_u64, atomic_store_u32,
)
from tulle._fast.base.histogram cimport HISTOGRAM_STEPS, histogram_octave, histogram_step
from tulle._fast.base.types cimport prefetch, unlikely

cdef enum:
    PAGE = 4096
    RING_SIZE = 1 << 20
    ARENA_SIZE = 1 << 28
    SERIES_LIMIT = SERIES_SLOTS // 2


cdef inline uint64_t pages(uint64_t size) noexcept nogil:
    return (size + PAGE - 1) & ~<uint64_t>(PAGE - 1)


cdef uint64_t lane_bytes(uint32_t clusters, uint32_t endpoints) noexcept nogil:
    return (
        pages(sizeof(Lane))
        + pages(<uint64_t>clusters * sizeof(ClusterStats))
        + pages(<uint64_t>endpoints * sizeof(EndpointStats))
        + pages(<uint64_t>SERIES_SLOTS * 4)
        + ARENA_SIZE
        + RING_SIZE
    )


cdef uint64_t shared_size(uint32_t lanes, uint32_t clusters, uint32_t endpoints) noexcept nogil:
    return (
        pages(sizeof(SharedHeader))
        + pages(<uint64_t>clusters * lanes * sizeof(ClusterLine))
        + pages(<uint64_t>clusters * sizeof(ClusterState))
        + pages(<uint64_t>endpoints * sizeof(EndpointHealth))
        + <uint64_t>(RATE_OWNER_SETS + RATE_CLIENT_SETS) * RATE_WAYS * sizeof(RateBucket)
        + <uint64_t>lanes * lane_bytes(clusters, endpoints)
    )


cdef void shared_layout(void *block, uint32_t lanes, uint32_t clusters, uint32_t endpoints) noexcept nogil:
    cdef SharedHeader *shared = <SharedHeader *>block
    cdef Lane *lane
    cdef uint32_t index
    shared.layout = SHARED_LAYOUT
    shared.size = shared_size(lanes, clusters, endpoints)
    shared.lane_capacity = lanes
    shared.lanes_used = 0
    shared.cluster_capacity = clusters
    shared.endpoint_capacity = endpoints
    shared.cluster_lines = pages(sizeof(SharedHeader))
    shared.cluster_states = shared.cluster_lines + pages(<uint64_t>clusters * lanes * sizeof(ClusterLine))
    shared.endpoint_health = shared.cluster_states + pages(<uint64_t>clusters * sizeof(ClusterState))
    shared.rate_owners = shared.endpoint_health + pages(<uint64_t>endpoints * sizeof(EndpointHealth))
    shared.rate_clients = shared.rate_owners + <uint64_t>RATE_OWNER_SETS * RATE_WAYS * sizeof(RateBucket)
    shared.lanes = shared.rate_clients + <uint64_t>RATE_CLIENT_SETS * RATE_WAYS * sizeof(RateBucket)
    shared.lane_size = lane_bytes(clusters, endpoints)
    shared.ring_size = RING_SIZE
    shared.arena_size = ARENA_SIZE
    for index in range(lanes):
        lane = shared_lane(shared, index)
        lane.cluster_stats = pages(sizeof(Lane))
        lane.endpoint_stats = lane.cluster_stats + pages(<uint64_t>clusters * sizeof(ClusterStats))
        lane.series_index = lane.endpoint_stats + pages(<uint64_t>endpoints * sizeof(EndpointStats))
        lane.arena = lane.series_index + pages(<uint64_t>SERIES_SLOTS * 4)
        lane.ring = lane.arena + ARENA_SIZE
        lane.header.arena_used = 64      # offset 0 means none
    shared.magic = SHARED_MAGIC


cdef SharedHeader *shared_open(void *block, uint64_t size) noexcept nogil:
    cdef SharedHeader *shared = <SharedHeader *>block
    if (
        size < sizeof(SharedHeader)
        or shared.magic != SHARED_MAGIC
        or shared.layout != SHARED_LAYOUT
        or shared.size > size
    ):
        return NULL
    return shared


cdef enum:
    GENERATION_TAKEN = 0xFFFFFFFF      # somebody is clearing it for a new owner; no generation is as large
    TAKING_TURNS = 1 << 20             # after which whoever was clearing it must have been killed


cdef void slot_take(uint32_t *generation, uint32_t wanted, size_t size) noexcept nogil:
    """Clear what follows the generation, once, for its new owner; a slot has no two owners at a time."""
    cdef uint32_t found = atomic_load_u32(generation)
    cdef uint32_t turns = 0
    while found != wanted:
        if found != GENERATION_TAKEN or turns == TAKING_TURNS:
            if atomic_compare_exchange_u32(generation, &found, GENERATION_TAKEN):
                memset(<char *>generation + sizeof(uint32_t), 0, size - sizeof(uint32_t))
                atomic_store_u32(generation, wanted)
                return
        turns += 1
        found = atomic_load_u32(generation)


cdef ClusterState *cluster_state_take(SharedHeader *shared, uint32_t slot, uint32_t generation) noexcept nogil:
    cdef ClusterState *state = shared_cluster_state(shared, slot)
    slot_take(&state.generation, generation, sizeof(ClusterState))
    return state


cdef EndpointHealth *endpoint_health_take(SharedHeader *shared, uint32_t slot, uint32_t generation) noexcept nogil:
    cdef EndpointHealth *health = shared_endpoint_health(shared, slot)
    slot_take(&health.generation, generation, sizeof(EndpointHealth))
    return health


cdef void *arena_take(SharedHeader *shared, Lane *lane, uint64_t size, uint64_t *offset) noexcept nogil:
    """Zeroed bytes that are not published yet: the caller stores `arena_used` once they are filled."""
    if lane.header.arena_used + size > shared.arena_size:
        return NULL
    offset[0] = lane.header.arena_used
    memset(<char *>lane + lane.arena + offset[0], 0, size)
    return <char *>lane + lane.arena + offset[0]


cdef inline uint32_t series_hash(
    uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation
) noexcept nogil:
    cdef uint64_t key = <uint64_t>listener * <uint64_t>0x9E3779B1
    key ^= (<uint64_t>route << 17) ^ (<uint64_t>cluster << 40)
    key = (key ^ generation) * <uint64_t>0x9E3779B97F4A7C15
    return <uint32_t>(key >> 32)


cdef void lane_series_expect(
    Lane *lane, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation
) noexcept nogil:
    cdef const uint32_t *index = <const uint32_t *>(<char *>lane + lane.series_index)
    prefetch(&index[series_hash(listener, route, cluster, generation) & (SERIES_SLOTS - 1)])


cdef Series *lane_series(
    SharedHeader *shared, Lane *lane, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation
) noexcept nogil:
    cdef uint32_t *index = <uint32_t *>(<char *>lane + lane.series_index)
    cdef char *arena = <char *>lane + lane.arena
    cdef uint32_t slot = series_hash(listener, route, cluster, generation) & (SERIES_SLOTS - 1)
    cdef uint32_t last = 0
    cdef uint64_t offset
    cdef Series *series
    while index[slot] != 0:
        series = <Series *>(arena + <uint64_t>index[slot] * 8)
        if (
            series.route == route
            and series.cluster == cluster
            and series.listener == listener
            and series.cluster_generation == generation
        ):
            return series
        last = index[slot]
        slot = (slot + 1) & (SERIES_SLOTS - 1)
    if unlikely(lane.header.series_count >= SERIES_LIMIT):
        series = NULL
    else:
        series = <Series *>arena_take(shared, lane, sizeof(Series), &offset)
    if unlikely(series == NULL):
        # Room ran out only after a first series was made: that one, or a neighbour, counts what has none
        lane.header.series_overflow += 1
        return <Series *>(arena + (<uint64_t>last * 8 if last != 0 else 64))
    series.listener = listener
    series.route = route
    series.cluster = cluster
    series.cluster_generation = generation
    atomic_store_release_u64(&lane.header.arena_used, offset + sizeof(Series))
    atomic_store_release_u32(&index[slot], <uint32_t>(offset // 8))
    lane.header.series_count += 1
    return series


cdef bint histogram_grow(SharedHeader *shared, Lane *lane, Histogram *histogram, uint32_t octave) noexcept nogil:
    cdef uint64_t offset
    if arena_take(shared, lane, HISTOGRAM_STEPS * 8, &offset) == NULL:
        return False
    atomic_store_release_u64(&lane.header.arena_used, offset + HISTOGRAM_STEPS * 8)
    histogram.octaves[octave] = <uint32_t>(offset // 8)
    return True


cdef void histogram_record(SharedHeader *shared, Lane *lane, Histogram *histogram, uint64_t nanoseconds) noexcept nogil:
    cdef uint32_t octave = histogram_octave(nanoseconds)
    cdef uint64_t *steps
    if unlikely(histogram.octaves[octave] == 0) and not histogram_grow(shared, lane, histogram, octave):
        return                           # not counted at all: the total is to be that of the buckets
    steps = <uint64_t *>(<char *>lane + lane.arena + <uint64_t>histogram.octaves[octave] * 8)
    steps[histogram_step(nanoseconds, octave)] += 1
    histogram.count += 1
    histogram.sum += nanoseconds
