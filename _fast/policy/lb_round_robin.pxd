"""Weighted round robin, smooth: earliest virtual deadline first.

A host of weight w is due every 1/w of virtual time, so turns interleave as evenly as the weights allow. O(1) when the
weights are equal, O(log n) otherwise.
"""
from tulle._fast.base.types cimport int32_t
from tulle._fast.policy.balancer cimport BalancerState

cdef int32_t lb_round_robin_pick(BalancerState *state) noexcept nogil
