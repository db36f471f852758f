"""See `lb_peak_ewma.pxd`."""
from tulle._fast.policy.balancer cimport BalancerHost, balancer_draw
from tulle._fast.policy.ewma cimport ewma_at


cdef inline double cost_of(const BalancerHost *host, const EwmaPolicy *policy, uint64_t now) noexcept nogil:
    return ewma_at(&host.load.ewma, policy, now) * (host.load.active + 1)


cdef int32_t lb_peak_ewma_pick(
    const BalancerState *state, Random *random, const EwmaPolicy *policy, uint64_t now
) noexcept nogil:
    cdef int32_t first = balancer_draw(state, random, -1)
    cdef int32_t second
    cdef const BalancerHost *host
    cdef const BalancerHost *rival
    cdef double cost, rival_cost
    if first < 0 or state.count == 1:
        return first
    second = balancer_draw(state, random, first)
    if second < 0:
        return first
    host = &state.hosts[first]
    rival = &state.hosts[second]
    cost = cost_of(host, policy, now)
    rival_cost = cost_of(rival, policy, now)
    if host.load.active != 0 or rival.load.active != 0:
        cost *= rival.weight
        rival_cost *= host.weight
    return second if rival_cost < cost else first
