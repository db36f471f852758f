"""Circuit breakers on the way of a try: asked before it begins, told what came of it. The rules are policy/breaker's.

A try passes the breaker of its cluster first, then that of the host that was picked; what it holds of half-open rounds
is in `Attempt.cluster_token` and `host_token`, and goes back with its outcome or, without one, with its end.
"""
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.types cimport Attempt, Cluster, Host

cdef struct Passage:
    uint64_t cluster_token
    uint64_t host_token

# A host for the next try of an exchange whose cluster has breakers. NULL: `*shut` tells whether the cluster's is open,
# else no host is usable; nothing is held then
cdef Host *breaking_pick(Cluster *cluster, Attempt *attempt, Passage *passage, bint *shut) noexcept nogil
# Whether the cluster's breaker would let nothing pass now
cdef bint breaking_cluster_is_shut(const Cluster *cluster) noexcept nogil
# Seconds until it may, at least 1
cdef uint64_t breaking_seconds_left(const Cluster *cluster) noexcept nogil
# What came of a try, under a policy that is on
cdef void breaking_learn(Attempt *attempt, bint failed) noexcept nogil
# The try holds something and ends without an outcome
cdef void breaking_drop(Attempt *attempt) noexcept nogil
# It goes to another host than it was meant for
cdef void breaking_leave_host(Attempt *attempt) noexcept nogil
# Whether a host's breaker lets nothing pass, or only what it has counted; `*look_at` is moved up to when it may
cdef bint breaking_host_is_out(Host *host, uint64_t now, uint64_t *look_at) noexcept nogil
cdef bint breaking_host_is_closed(const Host *host) noexcept nogil
