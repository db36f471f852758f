"""See `host_groups.pxd`."""
from libc.stdlib cimport calloc, free

from tulle._fast.base.random cimport random_next
from tulle._fast.policy.balancer cimport BalancerHost, balancer_reset
from tulle._fast.policy.image cimport EndpointEntry, image_at


cdef void group_free(HostGroup *group) noexcept nogil:
    free(group.balancer.hosts)
    free(group.balancer.heap)


cdef bint group_make(
    HostGroup *group, const EndpointEntry *entries, uint32_t count, HostLoad **loads, Random *random
) noexcept nogil:
    cdef BalancerHost *hosts = <BalancerHost *>calloc(count + 1, sizeof(BalancerHost))
    cdef uint32_t *heap = <uint32_t *>calloc(count + 1, sizeof(uint32_t))
    cdef uint32_t index, taken = 0
    if hosts == NULL or heap == NULL:
        free(hosts)
        free(heap)
        return False
    for index in range(count):
        if loads[index] != NULL:
            hosts[taken].load = loads[index]
            hosts[taken].weight = entries[index].weight
            taken += 1
    balancer_reset(&group.balancer, hosts, heap, taken, random_next(random))
    return True


cdef bint host_groups_make(
    HostGroups *groups, const void *segment, const EndpointList *listed, HostLoad **loads, Random *random
) noexcept nogil:
    cdef HostGroups made
    made.count = 1
    made.groups = <HostGroup *>calloc(made.count, sizeof(HostGroup))
    if made.groups == NULL:
        return False
    if not group_make(
        made.groups, <const EndpointEntry *>image_at(segment, listed.offset), listed.count, loads, random
    ):
        host_groups_free(&made)
        return False
    host_groups_free(groups)
    groups[0] = made
    return True


cdef void host_groups_free(HostGroups *groups) noexcept nogil:
    cdef uint32_t index
    for index in range(groups.count):
        group_free(&groups.groups[index])
    free(groups.groups)
    groups.groups = NULL
    groups.count = 0


cdef void group_look(HostGroup *group) noexcept nogil:
    cdef uint32_t index
    for index in range(group.balancer.count):
        group.balancer.hosts[index].usable = group.balancer.hosts[index].load.available


cdef void host_groups_look(HostGroups *groups) noexcept nogil:
    cdef uint32_t index
    for index in range(groups.count):
        group_look(&groups.groups[index])
