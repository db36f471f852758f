"""The hosts of a cluster, cut into groups; which group gets a request is drawn first, then the algorithm picks in it.

A *set* has the hosts that a backend of a route may use: all, or those of a subset. Its *groups* are those of one
priority and, where the own zone is preferred, of one zone. A group is a list of hosts with a balancer state of its own;
a host may be in several groups, and its load is kept once. The sets and groups are cut by the compiler; most clusters
have one set of one group.

Whoever knows which hosts may be used now writes `available` of their loads and calls `host_groups_look`: what each
group gets is counted then, and not for each request. Pure: knows hosts by their loads alone.
"""
from tulle._fast.base.random cimport Random
from tulle._fast.base.types cimport likely, uint32_t, uint64_t
from tulle._fast.policy.balancer cimport BalancerState, HostLoad
from tulle._fast.policy.image cimport EndpointList
from tulle._fast.policy.priority cimport PriorityLevel

cdef struct HostGroup:
    BalancerState balancer
    uint64_t until                     # gets the draws from that of the group before it to this, of 2^32
    double usable                      # weight of the hosts that may be used
    double resting                     # weight of those that are well but ask to be left alone
    double total                       # weight of all hosts
    double share                       # of the requests to its set
    uint32_t priority
    bint panic                         # all hosts are used, but those that are barred

cdef struct HostSet:
    uint64_t key                       # of its subset, 0: all hosts
    HostGroup *groups                  # by priority, and within one the own zone first
    uint32_t count
    bint panic                         # a group is in a panic
    bint wakes                         # no host is up: those that rest are used
    bint fall_back                     # nothing of it can be used: the set of all hosts serves

cdef struct HostGroups:                # zeroed: no hosts
    HostGroup *groups                  # of all sets
    HostSet *sets                      # the first has all hosts
    PriorityLevel *levels              # room for one a group
    double *shares                     # room for two a group
    uint32_t count                     # of groups
    uint32_t set_count
    uint32_t flags                     # EndpointListFlags
    uint32_t panic_threshold           # per cent
    bint plain                         # set 0 is one group, and nothing is to be counted

# The groups of an endpoint list. `loads` in its order, NULL for one that is left out. False, and nothing has changed:
# no memory. What there was before is let go; nothing is usable before the next look
cdef bint host_groups_make(
    HostGroups *groups, const void *segment, const EndpointList *listed, HostLoad **loads, Random *random
) noexcept nogil
cdef void host_groups_free(HostGroups *groups) noexcept nogil
# Take over which hosts are available, and share out
cdef void host_groups_look(HostGroups *groups) noexcept nogil
# Take over the hosts' weights and shares, see `balancer_weigh`; before a look
cdef void host_groups_weigh(HostGroups *groups, uint32_t unit) noexcept nogil
# The set of a backend: `index` is where it was at the backend's version, `key` tells it. NULL: there is none any more
cdef HostSet *host_groups_find(const HostGroups *groups, uint32_t index, uint64_t key) noexcept nogil

cdef inline HostGroup *host_set_draw(const HostSet *hosts, uint32_t draw) noexcept nogil:
    """The group that a random draw falls to; NULL when no group gets anything."""
    cdef uint32_t index
    for index in range(hosts.count):
        if likely(draw < hosts.groups[index].until):
            return &hosts.groups[index]
    return NULL
