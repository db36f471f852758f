"""Occupancy limits of a cluster, and of a listener, exact over all workers, without a lock.

A worker adds to its own lane and then sums the lanes, both sequentially consistent: of two that race for the last
place at least one sees the other, so there is never one too many. Both may see each other and both step back; a
refusal is therefore tried once more. How many lanes there are is read after the adding too: either the lane of a
worker that begins is summed, or that worker sees what was added.
"""
from tulle._fast.base.atomic cimport atomic_fetch_add_i32, atomic_load_i32, atomic_load_u32, atomic_load_u64
from tulle._fast.base.shared cimport LISTENER_SLOTS, ClusterLine, SharedHeader, shared_lane
from tulle._fast.base.types cimport int32_t, int64_t, uint32_t, uint64_t

cdef inline int64_t limit_used(const SharedHeader *shared, const ClusterLine *lines, int limit) noexcept nogil:
    cdef int64_t total = 0
    cdef uint32_t lane
    for lane in range(atomic_load_u32(&shared.lanes_used)):
        total += atomic_load_i32(&lines[lane].used[limit])
    return total

cdef inline bint limit_acquire(
    const SharedHeader *shared, ClusterLine *lines, uint32_t lane, int limit, uint32_t maximum
) noexcept nogil:
    """Take a place; `maximum` 0 is no limit."""
    cdef int _trial
    if maximum == 0:
        lines[lane].used[limit] += 1       # counted all the same: a reload may bring a limit
        return True
    for _trial in range(2):
        atomic_fetch_add_i32(&lines[lane].used[limit], 1)
        if limit_used(shared, lines, limit) <= maximum:
            return True
        atomic_fetch_add_i32(&lines[lane].used[limit], -1)
    return False

cdef inline void limit_release(ClusterLine *lines, uint32_t lane, int limit) noexcept nogil:
    atomic_fetch_add_i32(&lines[lane].used[limit], -1)

cdef inline int limit_oldest_lane(const SharedHeader *shared, const ClusterLine *lines) noexcept nogil:
    """The lane whose first waiter has waited longest; -1 when nobody waits."""
    cdef uint64_t oldest = 0
    cdef uint64_t since
    cdef uint32_t lane
    cdef int found = -1
    for lane in range(atomic_load_u32(&shared.lanes_used)):
        since = atomic_load_u64(&lines[lane].oldest_waiter)
        if since != 0 and (oldest == 0 or since < oldest):
            oldest = since
            found = <int>lane
    return found

cdef inline int64_t listener_used(SharedHeader *shared, uint32_t listener) noexcept nogil:
    """Connections of a listener, given by its id."""
    cdef int64_t total = 0
    cdef uint32_t lane
    for lane in range(atomic_load_u32(&shared.lanes_used)):
        total += atomic_load_i32(&shared_lane(shared, lane).listeners[listener % LISTENER_SLOTS])
    return total

cdef inline bint listener_acquire(
    SharedHeader *shared, uint32_t lane, uint32_t listener, uint32_t maximum
) noexcept nogil:
    """Take a place for a connection; `maximum` 0 is no limit."""
    cdef int32_t *own = &shared_lane(shared, lane).listeners[listener % LISTENER_SLOTS]
    cdef int _trial
    if maximum == 0:
        own[0] += 1                        # counted all the same: a reload may bring a limit
        return True
    for _trial in range(2):
        atomic_fetch_add_i32(own, 1)
        if listener_used(shared, listener) <= maximum:
            return True
        atomic_fetch_add_i32(own, -1)
    return False

cdef inline void listener_release(SharedHeader *shared, uint32_t lane, uint32_t listener) noexcept nogil:
    atomic_fetch_add_i32(&shared_lane(shared, lane).listeners[listener % LISTENER_SLOTS], -1)
