"""Ring hash, Ketama's kind: hosts have points on a ring by their weights, and a request goes to the next from its hash.

A point's place depends on its host's key alone: when a host leaves, nothing moves but what it had, to the points that
come next. A host that is down, or at the bound of its load, is passed over in the same way. As in Envoy there are as
many points as give the lightest host a whole number of them, at least `smallest` and at most `largest` together.

Points lie in buckets of the leading bits of their places, about one in each: finding the next one takes a step or two,
and sorting them no comparison of distant ones. A worker makes a ring when the first request needs it; `lb_maglev` says
why.
"""
from tulle._fast.base.types cimport int32_t, uint32_t, uint64_t
from tulle._fast.policy.balancer cimport BalancerState
from tulle._fast.policy.load_bound cimport LoadBound

cdef struct RingPolicy:
    uint32_t smallest
    uint32_t largest

cdef struct RingPoint:
    uint64_t place
    uint32_t host                      # index into the hosts

cdef struct Ring:                      # followed by `starts` and `points`
    RingPolicy policy
    uint32_t count                     # of points
    uint32_t shift                     # from a place to its bucket
    uint32_t *starts                   # of each bucket: the first point in it or behind it
    RingPoint *points

# -1: no host is usable, or there was no memory for the ring
cdef int32_t lb_ring_hash_pick(
    BalancerState *state, uint64_t hash, const RingPolicy *policy, const LoadBound *bound
) noexcept nogil
