"""The border to Python of route match: runs a request through a routes segment as a worker would.

For `tulle explain`, tests and benchmarks. The very functions that workers call, on the very image; what is
added is only a message made from Python's bytes and a list of the candidates that were looked at.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memset

from tulle._fast.base.types cimport uint16_t, uint32_t
from tulle._fast.http.message cimport MESSAGE_FIELDS_MAX, Message
from tulle._fast.policy.explain cimport MOST_CANDIDATES, Trace
from tulle._fast.policy.image cimport (
    Image, ListenerEntry, MatchEntry, RouteName, TableEntry, image_at, image_open, image_text,
)
from tulle._fast.policy.path cimport PATH_AS_IS, PATH_REFUSED, path_normalise
from tulle._fast.policy.route cimport RouteMatch, RouteQuery, route_match

VERDICTS = ("taken", "method", "header", "query")


cdef void trace_candidate(void *argument, const MatchEntry *candidate, int verdict) noexcept nogil:
    cdef Trace *trace = <Trace *>argument
    if trace.count < MOST_CANDIDATES:
        trace.candidates[trace.count].match = candidate
        trace.candidates[trace.count].verdict = verdict
        trace.count += 1


cdef class Explainer:
    """A routes segment: any contiguous buffer, which must not change. ValueError when it is none."""
    cdef Py_buffer view
    cdef const Image *image
    cdef Message message
    cdef RouteQuery query
    cdef bytearray head
    cdef bytearray normal
    cdef const TableEntry *table

    def __cinit__(self, segment):
        PyObject_GetBuffer(segment, &self.view, PyBUF_SIMPLE)
        self.image = image_open(self.view.buf, <size_t>self.view.len)
        if self.image == NULL:
            raise ValueError("this is not a routes segment of this version of Tulle")

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    def match(
        self, str listener, bytes method, bytes host, bytes path, bytes query=b"", headers=()
    ):
        """What becomes of a request: (path, route, match, prefix length, candidates).

        The path is the normal form, None when it is refused; route is the index of the route in the order of
        the file, over all tables, None when there is none; match is its index in the route; a candidate is
        (route, match, verdict), the verdict one of VERDICTS. LookupError when there is no such listener.
        """
        cdef Trace trace
        cdef RouteMatch found
        trace.count = 0
        if not self.prepare(listener, method, host, path, query, headers):
            return None, None, None, 0, []
        found = route_match(self.image, self.table, &self.query, trace_candidate, &trace)
        candidates = [
            (
                self.index_of(trace.candidates[index].match.named), trace.candidates[index].match.index,
                VERDICTS[trace.candidates[index].verdict],
            )
            for index in range(trace.count)
        ]
        normal = (<const char *>self.query.path)[:self.query.path_length]
        if found.route == NULL:
            return normal, None, None, 0, candidates
        return normal, self.index_of(found.match.named), found.match.index, found.prefix_length, candidates

    def repeat(self, str listener, list requests, uint32_t rounds):
        """Match each (method, host, path, query, headers) so many times; the number that found a route."""
        cdef uint32_t found = 0
        cdef uint32_t _round
        for method, host, path, query, headers in requests:
            if not self.prepare(listener, method, host, path, query, headers):
                continue
            for _round in range(rounds):
                found += route_match(self.image, self.table, &self.query, NULL, NULL).route != NULL
        return found

    cdef uint32_t index_of(self, uint32_t named) noexcept nogil:
        return (named - self.image.routes.offset) // <uint32_t>sizeof(RouteName)

    cdef bint prepare(self, str listener, bytes method, bytes host, bytes path, bytes query, headers) except -1:
        """Fill in table, message and query; False when the path is refused."""
        cdef const ListenerEntry *entry = self.find_listener(listener.encode())
        cdef uint32_t length = 0
        cdef int result
        self.table = <const TableEntry *>image_at(self.image, entry.table)
        self.fill_message(method, [*headers])
        # method, host, path and query live in `head` too, behind the fields
        start = len(self.head)
        self.head += host + path + query
        self.normal = bytearray(len(path))
        self.message.base = self.head
        self.query.message = &self.message
        self.query.host = self.message.base + <Py_ssize_t>start
        self.query.host_length = <uint32_t>len(host)
        self.query.path = self.query.host + len(host)
        self.query.path_length = <uint32_t>len(path)
        self.query.query = self.query.path + len(path)
        self.query.query_length = <uint32_t>len(query)
        result = path_normalise(self.query.path, self.query.path_length, entry.flags, self.normal, &length)
        if result == PATH_REFUSED:
            return False
        if result != PATH_AS_IS:
            self.query.path = self.normal
            self.query.path_length = length
        return True

    cdef int fill_message(self, bytes method, list headers) except -1:
        cdef Py_ssize_t index
        if len(headers) > MESSAGE_FIELDS_MAX:
            raise ValueError(f"{len(headers)} header fields, at most {MESSAGE_FIELDS_MAX}")
        memset(&self.message, 0, sizeof(Message))
        self.head = bytearray(method)
        self.message.method_length = <uint32_t>len(method)
        for index, (name, value) in enumerate(headers):
            self.message.fields[index].name = <uint32_t>len(self.head)
            self.message.fields[index].name_length = <uint16_t>len(name)
            self.head += name
            self.message.fields[index].value = <uint32_t>len(self.head)
            self.message.fields[index].value_length = <uint32_t>len(value)
            self.head += value
        self.message.field_count = <uint16_t>len(headers)
        return 0

    cdef const ListenerEntry *find_listener(self, bytes name) except NULL:
        cdef const ListenerEntry *entry = <const ListenerEntry *>image_at(self.image, self.image.listeners.offset)
        cdef uint32_t index
        for index in range(self.image.listeners.count):
            if image_text(self.image, entry[index].name)[:entry[index].name.length] == name:
                return &entry[index]
        raise LookupError(f"there is no listener {name.decode()!r}")
