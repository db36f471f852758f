"""Writes the endpoints segment of a table image. See `image.pxd`."""
from libc.string cimport memcpy, memset

from tulle._fast.base.hash cimport hash_bytes
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.image cimport *
from tulle._fast.policy.image_buffer cimport ImageBuffer


def write_endpoints(list clusters, uint64_t version, uint64_t serial):
    """The endpoints segment: for every cluster, in the order of the routes segment, a list of tuples
    (slot, generation, weight, address in text, zone, sockaddr).

    `version` is that of the routes segment, `serial` rises with every endpoints segment.
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
        for index, endpoints in enumerate(clusters):
            entry = self.write_list(endpoints)
            (<EndpointList *>(self.out.data + header.clusters.offset))[index] = entry
        header.size = self.out.size
        memcpy(self.out.data, &header, sizeof(Endpoints))
        return self.out.finish()

    cdef EndpointList write_list(self, list endpoints) except *:
        cdef EndpointList written
        cdef EndpointEntry entry
        cdef Py_ssize_t index
        cdef bytes address
        written.count = <uint32_t>len(endpoints)
        written.offset = self.out.reserve(sizeof(EndpointEntry), written.count)
        written.hash = 0
        for index, (slot, generation, weight, text, zone, sockaddr) in enumerate(endpoints):
            address = sockaddr
            if len(address) > MAX_ENDPOINT_ADDRESS:
                raise ValueError(f"the address of {text!r} has {len(address)} bytes, more than a sockaddr")
            memset(&entry, 0, sizeof(EndpointEntry))
            entry.slot = slot
            entry.generation = generation
            entry.weight = weight
            entry.address_length = <uint32_t>len(address)
            memcpy(entry.address, <const char *>address, len(address))
            written.hash = hash_bytes(written.hash, <const char *>&entry, sizeof(EndpointEntry))
            entry.address_text = self.out.text(text)
            entry.zone = self.out.text(zone)
            written.hash = hash_bytes(written.hash, self.out.data + entry.zone.offset, entry.zone.length)
            (<EndpointEntry *>(self.out.data + written.offset))[index] = entry
        return written
