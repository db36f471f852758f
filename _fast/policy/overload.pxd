"""Load shedding: whether the proxy as a whole, all workers together, has room for new work.

Connections are exact, as limits of clusters are (see `limits`): a worker adds to its own lane, sums the lanes, and
steps back if that is too many. Memory is what connections and requests occupy: each worker publishes its own, and
whoever has a new request sums. It is refused from the limit on, and taken again below nine tenths of it, so that the
state does not flutter; what is at work goes on and frees memory, so recovery is by itself.
"""
from tulle._fast.base.atomic cimport (
    atomic_fetch_add_u32, atomic_load_acquire_u32, atomic_load_u32, atomic_load_u64, atomic_store_u32,
)
from tulle._fast.base.shared cimport SharedHeader, shared_lane
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef inline uint64_t overload_connections(SharedHeader *shared) noexcept nogil:
    cdef uint64_t total = 0
    cdef uint32_t lane
    for lane in range(atomic_load_u32(&shared.lanes_used)):
        total += atomic_load_u32(&shared_lane(shared, lane).header.admitted)
    return total

cdef inline bint overload_admit(SharedHeader *shared, uint32_t lane, uint32_t maximum) noexcept nogil:
    """A place for a connection; `maximum` 0 is no limit."""
    cdef uint32_t *own = &shared_lane(shared, lane).header.admitted
    cdef int _trial
    if maximum == 0:
        own[0] += 1                    # counted all the same: a reload may bring a limit
        return True
    for _trial in range(2):
        atomic_fetch_add_u32(own, 1)
        if overload_connections(shared) <= maximum:
            return True
        atomic_fetch_add_u32(own, <uint32_t>-1)
    atomic_store_u32(&shared.overload_connections, 1)
    return False

cdef inline void overload_leave(SharedHeader *shared, uint32_t lane) noexcept nogil:
    atomic_fetch_add_u32(&shared_lane(shared, lane).header.admitted, <uint32_t>-1)
    if atomic_load_acquire_u32(&shared.overload_connections):
        atomic_store_u32(&shared.overload_connections, 0)

cdef inline bint overload_of_memory(SharedHeader *shared, uint64_t maximum) noexcept nogil:
    """Whether a new request is to be refused; the state changes with it."""
    cdef uint64_t total = 0
    cdef uint32_t lane
    cdef uint32_t state = atomic_load_acquire_u32(&shared.overload_memory)
    for lane in range(atomic_load_u32(&shared.lanes_used)):
        total += atomic_load_u64(&shared_lane(shared, lane).header.memory)
    if state and total < maximum - maximum // 10:
        atomic_store_u32(&shared.overload_memory, 0)
        return False
    if not state and total >= maximum:
        atomic_store_u32(&shared.overload_memory, 1)
        return True
    return state != 0
