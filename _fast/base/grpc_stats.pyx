"""See `grpc_stats.pxd`. Called by workers to count, and to seed a lane."""
from libc.string cimport memset

from tulle._fast.base.atomic cimport atomic_exchange_u32, atomic_store_release_u32, atomic_store_u32
from tulle._fast.base.hash cimport hash_mix
from tulle._fast.base.shared cimport SERIES_DEAD
from tulle._fast.base.types cimport likely, unlikely

cdef enum:
    PROBES_MOST = 64                   # a longer search is given up, so that a full table costs no more


cdef inline uint32_t slot_of(
    uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation, uint64_t name
) noexcept nogil:
    cdef uint64_t state = hash_mix(name, <uint64_t>listener << 32 | route)
    state = hash_mix(state, <uint64_t>cluster << 32 | generation)
    return <uint32_t>(state >> 32) & (GRPC_SLOTS - 1)


cdef GrpcStats *entry_make(
    GrpcStats *entries, uint32_t slot, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation,
    uint64_t name,
) noexcept nogil:
    """In the first place of a search, which begins at this slot, where there is room; NULL: there is none."""
    cdef GrpcStats *entry
    cdef int _probe
    for _probe in range(PROBES_MOST):
        entry = &entries[slot]
        if entry.used != GRPC_USED:
            memset(entry.codes, 0, sizeof(entry.codes))
            entry.route = route
            entry.cluster = cluster
            entry.cluster_generation = generation
            entry.name = name
            atomic_store_release_u32(&entry.listener, listener)
            atomic_store_release_u32(&entry.used, GRPC_USED)
            return entry
        slot = (slot + 1) & (GRPC_SLOTS - 1)
    return NULL


cdef GrpcStats *lane_grpc_find(
    Lane *lane, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation, uint64_t name
) noexcept nogil:
    cdef GrpcStats *entries = lane_grpc(lane)
    cdef GrpcStats *entry
    cdef uint32_t first = slot_of(listener, route, cluster, generation, name)
    cdef uint32_t slot = first
    cdef int _probe
    for _probe in range(PROBES_MOST):
        entry = &entries[slot]
        if entry.used == GRPC_FREE:
            break
        if likely(
            entry.route == route and entry.name == name and entry.listener == listener
            and entry.cluster == cluster and entry.cluster_generation == generation
        ):
            return entry
        slot = (slot + 1) & (GRPC_SLOTS - 1)
    return entry_make(entries, first, listener, route, cluster, generation, name)


cdef void lane_grpc_leave(Lane *lane, uint32_t slot) noexcept nogil:
    cdef GrpcStats *entries = lane_grpc(lane)
    atomic_exchange_u32(&entries[slot].listener, SERIES_DEAD)
    atomic_store_u32(&entries[slot].used, GRPC_LEFT)
    # No search needs to go on from here when it would end with the next one
    while entries[slot].used == GRPC_LEFT and entries[(slot + 1) & (GRPC_SLOTS - 1)].used == GRPC_FREE:
        atomic_store_u32(&entries[slot].used, GRPC_FREE)
        slot = (slot - 1) & (GRPC_SLOTS - 1)


cdef void lane_grpc_count(
    Lane *lane, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation, uint64_t name, uint32_t code
) noexcept nogil:
    cdef GrpcStats *entry = lane_grpc_find(lane, listener, route, cluster, generation, name)
    if unlikely(entry == NULL):
        lane.header.grpc_overflow += 1
        return
    entry.codes[code if code < GRPC_CODES else 2] += 1
