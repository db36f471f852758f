"""See `lb_least_request.pxd`."""
from tulle._fast.base.types cimport uint64_t
from tulle._fast.policy.balancer cimport BalancerHost, balancer_draw


cdef inline bint less_busy(const BalancerHost *rival, const BalancerHost *best) noexcept nogil:
    """Compares by the divisors of Webster's apportionment, (n + 1/2) / weight, which favour neither heavy nor light:
    n / weight would send every second request of two to a host of weight 1 beside one of weight 100.
    """
    if rival.load.active == 0 and best.load.active == 0:
        return False
    return (2 * <uint64_t>rival.load.active + 1) * best.weight < (2 * <uint64_t>best.load.active + 1) * rival.weight


cdef int32_t lb_least_request_pick(const BalancerState *state, Random *random, uint32_t choices) noexcept nogil:
    cdef int32_t best = balancer_draw(state, random, -1)
    cdef int32_t rival
    cdef uint32_t _choice
    if best < 0 or state.count == 1:
        return best
    for _choice in range(1, choices):
        rival = balancer_draw(state, random, best)
        if rival < 0:
            return best
        if less_busy(&state.hosts[rival], &state.hosts[best]):
            best = rival
    return best
