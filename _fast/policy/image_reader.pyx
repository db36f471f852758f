"""Reads the segments of a table image back into plain data: for tests, and for looking at an image by hand.

Says what a worker would see, in the numbers of `image.pxd`; texts are bytes, spans are lists.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer

from tulle._fast.base.types cimport uint16_t, uint32_t
from tulle._fast.policy.image cimport *


cdef class Reader:
    """A segment: any contiguous buffer. ValueError when it is not of this layout."""
    cdef Py_buffer view
    cdef const char *block

    def __cinit__(self, segment):
        PyObject_GetBuffer(segment, &self.view, PyBUF_SIMPLE)
        self.block = <const char *>self.view.buf

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    def routes(self):
        """The routes segment."""
        cdef const Image *image = image_open(self.view.buf, <size_t>self.view.len)
        if image == NULL:
            raise ValueError("this is not a routes segment of this version of Tulle")
        return {
            "version": image.version,
            "size": image.size,
            "listeners": [self.listener(image.listeners.offset, index) for index in range(image.listeners.count)],
            "routes": [self.route(image.routes.offset, index) for index in range(image.routes.count)],
            "clusters": [self.cluster(image.clusters.offset, index) for index in range(image.clusters.count)],
            "log_format": image.log_format,
            "log_items": [self.log_item(image.log_items.offset, index) for index in range(image.log_items.count)],
        }

    def endpoints(self):
        """The endpoints segment."""
        cdef const Endpoints *header = endpoints_open(self.view.buf, <size_t>self.view.len)
        cdef const EndpointList *list
        cdef uint32_t index
        if header == NULL:
            raise ValueError("this is not an endpoints segment of this version of Tulle")
        clusters = []
        sets = []
        for index in range(header.clusters.count):
            list = image_endpoints(header, index)
            clusters.append((list.hash, [self.endpoint(list.offset, number) for number in range(list.count)]))
            sets.append([self.groups(found) for found in self.sets(list)])
        return {
            "version": header.version, "serial": header.serial, "size": header.size, "clusters": clusters, "sets": sets,
        }

    cdef list sets(self, const EndpointList *list):
        cdef const HostSetEntry *entry = <const HostSetEntry *>(self.block + list.sets.offset)
        cdef uint32_t index
        return [(entry[index].groups.offset, entry[index].groups.count) for index in range(list.sets.count)]

    cdef list groups(self, tuple span):
        """(priority, zone, indexes of the endpoints) of each group."""
        cdef const HostGroupEntry *entry = <const HostGroupEntry *>(self.block + <uint32_t>span[0])
        cdef const uint32_t *members
        cdef uint32_t index, number
        groups = []
        for index in range(span[1]):
            members = <const uint32_t *>(self.block + entry[index].members.offset)
            groups.append((
                entry[index].priority, self.text(entry[index].zone),
                [members[number] for number in range(entry[index].members.count)],
            ))
        return groups

    cdef bytes text(self, Text text):
        return self.block[text.offset:<Py_ssize_t>text.offset + text.length]

    cdef object listener(self, uint32_t offset, uint32_t index):
        cdef ListenerEntry entry = (<const ListenerEntry *>(self.block + offset))[index]
        cdef dict data = entry
        data["name"], data["via"] = self.text(entry.name), self.text(entry.via).rpartition(b" ")[2]
        data["table"] = self.text((<const TableEntry *>(self.block + entry.table)).name)
        return data

    cdef object route(self, uint32_t offset, uint32_t index):
        cdef RouteName named = (<const RouteName *>(self.block + offset))[index]
        cdef RouteEntry entry = (<const RouteEntry *>(self.block + named.route))[0]
        cdef const uint16_t *statuses = <const uint16_t *>(self.block + entry.retry_statuses.offset)
        cdef uint32_t position
        cdef dict data = entry
        data["id"], data["name"], data["entry"] = named.id, self.text(named.name), named.route
        data["path_value"], data["host_value"] = self.text(entry.path_value), self.text(entry.host_value)
        data["scheme_value"] = self.text(entry.scheme_value)
        data["body"], data["content_type"] = self.text(entry.body), self.text(entry.content_type)
        data["backends"] = self.backends(entry.backends)
        data["retry_statuses"] = [statuses[position] for position in range(entry.retry_statuses.count)]
        data["retry_headers"] = self.predicates(entry.retry_headers)
        data["request_edits"] = self.edits(entry.request_edits)
        data["response_edits"] = self.edits(entry.response_edits)
        return data

    cdef list backends(self, Span span):
        cdef const BackendEntry *entry = <const BackendEntry *>(self.block + span.offset)
        cdef uint32_t index
        return [(entry[index].cluster, entry[index].weight_until, entry[index].subset) for index in range(span.count)]

    cdef list predicates(self, Span span):
        cdef const PredicateEntry *entry = <const PredicateEntry *>(self.block + span.offset)
        cdef uint32_t index
        return [
            (self.text(entry[index].name), entry[index].kind, self.text(entry[index].value))
            for index in range(span.count)
        ]

    cdef list edits(self, Span span):
        cdef const FieldEdit *edit = <const FieldEdit *>(self.block + span.offset)
        cdef uint32_t index
        return [
            (edit[index].kind, edit[index].id, self.text(edit[index].name), self.text(edit[index].value))
            for index in range(span.count)
        ]

    cdef object cluster(self, uint32_t offset, uint32_t index):
        cdef ClusterEntry entry = (<const ClusterEntry *>(self.block + offset))[index]
        cdef dict data = entry
        data["name"] = self.text(entry.name)
        return data

    cdef object log_item(self, uint32_t offset, uint32_t index):
        cdef LogItem item = (<const LogItem *>(self.block + offset))[index]
        return item.operator, item.limit, self.text(item.name), self.text(item.argument), self.text(item.alternative)

    cdef object endpoint(self, uint32_t offset, uint32_t index):
        cdef const EndpointEntry *entry = <const EndpointEntry *>(self.block + offset) + index
        return {
            "slot": entry.slot, "generation": entry.generation, "weight": entry.weight,
            "priority": entry.priority, "zone_kind": entry.zone_kind, "address_text": self.text(entry.address_text),
            "zone": self.text(entry.zone), "metadata": self.text(entry.metadata),
            "address": <bytes>(<const char *>entry.address)[:entry.address_length],
        }
