"""A nudge from one worker to another, through the other's eventfd: look at the waiters and at the listening sockets."""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.flow.types cimport Worker
from tulle._fast.net.system cimport write

cdef inline void wake_lane(Worker *worker, int lane) noexcept nogil:
    cdef uint64_t one = 1
    if 0 <= lane < <int>worker.wake_count:
        write(worker.wake_fds[lane], &one, sizeof(one))

cdef inline void wake_others(Worker *worker) noexcept nogil:
    cdef uint32_t lane
    for lane in range(worker.shared.lanes_used):
        if lane != worker.lane_index:
            wake_lane(worker, <int>lane)
