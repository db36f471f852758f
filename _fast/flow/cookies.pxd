"""Set-Cookie for cookies that balancing makes: one that requests are hashed on, and one that names an endpoint."""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.flow.types cimport Exchange
from tulle._fast.policy.hash_policy cimport HashItem

cdef enum:
    COOKIE_DIGITS = 16

# A value as COOKIE_DIGITS hexadecimal digits, and back; 0 when it is none
cdef void cookie_digits(char *out, uint64_t value) noexcept nogil
cdef uint64_t cookie_number(const char *text, uint32_t length) noexcept nogil
# Into the head of the answer; `room` is 0 or 1: which of the worker's texts holds it until that is written
cdef void cookie_set(
    Exchange *x, const HashItem *item, uint64_t value, int room, uint32_t *count
) noexcept nogil
