"""See `retry.pxd`. As in Envoy, `5xx` and `gateway-error` also cover a try that ended without any response."""
from tulle._fast.base.random cimport random_span
from tulle._fast.base.shared cimport FLAG_UC, FLAG_UF, FLAG_UPE, FLAG_UR, FLAG_UT
from tulle._fast.base.types cimport uint16_t
from tulle._fast.http.message cimport (
    METHOD_DELETE, METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_PUT, METHOD_TRACE,
)
from tulle._fast.policy.image cimport (
    RETRY_4XX, RETRY_5XX, RETRY_BEFORE_REQUEST, RETRY_CONNECT_FAILURE, RETRY_GATEWAY_ERROR, RETRY_HEADERS,
    RETRY_REFUSED_STREAM, RETRY_RESET, RETRY_STATUSES, PredicateEntry, image_at,
)
from tulle._fast.policy.route cimport header_matches

cdef enum:
    SECOND = 1000000000


cdef bint retry_wants_failure(const RouteEntry *route, int flag, bint sent) noexcept nogil:
    cdef uint32_t wanted = RETRY_RESET | RETRY_5XX | RETRY_GATEWAY_ERROR
    if flag == FLAG_UF:
        wanted |= RETRY_CONNECT_FAILURE
    elif flag != FLAG_UC and flag != FLAG_UR and flag != FLAG_UT and flag != FLAG_UPE:
        return False
    if not sent:
        wanted |= RETRY_BEFORE_REQUEST
        if flag == FLAG_UR:
            wanted |= RETRY_REFUSED_STREAM
    return route.retry_on & wanted != 0


cdef bint listed(const Image *image, const RouteEntry *route, uint32_t status) noexcept nogil:
    cdef const uint16_t *statuses = <const uint16_t *>image_at(image, route.retry_statuses.offset)
    cdef uint32_t index
    for index in range(route.retry_statuses.count):
        if statuses[index] == status:
            return True
    return False


cdef bint any_header_matches(const Image *image, const RouteEntry *route, const Message *answer) noexcept nogil:
    cdef const PredicateEntry *predicates = <const PredicateEntry *>image_at(image, route.retry_headers.offset)
    cdef uint32_t index
    for index in range(route.retry_headers.count):
        if header_matches(image, &predicates[index], answer):
            return True
    return False


cdef bint retry_wants_answer(const Image *image, const RouteEntry *route, const Message *answer) noexcept nogil:
    cdef uint32_t status = answer.status
    cdef uint32_t wanted = route.retry_on
    if wanted & RETRY_5XX and 500 <= status < 600:
        return True
    if wanted & RETRY_GATEWAY_ERROR and 502 <= status <= 504:
        return True
    if wanted & RETRY_4XX and status == 409:
        return True
    if wanted & RETRY_STATUSES and listed(image, route, status):
        return True
    return wanted & RETRY_HEADERS != 0 and any_header_matches(image, route, answer)


cdef uint64_t retry_pause(const RouteEntry *route, uint32_t retry, Random *random) noexcept nogil:
    cdef uint64_t ceiling = route.retry_base
    cdef uint32_t _doubling
    for _doubling in range(1, retry):
        if ceiling >= route.retry_max:
            break
        ceiling *= 2
    if ceiling > route.retry_max:
        ceiling = route.retry_max
    return random_span(random, ceiling)


cdef uint64_t retry_pause_after(const RouteEntry *route, uint64_t pause, int64_t seconds) noexcept nogil:
    cdef uint64_t asked
    if route.retry_after_max == 0 or seconds <= 0:
        return pause
    asked = <uint64_t>seconds * SECOND
    if asked > route.retry_after_max:
        return RETRY_NEVER
    # The pause comes on top, so that those who were told the same do not come at the same moment
    return asked + pause


cdef bint retry_method_repeats(int method) noexcept nogil:
    return (
        method == METHOD_GET
        or method == METHOD_HEAD
        or method == METHOD_PUT
        or method == METHOD_DELETE
        or method == METHOD_OPTIONS
        or method == METHOD_TRACE
    )
