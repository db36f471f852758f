"""The connections of a worker to its hosts: idle ones kept, new ones allowed, requests that must wait queued fairly.

An idle connection is handed out most recently used first and never past its age or use. When a cluster is at
`max_connections`, a request waits; whoever lets a connection go, in whichever worker, hands its place to the one that
has waited longest: through `ClusterLine.oldest_waiter` and the waiter's eventfd. A newcomer never overtakes a waiter.
Every counted connection is uncounted in `pool_closed` and nowhere else.
"""
from tulle._fast.flow.types cimport Attempt, Upstream, Worker

cdef enum PoolResult:
    POOL_READY = 0                     # attempt.upstream is set
    POOL_WAIT = 1                      # hooks.attempt_ready or attempt_failed follows
    POOL_OVERFLOW = -1                 # a limit: UO
    POOL_FAILED = -2                   # the connection failed at once: UF

cdef int pool_acquire(Attempt *attempt, bint fresh) noexcept nogil
# The attempt needs no connection any more (it had none yet)
cdef void pool_leave_queue(Attempt *attempt) noexcept nogil
# A connection whose exchange is done and that may carry another one
cdef void pool_put(Upstream *upstream) noexcept nogil
# A connection is about to be closed, whatever its state
cdef void pool_closed(Upstream *upstream) noexcept nogil
# Other workers have let places go, or want some
cdef void pool_wake(Worker *worker) noexcept nogil
# Close all idle connections
cdef void pool_drain(Worker *worker) noexcept nogil
