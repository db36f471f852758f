"""See `overload.pxd`."""
from tulle._fast.base.atomic cimport atomic_store_release_u64
from tulle._fast.base.shared cimport FLAG_OM
from tulle._fast.base.slab cimport Slab
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.reply cimport reply_error
from tulle._fast.flow.types cimport X_KEEP_ALIVE
from tulle._fast.policy.overload cimport overload_admit, overload_leave, overload_of_memory

cdef enum:
    SHED_MOST = 256


cdef int overload_accept(Worker *worker) noexcept nogil:
    if overload_admit(
        worker.shared, worker.lane_index, worker.table.image.overload_connections if worker.table != NULL else 0
    ):
        return ADMITTED
    worker.lane.header.refused_connections += 1
    if worker.lane.header.shed_active >= SHED_MOST:
        return TURNED_AWAY
    worker.lane.header.shed_active += 1
    return SHED


cdef void overload_closed(Worker *worker, int result) noexcept nogil:
    if result == ADMITTED:
        overload_leave(worker.shared, worker.lane_index)
    elif result == SHED:
        worker.lane.header.shed_active -= 1


cdef inline uint64_t occupied(const Slab *slab) noexcept nogil:
    return <uint64_t>slab.used * slab.object_size


cdef void overload_publish(Worker *worker) noexcept nogil:
    atomic_store_release_u64(
        &worker.lane.header.memory,
        occupied(&worker.bufs.small) + occupied(&worker.bufs.large) + occupied(&worker.servers_slab)
        + occupied(&worker.upstreams_slab) + occupied(&worker.exchanges_slab) + occupied(&worker.messages_slab)
        + occupied(&worker.mirrors_slab),
    )


cdef bint overload_refuses(Exchange *x) noexcept nogil:
    overload_publish(x.worker)
    if not overload_of_memory(x.worker.shared, x.table.image.overload_memory):
        return False
    x.worker.lane.header.refused_requests += 1
    x.flags &= ~<uint64_t>X_KEEP_ALIVE
    reply_error(x, 503, FLAG_OM, b"overloaded: the limit of memory is reached")
    return True
