"""See `lb_peak_ewma.pxd`."""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.balancer cimport BalancerHost, balancer_draw
from tulle._fast.policy.ewma cimport ewma_at


cdef inline double cost_of(const BalancerHost *host, const EwmaPolicy *policy, uint64_t now) noexcept nogil:
    return ewma_at(&host.load.ewma, policy, now) * (host.load.active + 1)


cdef int32_t lb_peak_ewma_pick(
    const BalancerState *state, Random *random, const EwmaPolicy *policy, uint64_t now, uint32_t choices
) noexcept nogil:
    cdef int32_t best = balancer_draw(state, random, -1)
    cdef int32_t other
    cdef uint32_t _choice
    cdef const BalancerHost *host
    cdef const BalancerHost *rival
    cdef double cost, rival_cost
    if best < 0 or state.count == 1:
        return best
    host = &state.hosts[best]
    cost = cost_of(host, policy, now)
    for _choice in range(1, choices):
        other = balancer_draw(state, random, best)
        if other < 0:
            return best
        rival = &state.hosts[other]
        rival_cost = cost_of(rival, policy, now)
        if host.load.active != 0 or rival.load.active != 0:
            if rival_cost * host.weight >= cost * rival.weight:
                continue
        elif rival_cost >= cost:
            continue
        best = other
        host = rival
        cost = rival_cost
    return best
