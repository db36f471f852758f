"""Random balancing: every request to a host drawn by weight."""
from tulle._fast.base.random cimport Random
from tulle._fast.base.types cimport int32_t
from tulle._fast.policy.balancer cimport BalancerState

cdef int32_t lb_random_pick(const BalancerState *state, Random *random) noexcept nogil
