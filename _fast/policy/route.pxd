"""Route match: listener's table, host, normalised path and the message's fields to one route.

Pure and allocation-free. Order of precedence (Gateway API HTTPRoute): host exact, then the longest wildcard,
then any host; within a host the exact path, then patterns, then the longest prefix; then method, number of
header predicates, number of query predicates, order in the file. A candidate whose predicates fail gives way
to the next in that order, across hosts too.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.message cimport Message
from tulle._fast.policy.image cimport Image, MatchEntry, PredicateEntry, RouteEntry, TableEntry

cdef struct RouteQuery:
    const char *host                   # lower or mixed case, without port; length 0: no host
    uint32_t host_length
    const char *path                   # normalised
    uint32_t path_length
    const char *query                  # without "?"
    uint32_t query_length
    const Message *message             # method and fields

cdef struct RouteMatch:
    const RouteEntry *route            # NULL: no route
    const MatchEntry *match
    uint32_t prefix_length             # bytes of path that a matched prefix covers; the whole path otherwise

# Called with every candidate that was looked at and whether it was taken; for `explain`
ctypedef void (*RouteTrace)(void *argument, const MatchEntry *candidate, int verdict) noexcept nogil

cdef enum RouteVerdict:
    ROUTE_TAKEN = 0
    ROUTE_METHOD_DIFFERS
    ROUTE_HEADER_DIFFERS
    ROUTE_QUERY_DIFFERS

# Whether there are routes under exactly this host, in lower case
cdef bint route_has_host(
    const Image *image, const TableEntry *table, const char *host, uint32_t length
) noexcept nogil
# Whether a field satisfies the predicate; several of its name count as one, with commas between their values
cdef bint header_matches(const Image *image, const PredicateEntry *predicate, const Message *message) noexcept nogil
cdef RouteMatch route_match(
    const Image *image, const TableEntry *table, const RouteQuery *query, RouteTrace trace, void *argument
) noexcept nogil
