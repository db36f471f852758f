"""See `lb_random.pxd`."""
from tulle._fast.base.random cimport random_next
from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.balancer cimport balancer_draw, balancer_scan

cdef enum:
    DRAWS = 8


cdef int32_t lb_random_pick(const BalancerState *state, Random *random) noexcept nogil:
    cdef uint32_t index = 0
    cdef int _draw
    if state.count == 0:
        return -1
    # Drawing again keeps the weights right among the usable; the scan is for clusters that are mostly down
    for _draw in range(DRAWS):
        index = balancer_draw(state, random_next(random))
        if state.hosts[index].usable:
            return <int32_t>index
    return balancer_scan(state, index)
