"""When to try again, and after which pause; Envoy's conditions. Pure: time and randomness are passed in."""
from tulle._fast.base.random cimport Random
from tulle._fast.base.types cimport int64_t, uint32_t, uint64_t
from tulle._fast.http.message cimport Message
from tulle._fast.policy.image cimport Image, RouteEntry

cdef enum:
    RETRY_NEVER = 0xFFFFFFFFFFFFFFFF

# `flag` is the ResponseFlag of a try that got no response head; `sent`: some of the request may have reached the host
cdef bint retry_wants_failure(const RouteEntry *route, int flag, bint sent) noexcept nogil
cdef bint retry_wants_answer(const Image *image, const RouteEntry *route, const Message *answer) noexcept nogil
# Full jitter: uniform in [0, min(max, base * 2^(n-1))] before the n-th retry
cdef uint64_t retry_pause(const RouteEntry *route, uint32_t retry, Random *random) noexcept nogil
# The pause lengthened by the seconds that the answer's Retry-After asks for, if it has one; RETRY_NEVER when that is
# more than the route waits
cdef uint64_t retry_pause_after(const RouteEntry *route, uint64_t pause, int64_t seconds) noexcept nogil
# Idempotent by RFC 9110 section 9.2.2
cdef bint retry_method_repeats(int method) noexcept nogil
