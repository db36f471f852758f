"""Least request by the power of choices: of `choices` hosts drawn by weight, the one with the fewest requests for
its weight.

Each is drawn apart from the best so far. Between idle hosts the first drawn wins, so an idle cluster is shared out
exactly by weight.
"""
from tulle._fast.base.random cimport Random
from tulle._fast.base.types cimport int32_t, uint32_t
from tulle._fast.policy.balancer cimport BalancerState

cdef int32_t lb_least_request_pick(const BalancerState *state, Random *random, uint32_t choices) noexcept nogil
