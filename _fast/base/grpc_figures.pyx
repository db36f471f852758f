"""What workers have counted of gRPC calls, added up over the lanes. With the GIL."""
from tulle._fast.base.grpc_stats cimport GRPC_CODES, GRPC_SLOTS, GrpcStats, grpc_read, lane_grpc
from tulle._fast.base.hash cimport hash_bytes
from tulle._fast.base.shared cimport Lane, shared_lane
from tulle._fast.base.stats cimport Stats, shared_offset, slot_after
from tulle._fast.base.types cimport uint32_t, uint64_t

CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)                                               # in the order of their numbers


def grpc_number(str service, str method) -> int:
    """What calls that a match names are counted by: never 0 where one of the two is given."""
    cdef bytes text = f"{service}/{method}".encode()
    if not service and not method:
        return 0
    return hash_bytes(<uint64_t>len(text), text, <uint32_t>len(text)) | 1


def grpc_calls(Stats stats) -> dict[tuple[int, int, int, int, int], list[int]]:
    """By (listener, route, cluster slot + 1, cluster generation, number of the name): how many had each of `CODES`."""
    cdef uint64_t slot, begin, end
    cdef GrpcStats *found
    cdef GrpcStats read
    cdef Lane *lane
    cdef int code
    sums: dict[tuple[int, int, int, int, int], list[int]] = {}
    for index in range(stats.shared.lanes_used):
        lane = shared_lane(stats.shared, index)
        found = lane_grpc(lane)
        for begin, end in stats.extents(
            shared_offset(stats.shared, found), <uint64_t>GRPC_SLOTS * sizeof(GrpcStats)
        ):
            for slot in range(begin // sizeof(GrpcStats), slot_after(end, sizeof(GrpcStats), GRPC_SLOTS)):
                if not grpc_read(&found[slot], &read):
                    continue
                counted = sums.setdefault(
                    (read.listener, read.route, read.cluster, read.cluster_generation, read.name), [0] * GRPC_CODES
                )
                for code in range(GRPC_CODES):
                    counted[code] += read.codes[code]
    return sums
