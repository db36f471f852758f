"""Listening sockets in a worker: shared with all other workers, accepted from in turn, spread evenly.

Each socket is one for all workers, bound by the master and watched with EPOLLEXCLUSIVE. A worker that holds clearly
more connections than the mean leaves the next ones to the others for a moment, and nudges one of them.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport Worker

# Takes over the descriptor; 0, or -1 without memory
cdef int listener_open(Worker *worker, uint32_t listener_id, int fd) noexcept nogil
cdef void listener_close(Worker *worker, uint32_t listener_id) noexcept nogil
cdef void listener_close_all(Worker *worker) noexcept nogil
# Another worker leaves its turn to us
cdef void listener_accept_all(Worker *worker) noexcept nogil
