"""The groups of clusters for people: what workers make of an endpoints segment, found by the very functions they use.

For admin pages and metrics, in a process of its own. No worker has to tell what it knows: the shares follow from the
segment and from which endpoints may be used, and both are shared.
"""
from collections import namedtuple

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tulle._fast.base.random cimport Random, random_seed
from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.balancer cimport HOST_DOWN, HOST_UP, HostLoad
from tulle._fast.policy.host_groups cimport (
    HostGroup, HostGroups, HostSet, host_groups_free, host_groups_look, host_groups_make,
)
from tulle._fast.policy.image cimport (
    EndpointEntry, EndpointList, Endpoints, HostGroupEntry, HostSetEntry, Text, endpoints_open, image_at,
    image_endpoints,
)

Endpoint = namedtuple("Endpoint", "address priority zone metadata")     # metadata: JSON, or empty
Group = namedtuple("Group", "priority zone members share panic")        # members: indexes of its endpoints


cdef class GroupView:
    """An endpoints segment: any contiguous buffer. ValueError when it is none."""
    cdef Py_buffer view
    cdef const char *block
    cdef const Endpoints *header

    def __cinit__(self, segment):
        PyObject_GetBuffer(segment, &self.view, PyBUF_SIMPLE)
        self.block = <const char *>self.view.buf
        self.header = endpoints_open(self.view.buf, <size_t>self.view.len)
        if self.header == NULL:
            raise ValueError("this is not an endpoints segment of this version of Tulle")

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    def endpoints(self, uint32_t cluster):
        """The endpoints of a cluster, which is the number in the order of the configuration."""
        cdef const EndpointList *listed = image_endpoints(self.header, cluster)
        cdef const EndpointEntry *entry = <const EndpointEntry *>image_at(self.block, listed.offset)
        cdef uint32_t index
        return [
            Endpoint(
                self.text(entry[index].address_text), entry[index].priority, self.text(entry[index].zone),
                self.text(entry[index].metadata),
            )
            for index in range(listed.count)
        ]

    def sets(self, uint32_t cluster, list available):
        """The sets of a cluster, in the order of its subsets behind that of all, when these endpoints may be used.

        Each is a pair: whether it falls back, and its groups. MemoryError when there is no memory.
        """
        cdef const EndpointList *listed = image_endpoints(self.header, cluster)
        cdef HostLoad *hosts = <HostLoad *>calloc(listed.count + 1, sizeof(HostLoad))
        cdef HostLoad **loads = <HostLoad **>calloc(listed.count + 1, sizeof(void *))
        cdef HostGroups groups
        cdef Random random
        cdef uint32_t index
        memset(&groups, 0, sizeof(HostGroups))
        random_seed(&random, 1)
        try:
            if hosts == NULL or loads == NULL:
                raise MemoryError
            for index in range(listed.count):
                loads[index] = &hosts[index]
                hosts[index].available = HOST_UP if available[index] else HOST_DOWN
            if not host_groups_make(&groups, self.block, listed, loads, &random):
                raise MemoryError
            host_groups_look(&groups)
            return [self.one_set(listed, &groups, index) for index in range(groups.set_count)]
        finally:
            host_groups_free(&groups)
            free(hosts)
            free(loads)

    cdef tuple one_set(self, const EndpointList *listed, const HostGroups *groups, uint32_t number):
        cdef const HostSet *found = &groups.sets[number]
        cdef const HostSetEntry *sets
        cdef const HostGroupEntry *entry = NULL
        cdef const HostGroup *group
        cdef uint32_t index
        if listed.sets.count != 0:
            sets = <const HostSetEntry *>image_at(self.block, listed.sets.offset)
            entry = <const HostGroupEntry *>image_at(self.block, sets[number].groups.offset)
        shown = []
        for index in range(found.count):
            group = &found.groups[index]
            zone = "" if entry == NULL else self.text(entry[index].zone)
            members = list(range(listed.count)) if entry == NULL else self.members(&entry[index])
            shown.append(Group(group.priority, zone, members, group.share, bool(group.panic)))
        return bool(found.fall_back), shown

    cdef list members(self, const HostGroupEntry *entry):
        cdef const uint32_t *members = <const uint32_t *>image_at(self.block, entry.members.offset)
        cdef uint32_t index
        return [members[index] for index in range(entry.members.count)]

    cdef str text(self, Text text):
        return self.block[text.offset:<Py_ssize_t>text.offset + text.length].decode()
