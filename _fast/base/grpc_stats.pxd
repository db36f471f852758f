"""gRPC calls by listener, route, cluster, the name that the route's match gives them, and their status.

A table in every lane, open addressing; written by the lane's worker, read by anybody. Its keys are made of the
configuration alone, never of what clients send. What finds no room is counted in `grpc_overflow` of the lane's header
and nowhere else. An entry of names that have gone is *left* by `sweep`: it is about nothing, but searches go on behind
it, and one that ends without finding takes it.
"""
from tulle._fast.base.atomic cimport atomic_fence_acquire, atomic_load_acquire_u32
from tulle._fast.base.shared cimport Lane
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef enum:
    GRPC_SLOTS = 16384
    GRPC_CODES = 17                    # 0 to 16, https://github.com/grpc/grpc/blob/master/doc/statuscodes.md

cdef enum GrpcEntry:
    GRPC_FREE = 0
    GRPC_USED                          # about what follows
    GRPC_LEFT

cdef struct GrpcStats:
    uint32_t used                      # GrpcEntry
    uint32_t listener                  # the ids of a Series; SERIES_DEAD: of an entry that was left
    uint32_t route
    uint32_t cluster
    uint32_t cluster_generation
    uint32_t reserved
    uint64_t name                      # `grpc_number` of service and method; 0: the route names none
    uint64_t codes[17]                 # GRPC_CODES

cdef inline GrpcStats *lane_grpc(Lane *lane) noexcept nogil:
    """All entries."""
    return <GrpcStats *>(<char *>lane + lane.grpc_stats)

cdef inline bint grpc_read(const GrpcStats *entry, GrpcStats *read) noexcept nogil:
    """A copy; False when the entry is about nothing, or has become about something else meanwhile."""
    if atomic_load_acquire_u32(&entry.used) != GRPC_USED:
        return False
    read[0] = entry[0]
    atomic_fence_acquire()
    return (
        entry.used == GRPC_USED
        and entry.listener == read.listener
        and entry.route == read.route
        and entry.cluster_generation == read.cluster_generation
        and entry.name == read.name
    )

# Make an entry about nothing
cdef void lane_grpc_leave(Lane *lane, uint32_t slot) noexcept nogil
# The entry of these, made when absent; NULL when there is no room
cdef GrpcStats *lane_grpc_find(
    Lane *lane, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation, uint64_t name
) noexcept nogil
cdef void lane_grpc_count(
    Lane *lane, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation, uint64_t name, uint32_t code
) noexcept nogil
