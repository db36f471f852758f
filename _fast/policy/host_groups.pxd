"""The hosts of a cluster, cut into groups; which group gets a request is drawn first, then the algorithm picks in it.

A group is a list of hosts of its own with its own balancer state; a host may be in several groups, and its load is
kept once. Whoever knows which hosts may be used now writes `available` of their loads and calls `host_groups_look`:
all that depends on it is counted then, and not for each request. Pure: knows hosts by their loads alone.
"""
from tulle._fast.base.random cimport Random
from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.balancer cimport BalancerState, HostLoad
from tulle._fast.policy.image cimport EndpointList

cdef struct HostGroup:
    BalancerState balancer

cdef struct HostGroups:                # zeroed: no hosts
    HostGroup *groups
    uint32_t count

# The groups of an endpoint list. `loads` in its order, NULL for one that is left out. False, and nothing has changed:
# no memory. What there was before is let go; nothing is usable before the next look
cdef bint host_groups_make(
    HostGroups *groups, const void *segment, const EndpointList *listed, HostLoad **loads, Random *random
) noexcept nogil
cdef void host_groups_free(HostGroups *groups) noexcept nogil
# Take over which hosts are available
cdef void host_groups_look(HostGroups *groups) noexcept nogil
