"""Weighted round robin, smooth: earliest virtual deadline first.

A host of weight w is due every 1/w of virtual time. The first turns are spread over that span, hosts of one weight
evenly among each other, so turns interleave as the weights allow from the first pick on, wherever the seed lets them
begin. O(1) when the weights are equal, O(log n) otherwise, O(n) when many turns in a row are those of hosts that are
down. A host that was down does not make up for the turns that it missed.
"""
from tulle._fast.base.types cimport int32_t
from tulle._fast.policy.balancer cimport BalancerState

cdef int32_t lb_round_robin_pick(BalancerState *state) noexcept nogil
