"""The routes of the routes segment, from the rows of a routing table. With the GIL, in the compiling process only."""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.image cimport RouteEntry, Span
from tulle._fast.policy.image_buffer cimport ImageBuffer
from tulle._fast.policy.predicate_writer cimport PredicateWriter

cdef class RouteWriter:
    cdef ImageBuffer out
    cdef PredicateWriter predicates
    cdef tuple clusters                # rows
    cdef dict spans                    # rows that are alike and written already, to their Span
    cdef dict entries                  # a RouteEntry that is written already, as bytes, to its offset
    # RouteName[] of the routes of all tables of a `RoutingTable`, whose `ids` are in that order
    cdef Span write(self, table, list ids) except *
    cdef uint32_t write_grpc(self, tuple matches) except? 0
    cdef uint32_t write_route(self, route, uint32_t identity) except? 0
    cdef int fill_traffic(self, RouteEntry *entry, route, uint32_t identity) except -1
    cdef int fill_retry(self, RouteEntry *entry, retry) except -1
    cdef int fill_hedge(self, RouteEntry *entry, hedge) except -1
    cdef int fill_target(self, RouteEntry *entry, target) except -1
    cdef Span write_backends(self, tuple rows, uint32_t *total) except *
    cdef Span write_statuses(self, tuple statuses) except *
    cdef Span write_edits(self, tuple rows) except *
