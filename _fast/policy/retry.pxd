"""When to try again, and after which pause. Pure: randomness is passed in."""
from tulle._fast.base.random cimport Random
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.image cimport Image, RouteEntry

# `flag` is the ResponseFlag of a try that got no response head
cdef bint retry_wants_failure(const RouteEntry *route, int flag) noexcept nogil
cdef bint retry_wants_status(const Image *image, const RouteEntry *route, uint32_t status) noexcept nogil
# Full jitter: uniform in [0, min(max, base * 2^(n-1))] before the n-th retry
cdef uint64_t retry_pause(const RouteEntry *route, uint32_t retry, Random *random) noexcept nogil
# Idempotent by RFC 9110 section 9.2.2
cdef bint retry_method_repeats(int method) noexcept nogil
