"""The worker's end of its talk with the master, and its ear for the other workers."""
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.types cimport Worker

cdef int worker_control_open(Worker *worker) noexcept nogil
# Tells the master when older tables have been let go of
cdef void worker_control_report(Worker *worker) noexcept nogil
cdef void worker_control_send(Worker *worker, unsigned int kind) noexcept nogil
cdef void worker_drain(Worker *worker, uint64_t deadline, uint64_t farewell) noexcept nogil
