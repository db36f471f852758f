"""See `lb_least_request.pxd`."""
from tulle._fast.base.types cimport uint64_t
from tulle._fast.policy.balancer cimport BalancerHost
from tulle._fast.policy.lb_random cimport lb_random_pick


cdef int32_t lb_least_request_pick(const BalancerState *state, Random *random, uint32_t choices) noexcept nogil:
    cdef int32_t best = lb_random_pick(state, random)
    cdef int32_t other
    cdef const BalancerHost *winner
    cdef const BalancerHost *rival
    cdef uint32_t _choice
    if best < 0 or state.count == 1:
        return best
    for _choice in range(1, choices):
        other = lb_random_pick(state, random)
        if other == best:
            # Two choices are to be two hosts: a neighbour serves, whichever it is
            other = best + 1 if <uint32_t>best + 1 < state.count else 0
            if not state.hosts[other].usable:
                continue
        winner = &state.hosts[best]
        rival = &state.hosts[other]
        if <uint64_t>rival.active * winner.weight < <uint64_t>winner.active * rival.weight:
            best = other
    return best
