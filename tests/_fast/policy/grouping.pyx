"""How requests are spread over priorities, zones and groups, as Python, for tests; built in place only."""
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tulle._fast.base.random cimport Random, random_next, random_seed
from tulle._fast.base.types cimport int32_t, uint32_t, uint64_t
from tulle._fast.policy.balancer cimport BalancerState, HostLoad
from tulle._fast.policy.host_groups cimport (
    HostGroup, HostGroups, HostSet, host_groups_find, host_groups_free, host_groups_look, host_groups_make,
    host_set_draw,
)
from tulle._fast.policy.image cimport EndpointList, Endpoints, endpoints_open, image_endpoints
from tulle._fast.policy.lb_least_request cimport lb_least_request_pick
from tulle._fast.policy.lb_random cimport lb_random_pick
from tulle._fast.policy.lb_round_robin cimport lb_round_robin_pick
from tulle._fast.policy.priority cimport PriorityLevel, priority_spread
from tulle._fast.policy.zone cimport zone_spread

cdef enum:
    MOST = 1000


def priorities(list levels, uint32_t threshold) -> list[tuple[float, bool]]:
    """(load, panic) of each of these levels, which are (usable weight, total weight)."""
    cdef PriorityLevel made[MOST]
    cdef uint32_t index
    for index in range(<uint32_t>len(levels)):
        made[index].usable, made[index].total = levels[index]
        made[index].resting = 0
    priority_spread(made, <uint32_t>len(levels), threshold)
    return [(made[index].load, bool(made[index].panic)) for index in range(<uint32_t>len(levels))]


def zones(list weights) -> list[float]:
    """The share of each zone with these usable weights, for a caller in the first."""
    cdef double usable[MOST]
    cdef double share[MOST]
    cdef uint32_t index
    for index in range(<uint32_t>len(weights)):
        usable[index] = weights[index]
    zone_spread(usable, <uint32_t>len(weights), share)
    return [share[index] for index in range(<uint32_t>len(weights))]


cdef class Groups:
    """The groups of the first cluster of an endpoints segment; `absent` are indexes of endpoints that are left out."""
    cdef HostGroups groups
    cdef HostLoad *hosts
    cdef uint32_t count
    cdef Random random

    def __cinit__(self, bytes segment, uint64_t seed=1, absent=()):
        cdef const Endpoints *header = endpoints_open(<const char *>segment, len(segment))
        cdef const EndpointList *listed = image_endpoints(header, 0)
        cdef HostLoad **loads
        cdef uint32_t index
        memset(&self.groups, 0, sizeof(HostGroups))
        random_seed(&self.random, seed)
        self.count = listed.count
        self.hosts = <HostLoad *>calloc(listed.count + 1, sizeof(HostLoad))
        loads = <HostLoad **>calloc(listed.count + 1, sizeof(void *))
        if self.hosts == NULL or loads == NULL:
            raise MemoryError
        for index in range(listed.count):
            loads[index] = NULL if index in absent else &self.hosts[index]
            self.hosts[index].available = 1
        made = host_groups_make(&self.groups, <const char *>segment, listed, loads, &self.random)
        free(loads)
        if not made:
            raise MemoryError
        host_groups_look(&self.groups)

    def __dealloc__(self):
        host_groups_free(&self.groups)
        free(self.hosts)

    def look(self, available: list[int]) -> None:
        """Take over the `Availability` of each endpoint."""
        cdef uint32_t index
        for index in range(self.count):
            self.hosts[index].available = available[index]
        host_groups_look(&self.groups)

    def plain(self) -> bool:
        return self.groups.plain

    def states(self, uint32_t number=0) -> list[tuple[float, bool]]:
        """(share, panic) of the groups of a set."""
        cdef HostSet *hosts = &self.groups.sets[number]
        return [(hosts.groups[index].share, bool(hosts.groups[index].panic)) for index in range(hosts.count)]

    def falls_back(self, uint32_t number) -> bool:
        return self.groups.sets[number].fall_back

    def find(self, uint32_t index, uint64_t key) -> int:
        """The number of the set, -1 when there is none."""
        cdef HostSet *found = host_groups_find(&self.groups, index, key)
        return -1 if found == NULL else found - self.groups.sets

    def key(self, uint32_t number) -> int:
        return self.groups.sets[number].key

    def counts(self, uint32_t number, uint32_t picks, int algorithm=2) -> list[int]:
        """How often each endpoint is picked from a set; the last is how often none is.

        The algorithm as in `balancing`; requests end at once.
        """
        cdef HostSet *hosts = &self.groups.sets[number]
        cdef HostGroup *group
        cdef int32_t index
        cdef uint32_t *counted = <uint32_t *>calloc(self.count + 1, sizeof(uint32_t))
        cdef uint32_t _pick
        if counted == NULL:
            raise MemoryError
        for _pick in range(picks):
            group = host_set_draw(hosts, <uint32_t>(random_next(&self.random) >> 32))
            index = -1 if group == NULL else self.pick(&group.balancer, algorithm)
            if index < 0:
                counted[self.count] += 1
            else:
                counted[group.balancer.hosts[index].load - self.hosts] += 1
        found = [counted[each] for each in range(self.count + 1)]
        free(counted)
        return found

    cdef int32_t pick(self, BalancerState *state, int algorithm) noexcept nogil:
        if algorithm == 0:
            return lb_round_robin_pick(state)
        if algorithm == 1:
            return lb_least_request_pick(state, &self.random, 2)
        return lb_random_pick(state, &self.random)
