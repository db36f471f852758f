"""See `retry.pxd`. As in Envoy, `5xx` also covers a try that ended without any response."""
from tulle._fast.base.random cimport random_span
from tulle._fast.base.shared cimport FLAG_UC, FLAG_UF, FLAG_UR, FLAG_UT
from tulle._fast.base.types cimport uint16_t
from tulle._fast.http.message cimport (
    METHOD_DELETE, METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_PUT, METHOD_TRACE,
)
from tulle._fast.policy.image cimport (
    RETRY_5XX, RETRY_CONNECT_FAILURE, RETRY_GATEWAY_ERROR, RETRY_RESET, RETRY_STATUSES, image_at,
)


cdef bint retry_wants_failure(const RouteEntry *route, int flag) noexcept nogil:
    if flag == FLAG_UF:
        return route.retry_on & (RETRY_CONNECT_FAILURE | RETRY_5XX) != 0
    if flag == FLAG_UC or flag == FLAG_UR or flag == FLAG_UT:
        return route.retry_on & (RETRY_RESET | RETRY_5XX) != 0
    return False


cdef bint retry_wants_status(const Image *image, const RouteEntry *route, uint32_t status) noexcept nogil:
    cdef const uint16_t *statuses
    cdef uint32_t index
    if route.retry_on & RETRY_5XX and 500 <= status < 600:
        return True
    if route.retry_on & RETRY_GATEWAY_ERROR and 502 <= status <= 504:
        return True
    if route.retry_on & RETRY_STATUSES:
        statuses = <const uint16_t *>image_at(image, route.retry_statuses.offset)
        for index in range(route.retry_statuses.count):
            if statuses[index] == status:
                return True
    return False


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


cdef bint retry_method_repeats(int method) noexcept nogil:
    return (
        method == METHOD_GET
        or method == METHOD_HEAD
        or method == METHOD_PUT
        or method == METHOD_DELETE
        or method == METHOD_OPTIONS
        or method == METHOD_TRACE
    )
