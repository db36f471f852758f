"""Writes the endpoints segment of a table image. See `image.pxd`."""
from libc.string cimport memcpy, memset

from tulle._fast.base.hash cimport hash_bytes, hash_mix
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.image cimport *
from tulle._fast.policy.image_buffer cimport ImageBuffer, subset_key


def write_endpoints(list clusters, uint64_t version, uint64_t serial):
    """The endpoints segment: `clusters` in the order of the routes segment.

    Each is a `ClusterEndpoints` of `controlplane.grouping`, whose endpoints are tuples (slot, generation, weight,
    address in text, zone, sockaddr, priority, zone kind, metadata in text). `version` is that of the routes segment,
    `serial` rises with every endpoints segment.
    """
    return EndpointsWriter().write(clusters, version, serial)


cdef class EndpointsWriter:
    cdef ImageBuffer out

    def write(self, list clusters, uint64_t version, uint64_t serial):
        cdef Endpoints header
        cdef EndpointList entry
        cdef Py_ssize_t index
        self.out = ImageBuffer()
        header.magic = ENDPOINTS_MAGIC
        header.layout = IMAGE_LAYOUT
        header.version = version
        header.serial = serial
        self.out.reserve(sizeof(Endpoints))
        header.clusters.count = <uint32_t>len(clusters)
        header.clusters.offset = self.out.reserve(sizeof(EndpointList), header.clusters.count)
        for index, cluster in enumerate(clusters):
            entry = self.write_list(cluster.endpoints)
            self.write_sets(&entry, cluster)
            (<EndpointList *>(self.out.data + header.clusters.offset))[index] = entry
        header.size = self.out.size
        memcpy(self.out.data, &header, sizeof(Endpoints))
        return self.out.finish()

    cdef EndpointList write_list(self, list endpoints) except *:
        cdef EndpointList written
        cdef EndpointEntry entry
        cdef Py_ssize_t index
        cdef bytes address
        memset(&written, 0, sizeof(EndpointList))
        written.count = <uint32_t>len(endpoints)
        written.offset = self.out.reserve(sizeof(EndpointEntry), written.count)
        for index, (
            slot, generation, weight, text, zone, sockaddr, priority, zone_kind, metadata
        ) in enumerate(endpoints):
            address = sockaddr
            if len(address) > MAX_ENDPOINT_ADDRESS:
                raise ValueError(f"the address of {text!r} has {len(address)} bytes, more than a sockaddr")
            memset(&entry, 0, sizeof(EndpointEntry))
            entry.slot = slot
            entry.generation = generation
            entry.weight = weight
            entry.priority = priority
            entry.zone_kind = zone_kind
            entry.address_length = <uint32_t>len(address)
            memcpy(entry.address, <const char *>address, len(address))
            written.hash = hash_bytes(written.hash, <const char *>&entry, sizeof(EndpointEntry))
            entry.address_text = self.out.text(text)
            entry.zone = self.out.text(zone)
            entry.metadata = self.out.text(metadata)
            written.hash = hash_bytes(written.hash, self.out.data + entry.zone.offset, entry.zone.length)
            (<EndpointEntry *>(self.out.data + written.offset))[index] = entry
        return written

    cdef int write_sets(self, EndpointList *written, cluster) except -1:
        """The sets and groups of a list, and what its hash has to know of them."""
        cdef HostSetEntry entry
        cdef Py_ssize_t index
        written.panic_threshold = cluster.panic_threshold
        if cluster.zone_aware:
            written.flags |= ENDPOINTS_ZONE_AWARE
        if cluster.fall_back:
            written.flags |= ENDPOINTS_FALL_BACK
        written.hash = hash_mix(written.hash, <uint64_t>written.flags << 32 | written.panic_threshold)
        if not cluster.sets:
            return 0
        written.sets.count = <uint32_t>len(cluster.sets)
        written.sets.offset = self.out.reserve(sizeof(HostSetEntry), written.sets.count)
        for index, found in enumerate(cluster.sets):
            entry.key = subset_key(found.subset) if found.subset else 0
            written.hash = hash_mix(written.hash, entry.key)
            entry.groups = self.write_groups(found.groups, &written.hash)
            (<HostSetEntry *>(self.out.data + written.sets.offset))[index] = entry
        return 0

    cdef Span write_groups(self, list groups, uint64_t *hash) except *:
        cdef Span span
        cdef HostGroupEntry entry
        cdef Py_ssize_t index, number
        memset(&entry, 0, sizeof(HostGroupEntry))
        span.count = <uint32_t>len(groups)
        span.offset = self.out.reserve(sizeof(HostGroupEntry), span.count)
        for index, group in enumerate(groups):
            entry.priority = group.priority
            entry.zone = self.out.text(group.zone)
            entry.members.count = <uint32_t>len(group.members)
            entry.members.offset = self.out.reserve(sizeof(uint32_t), entry.members.count)
            for number, member in enumerate(group.members):
                (<uint32_t *>(self.out.data + entry.members.offset))[number] = member
            hash[0] = hash_mix(hash[0], <uint64_t>entry.priority << 32 | entry.members.count)
            hash[0] = hash_bytes(
                hash[0], self.out.data + entry.members.offset, entry.members.count * <uint32_t>sizeof(uint32_t)
            )
            (<HostGroupEntry *>(self.out.data + span.offset))[index] = entry
        return span
