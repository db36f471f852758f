"""The connections of a worker to its hosts: idle ones kept, new ones allowed, requests that must wait queued fairly.

An idle connection is handed out most recently used first and never past its age or use. When a cluster is at
`max_connections`, a request waits; whoever lets a connection go, in whichever worker, hands its place to the one that
has waited longest: through `ClusterLine.oldest_waiter` and the waiter's eventfd. A newcomer never overtakes a waiter.
Every counted connection is uncounted in `pool_closed` and nowhere else.
"""
from tulle._fast.base.types cimport likely, uint32_t, unlikely
from tulle._fast.flow.types cimport X_RAW, X_UPGRADE, Attempt, Upstream, Worker
from tulle._fast.policy.image cimport CLUSTER_AUTO, CLUSTER_HTTP1

cdef enum PoolResult:
    POOL_READY = 0                     # attempt.upstream is set
    POOL_WAIT = 1                      # hooks.attempt_ready or attempt_failed follows
    POOL_OVERFLOW = -1                 # a limit: UO
    POOL_FAILED = -2                   # the connection failed at once: UF

cdef inline bint pool_shares(const Attempt *attempt) noexcept nogil:
    """Whether the request may go on one connection with others."""
    cdef uint32_t protocol = attempt.host.cluster.config.protocol
    if likely(protocol == CLUSTER_HTTP1):
        return False
    # What is no request of HTTP, or asks to leave it, has a connection of its own where there can be one
    return not attempt.exchange.flags & (X_RAW | (X_UPGRADE if protocol == CLUSTER_AUTO else 0))

cdef int pool_acquire(Attempt *attempt, bint fresh) noexcept nogil
# As far as there is an idle connection or room for one: never POOL_WAIT in the queue, nor counted as an overflow
cdef int pool_acquire_now(Attempt *attempt) noexcept nogil
# An idle connection is taken up
cdef void idle_remove(Upstream *upstream) noexcept nogil
# A shared connection has room for another request: the oldest waiter's, if it is ours. False: nobody waits here
cdef bint pool_lend(Upstream *upstream) noexcept nogil
# The attempt needs no connection any more (it had none yet)
cdef void pool_leave_queue(Attempt *attempt) noexcept nogil
# A connection whose exchange is done and that may carry another one
cdef void pool_put(Upstream *upstream) noexcept nogil
# A connection is about to be closed, whatever its state
cdef void pool_closed(Upstream *upstream) noexcept nogil
# Whether it is of the kind that the cluster wants now: plain, or verified by the same roots and names
cdef bint pool_trusts(const Upstream *upstream) noexcept nogil
# Other workers have let places go, or want some
cdef void pool_wake(Worker *worker) noexcept nogil
# Close all idle connections
cdef void pool_drain(Worker *worker) noexcept nogil
