"""See `lb_random.pxd`."""
from tulle._fast.policy.balancer cimport balancer_draw


cdef int32_t lb_random_pick(const BalancerState *state, Random *random) noexcept nogil:
    return balancer_draw(state, random, -1)
