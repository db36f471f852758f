"""See `shared.pxd`. Called by the master to lay the block out and by workers to count."""
from libc.string cimport memset

from tulle._fast.base.atomic cimport (
    atomic_compare_exchange_u32, atomic_load_u32, atomic_store_release_u32, atomic_store_u32,
)
from tulle._fast.base.grpc_stats cimport GRPC_SLOTS, GrpcStats
from tulle._fast.base.histogram cimport (
    HISTOGRAM_NARROW_MOST, HISTOGRAM_STEPS, HISTOGRAM_WIDE, histogram_counter, histogram_counters, histogram_octave,
    histogram_step,
)
from tulle._fast.base.types cimport likely, prefetch, uint16_t, unlikely

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
        + 2 * <uint64_t>SERIES_SLOTS * 4
        + pages(<uint64_t>GRPC_SLOTS * sizeof(GrpcStats))
        + ARENA_SIZE
        + RING_SIZE
    )


cdef uint64_t shared_size(uint32_t lanes, uint32_t clusters, uint32_t endpoints) noexcept nogil:
    return (
        pages(sizeof(SharedHeader))
        + pages(<uint64_t>clusters * lanes * sizeof(ClusterLine))
        + pages(<uint64_t>clusters * sizeof(ClusterState))
        + pages(<uint64_t>clusters * sizeof(AdaptiveState))
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
    shared.adaptive_states = shared.cluster_states + pages(<uint64_t>clusters * sizeof(ClusterState))
    shared.endpoint_health = shared.adaptive_states + pages(<uint64_t>clusters * sizeof(AdaptiveState))
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
        lane.series_indexes = lane.series_index
        lane.grpc_stats = lane.series_index + 2 * <uint64_t>SERIES_SLOTS * 4
        lane.arena = lane.grpc_stats + pages(<uint64_t>GRPC_SLOTS * sizeof(GrpcStats))
        lane.ring = lane.arena + ARENA_SIZE
        lane.header.arena_used = <uint64_t>SERIES_NOBODYS + sizeof(Series)
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


cdef AdaptiveState *adaptive_state_take(SharedHeader *shared, uint32_t slot, uint32_t generation) noexcept nogil:
    cdef AdaptiveState *state = shared_adaptive_state(shared, slot)
    slot_take(&state.generation, generation, sizeof(AdaptiveState))
    return state


cdef EndpointHealth *endpoint_health_take(SharedHeader *shared, uint32_t slot, uint32_t generation) noexcept nogil:
    cdef EndpointHealth *health = shared_endpoint_health(shared, slot)
    slot_take(&health.generation, generation, sizeof(EndpointHealth))
    return health


cdef inline uint64_t block_size(int kind) noexcept nogil:
    if kind == BLOCK_SERIES:
        return sizeof(Series)
    return HISTOGRAM_STEPS * sizeof(uint16_t) if kind == BLOCK_NARROW else (HISTOGRAM_STEPS + 8) * sizeof(uint64_t)


cdef void *arena_take(SharedHeader *shared, Lane *lane, int kind, uint64_t *offset) noexcept nogil:
    """A zeroed block, but for the listener of a series, which whoever finds it may still be reading; NULL: no room."""
    cdef uint64_t found = lane.free_blocks[kind]
    cdef uint64_t size = block_size(kind)
    cdef uint64_t kept = sizeof(uint32_t) if kind == BLOCK_SERIES else 0
    cdef char *block = <char *>lane + lane.arena
    if found != 0:
        block += found
        lane.free_blocks[kind] = (<uint64_t *>block)[1]
    else:
        found = lane.header.arena_used
        if found + size > shared.arena_size:
            return NULL
        block += found
        lane.header.arena_used = found + size
    offset[0] = found
    memset(block + kept, 0, size - kept)
    return block


cdef inline uint32_t series_hash(
    uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation
) noexcept nogil:
    cdef uint64_t key = <uint64_t>listener * <uint64_t>0x9E3779B1
    key ^= (<uint64_t>route << 17) ^ (<uint64_t>cluster << 40)
    key = (key ^ generation) * <uint64_t>0x9E3779B97F4A7C15
    return <uint32_t>(key >> 32)


cdef uint32_t lane_series_expect(
    Lane *lane, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation
) noexcept nogil:
    cdef const uint32_t *index = <const uint32_t *>(<char *>lane + lane.series_index)
    cdef uint32_t slot = series_hash(listener, route, cluster, generation) & (SERIES_SLOTS - 1)
    prefetch(&index[slot])
    return slot


cdef void series_enter(Lane *lane, uint64_t index, uint32_t place) noexcept nogil:
    cdef uint32_t *slots = <uint32_t *>(<char *>lane + index)
    cdef const Series *series = <const Series *>(<char *>lane + lane.arena + <uint64_t>place * 8)
    cdef uint32_t slot = series_hash(series.listener, series.route, series.cluster, series.cluster_generation)
    slot &= SERIES_SLOTS - 1
    while slots[slot] != 0:
        slot = (slot + 1) & (SERIES_SLOTS - 1)
    atomic_store_release_u32(&slots[slot], place)


cdef Series *series_make(
    SharedHeader *shared, Lane *lane, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation,
    uint32_t slot,
) noexcept nogil:
    """A series for that free slot of the index."""
    cdef Series *series = NULL
    cdef uint32_t *slots = <uint32_t *>(<char *>lane + lane.series_index)
    cdef uint64_t offset
    if lane.header.series_count < SERIES_LIMIT:
        series = <Series *>arena_take(shared, lane, BLOCK_SERIES, &offset)
    if series == NULL:
        lane.header.series_overflow += 1
        return <Series *>(<char *>lane + lane.arena + SERIES_NOBODYS)
    series.route = route
    series.cluster = cluster
    series.cluster_generation = generation
    atomic_store_release_u32(&series.listener, listener)
    if slot < lane.series_copied:
        series_enter(lane, lane_other_index(lane), <uint32_t>(offset // 8))
        lane.series_both += 1
    atomic_store_release_u32(&slots[slot], <uint32_t>(offset // 8))
    lane.header.series_count += 1
    return series


cdef Series *lane_series(
    SharedHeader *shared, Lane *lane, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation
) noexcept nogil:
    cdef const uint32_t *index = <const uint32_t *>(<char *>lane + lane.series_index)
    cdef char *arena = <char *>lane + lane.arena
    cdef uint32_t slot = series_hash(listener, route, cluster, generation) & (SERIES_SLOTS - 1)
    cdef Series *series
    while likely(index[slot] != 0):
        series = <Series *>(arena + <uint64_t>index[slot] * 8)
        if likely(
            series.route == route
            and series.cluster == cluster
            and series.listener == listener
            and series.cluster_generation == generation
        ):
            return series
        slot = (slot + 1) & (SERIES_SLOTS - 1)
    return series_make(shared, lane, listener, route, cluster, generation, slot)


cdef bint histogram_grow(SharedHeader *shared, Lane *lane, Histogram *histogram, uint32_t octave) noexcept nogil:
    """Narrow counters for an octave that has none, wide ones in place of narrow ones; False when the arena is full."""
    cdef const char *arena = <const char *>lane + lane.arena
    cdef uint32_t narrow = histogram.octaves[octave]
    cdef uint64_t offset
    cdef uint64_t *counters = <uint64_t *>arena_take(
        shared, lane, BLOCK_NARROW if narrow == 0 else BLOCK_WIDE, &offset
    )
    cdef uint32_t step
    if counters == NULL:
        return False
    if narrow != 0:
        for step in range(HISTOGRAM_STEPS):
            counters[step] = histogram_counter(arena, narrow, step)
        counters[<int>HISTOGRAM_STEPS] = narrow
    atomic_store_release_u32(
        &histogram.octaves[octave], <uint32_t>(offset // 8) | (<uint32_t>HISTOGRAM_WIDE if narrow != 0 else 0)
    )
    return True


cdef bint histogram_count(
    SharedHeader *shared, Lane *lane, Histogram *histogram, uint32_t octave, uint32_t step, uint64_t count
) noexcept nogil:
    cdef const char *arena = <const char *>lane + lane.arena
    cdef uint16_t *narrow
    if unlikely(histogram.octaves[octave] == 0) and not histogram_grow(shared, lane, histogram, octave):
        return False
    if not histogram.octaves[octave] & HISTOGRAM_WIDE:
        narrow = <uint16_t *>histogram_counters(arena, histogram.octaves[octave]) + step
        if likely(narrow[0] + count <= HISTOGRAM_NARROW_MOST):
            narrow[0] += <uint16_t>count
            return True
        if not histogram_grow(shared, lane, histogram, octave):
            return False
    (<uint64_t *>histogram_counters(arena, histogram.octaves[octave]))[step] += count
    return True


cdef void histogram_record(SharedHeader *shared, Lane *lane, Histogram *histogram, uint64_t nanoseconds) noexcept nogil:
    cdef uint32_t octave = histogram_octave(nanoseconds)
    if unlikely(not histogram_count(shared, lane, histogram, octave, histogram_step(nanoseconds, octave), 1)):
        return                           # not counted at all: the total is to be that of the buckets
    histogram.count += 1
    histogram.sum += nanoseconds
