"""Peak EWMA with the power of choices: of `choices` hosts drawn by weight, the one that costs least.

A request costs a host its latency (`ewma.pxd`) times the requests that are in flight with this one, for its weight.
Between idle hosts the weight counts in the draw only: equally fast ones are shared out exactly by weight.
"""
from tulle._fast.base.random cimport Random
from tulle._fast.base.types cimport int32_t, uint32_t, uint64_t
from tulle._fast.policy.balancer cimport BalancerState
from tulle._fast.policy.ewma cimport EwmaPolicy

cdef int32_t lb_peak_ewma_pick(
    const BalancerState *state, Random *random, const EwmaPolicy *policy, uint64_t now, uint32_t choices
) noexcept nogil
