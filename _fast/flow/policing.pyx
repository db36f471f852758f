"""See `policing.pxd`. RFC 6585 section 4 (429), RFC 9110 section 10.2.3 (Retry-After)."""
from libc.stdio cimport snprintf

from tulle._fast.base.shared cimport FLAG_RL
from tulle._fast.base.types cimport likely, uint32_t, uint64_t
from tulle._fast.flow.cors cimport cors_preflight
from tulle._fast.flow.fault cimport fault_abort, fault_delay
from tulle._fast.flow.head_edits cimport extra_add
from tulle._fast.flow.rate_limit cimport rate_limits_take
from tulle._fast.flow.reply cimport reply_error_with
from tulle._fast.flow.types cimport X_ANSWER_FIELDS
from tulle._fast.policy.image cimport LISTENER_ANSWER_FIELDS, ROUTE_ANSWER_FIELDS, Span

cdef enum:
    SECOND = 1000000000


cdef void refuse_rate(Exchange *x, uint64_t wait) noexcept nogil:
    cdef char seconds[24]
    cdef uint32_t count = 0
    cdef int length = snprintf(seconds, sizeof(seconds), b"%llu", <unsigned long long>((wait + SECOND - 1) // SECOND))
    extra_add(x.worker, &count, b"retry-after", 11, seconds, <uint32_t>length)
    x.flags |= X_ANSWER_FIELDS
    reply_error_with(x, 429, FLAG_RL, NULL, count)


cdef bint pass_rates(Exchange *x, Span rules) noexcept nogil:
    cdef uint64_t wait = 0
    if likely(rate_limits_take(x, rules, &wait)):
        return True
    refuse_rate(x, wait)
    return False


cdef bint police_listener(Exchange *x) noexcept nogil:
    if x.listener.flags & LISTENER_ANSWER_FIELDS:
        x.flags |= X_ANSWER_FIELDS
    return pass_rates(x, x.listener.rate_limits)


cdef bint police_route(Exchange *x) noexcept nogil:
    if x.route.flags & ROUTE_ANSWER_FIELDS:
        x.flags |= X_ANSWER_FIELDS
    if x.route.cors != 0 and cors_preflight(x):
        return False
    if x.route.max_body != 0:
        x.max_body = x.route.max_body
    if x.route.rate_limits.count != 0 and not pass_rates(x, x.route.rate_limits):
        return False
    return x.route.fault == 0 or not (fault_delay(x) or fault_abort(x))


cdef bint police_resumed(Exchange *x) noexcept nogil:
    return not fault_abort(x)
