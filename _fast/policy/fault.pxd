"""Injected faults: a share of a route's requests is delayed, a share is answered with an error, for tests of clients.

Pure: the random word is passed in. The shares are parts of a million, each drawn by itself.
"""
from tulle._fast.base.random cimport random_scale
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.http.message cimport Message
from tulle._fast.policy.image cimport Image, PredicateEntry, Span, image_at
from tulle._fast.policy.route cimport header_matches

cdef enum:
    FAULT_SHARES = 1000000

cdef struct FaultEntry:
    uint64_t delay                     # ns; 0: none
    uint32_t delay_share
    uint32_t abort_share
    uint32_t abort_status              # 0: none
    uint32_t reserved
    Span delay_headers                 # PredicateEntry, all of which the request has to satisfy
    Span abort_headers

cdef inline bint fault_hits(
    const Image *image, const Message *request, uint32_t share, Span headers, uint64_t draw
) noexcept nogil:
    cdef const PredicateEntry *predicates = <const PredicateEntry *>image_at(image, headers.offset)
    cdef uint32_t index
    if random_scale(draw, FAULT_SHARES) >= share:
        return False
    for index in range(headers.count):
        if not header_matches(image, &predicates[index], request):
            return False
    return True
