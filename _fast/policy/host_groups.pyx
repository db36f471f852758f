"""See `host_groups.pxd`."""
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tulle._fast.base.random cimport random_next
from tulle._fast.policy.balancer cimport (
    HOST_BARRED, HOST_RESTING, HOST_UP, BalancerHost, BalancerState, balancer_free, balancer_reset,
    balancer_weigh,
)
from tulle._fast.policy.image cimport (
    ENDPOINTS_FALL_BACK, ENDPOINTS_ZONE_AWARE, EndpointEntry, HostGroupEntry, HostSetEntry, image_at,
)
from tulle._fast.policy.priority cimport priority_spread
from tulle._fast.policy.zone cimport zone_spread

cdef enum:
    DRAW_BITS = 32


# -- making -----------------------------------------------------------------------------------------------------------

cdef bint group_make(
    HostGroup *group, const EndpointEntry *entries, const uint32_t *members, uint32_t count, HostLoad **loads,
    Random *random
) noexcept nogil:
    """`members` are indexes, NULL: the first `count`."""
    cdef BalancerHost *hosts = <BalancerHost *>calloc(count + 1, sizeof(BalancerHost))
    cdef uint32_t *heap = <uint32_t *>calloc(count + 1, sizeof(uint32_t))
    cdef uint32_t index, member, taken = 0
    if hosts == NULL or heap == NULL:
        free(hosts)
        free(heap)
        return False
    for index in range(count):
        member = index if members == NULL else members[index]
        if loads[member] != NULL:
            hosts[taken].load = loads[member]
            hosts[taken].weight = entries[member].weight
            taken += 1
    balancer_reset(&group.balancer, hosts, heap, taken, random_next(random))
    return True


cdef bint groups_reserve(HostGroups *groups, const HostSetEntry *sets, uint32_t set_count) noexcept nogil:
    cdef uint32_t index
    groups.set_count = set_count if set_count != 0 else 1
    groups.count = 0 if set_count != 0 else 1
    for index in range(set_count):
        groups.count += sets[index].groups.count
    groups.groups = <HostGroup *>calloc(groups.count + 1, sizeof(HostGroup))
    groups.sets = <HostSet *>calloc(groups.set_count, sizeof(HostSet))
    groups.levels = <PriorityLevel *>calloc(groups.count + 1, sizeof(PriorityLevel))
    groups.shares = <double *>calloc(2 * groups.count + 1, sizeof(double))
    return groups.groups != NULL and groups.sets != NULL and groups.levels != NULL and groups.shares != NULL


cdef bint groups_fill(
    HostGroups *groups, const void *segment, const EndpointList *listed, HostLoad **loads, Random *random
) noexcept nogil:
    cdef const EndpointEntry *entries = <const EndpointEntry *>image_at(segment, listed.offset)
    cdef const HostSetEntry *sets = <const HostSetEntry *>image_at(segment, listed.sets.offset)
    cdef const HostGroupEntry *entry
    cdef HostGroup *group = groups.groups
    cdef uint32_t index, number
    if listed.sets.count == 0:
        groups.sets[0].groups = group
        groups.sets[0].count = 1
        return group_make(group, entries, NULL, listed.count, loads, random)
    for index in range(listed.sets.count):
        groups.sets[index].key = sets[index].key
        groups.sets[index].groups = group
        groups.sets[index].count = sets[index].groups.count
        entry = <const HostGroupEntry *>image_at(segment, sets[index].groups.offset)
        for number in range(sets[index].groups.count):
            group.priority = entry[number].priority
            if not group_make(
                group, entries, <const uint32_t *>image_at(segment, entry[number].members.offset),
                entry[number].members.count, loads, random,
            ):
                return False
            group += 1
    return True


cdef bint host_groups_make(
    HostGroups *groups, const void *segment, const EndpointList *listed, HostLoad **loads, Random *random
) noexcept nogil:
    cdef const EndpointEntry *entries = <const EndpointEntry *>image_at(segment, listed.offset)
    cdef HostGroups made
    cdef uint32_t index
    memset(&made, 0, sizeof(HostGroups))
    made.flags = listed.flags
    made.panic_threshold = listed.panic_threshold
    if (
        not groups_reserve(&made, <const HostSetEntry *>image_at(segment, listed.sets.offset), listed.sets.count)
        or not groups_fill(&made, segment, listed, loads, random)
    ):
        host_groups_free(&made)
        return False
    for index in range(listed.count):
        if loads[index] != NULL:
            loads[index].zone = entries[index].zone_kind
    host_groups_free(groups)
    groups[0] = made
    return True


cdef void host_groups_free(HostGroups *groups) noexcept nogil:
    cdef uint32_t index
    if groups.groups != NULL:
        for index in range(groups.count):
            balancer_free(&groups.groups[index].balancer)
    free(groups.groups)
    free(groups.sets)
    free(groups.levels)
    free(groups.shares)
    memset(groups, 0, sizeof(HostGroups))


# -- sharing out ------------------------------------------------------------------------------------------------------

cdef bint set_is_up(const HostSet *hosts) noexcept nogil:
    """Whether any host of it is up."""
    cdef const BalancerState *state
    cdef uint32_t number, index
    for number in range(hosts.count):
        state = &hosts.groups[number].balancer
        for index in range(state.count):
            if state.hosts[index].load.available == HOST_UP:
                return True
    return False


cdef void group_weigh(HostGroup *group, bint wakes) noexcept nogil:
    cdef const BalancerHost *host
    cdef uint32_t index
    group.usable = 0
    group.resting = 0
    group.total = 0
    for index in range(group.balancer.count):
        host = &group.balancer.hosts[index]
        group.total += host.weight
        if host.load.available == HOST_UP or (wakes and host.load.available == HOST_RESTING):
            group.usable += host.weight
        elif host.load.available == HOST_RESTING:
            group.resting += host.weight


cdef void group_open(HostGroup *group, bint wakes) noexcept nogil:
    """Say which hosts the balancer may pick."""
    cdef uint32_t index
    cdef uint32_t available
    for index in range(group.balancer.count):
        available = group.balancer.hosts[index].load.available
        group.balancer.hosts[index].usable = (
            available == HOST_UP or (wakes and available == HOST_RESTING)
            or (group.panic and available != HOST_BARRED)
        )


cdef inline uint32_t level_end(const HostSet *hosts, uint32_t begin) noexcept nogil:
    """Behind the last group of the priority that begins there."""
    cdef uint32_t index = begin + 1
    while index < hosts.count and hosts.groups[index].priority == hosts.groups[begin].priority:
        index += 1
    return index


cdef void level_share(
    HostGroup *groups, uint32_t count, const PriorityLevel *level, double *usable, double *share
) noexcept nogil:
    """What each group of a priority gets: by zone, but in a panic by size, for nobody knows which zone is well."""
    cdef uint32_t index
    for index in range(count):
        usable[index] = groups[index].usable
        share[index] = groups[index].total / level.total if level.total > 0 else 0
        groups[index].panic = level.panic
    if count > 1 and not level.panic:
        zone_spread(usable, count, share)
    for index in range(count):
        groups[index].share = level.load * share[index]


cdef void set_draws(HostSet *hosts) noexcept nogil:
    """Shares to draws; what rounding leaves is for the last that gets anything."""
    cdef HostGroup *last = NULL
    cdef double until = 0
    cdef uint32_t index
    for index in range(hosts.count):
        until += hosts.groups[index].share
        hosts.groups[index].until = <uint64_t>(until * (<uint64_t>1 << DRAW_BITS) + 0.5)
        if hosts.groups[index].share > 0:
            last = &hosts.groups[index]
    if last != NULL:
        last.until = <uint64_t>1 << DRAW_BITS


cdef void set_share(HostGroups *groups, HostSet *hosts) noexcept nogil:
    cdef uint32_t begin = 0
    cdef uint32_t end, index
    cdef uint32_t count = 0
    cdef PriorityLevel *level
    hosts.wakes = not set_is_up(hosts)
    while begin < hosts.count:
        end = level_end(hosts, begin)
        level = &groups.levels[count]
        level.usable = 0
        level.resting = 0
        level.total = 0
        for index in range(begin, end):
            group_weigh(&hosts.groups[index], hosts.wakes)
            level.usable += hosts.groups[index].usable
            level.resting += hosts.groups[index].resting
            level.total += hosts.groups[index].total
        count += 1
        begin = end
    priority_spread(groups.levels, count, groups.panic_threshold)
    begin = 0
    hosts.panic = False
    hosts.fall_back = groups.flags & ENDPOINTS_FALL_BACK != 0 and hosts.key != 0
    for index in range(count):
        end = level_end(hosts, begin)
        level_share(
            &hosts.groups[begin], end - begin, &groups.levels[index], groups.shares, groups.shares + groups.count
        )
        hosts.panic = hosts.panic or groups.levels[index].panic
        if groups.levels[index].usable > 0:
            hosts.fall_back = False
        begin = end
    for index in range(hosts.count):
        group_open(&hosts.groups[index], hosts.wakes)
    set_draws(hosts)


cdef void host_groups_look(HostGroups *groups) noexcept nogil:
    cdef uint32_t index
    for index in range(groups.set_count):
        set_share(groups, &groups.sets[index])
    groups.plain = (
        groups.set_count > 0 and groups.sets[0].count == 1 and not groups.sets[0].panic
        and not groups.flags & ENDPOINTS_ZONE_AWARE
    )


cdef HostSet *host_groups_find(const HostGroups *groups, uint32_t index, uint64_t key) noexcept nogil:
    if index < groups.set_count and groups.sets[index].key == key:
        return &groups.sets[index]
    for index in range(groups.set_count):
        if groups.sets[index].key == key:
            return &groups.sets[index]
    return NULL


cdef void host_groups_weigh(HostGroups *groups, uint32_t unit) noexcept nogil:
    cdef uint32_t index
    for index in range(groups.count):
        balancer_weigh(&groups.groups[index].balancer, unit)
