"""The C vocabulary of every floor: integer types, branch hints, `BUG_ON`.

Owns nothing. `BUG_ON` aborts with file and line; `assert` would take the GIL
and go on.
"""
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t,
)

cdef extern from *:
    """
    #ifndef TULLE_TYPES_H
    #define TULLE_TYPES_H
    #include <stdio.h>
    #include <stdlib.h>
    #define tulle_likely(x) __builtin_expect(!!(x), 1)
    #define tulle_prefetch(address) __builtin_prefetch(address)
    #define tulle_unlikely(x) __builtin_expect(!!(x), 0)
    #define BUG_ON(condition) do { if (__builtin_expect(!!(condition), 0)) { \\
        fprintf(stderr, "tulle: bug: %s:%d: %s\\n", __FILE__, __LINE__, #condition); abort(); } } while (0)
    #endif
    """
    bint likely "tulle_likely"(bint condition) noexcept nogil
    bint unlikely "tulle_unlikely"(bint condition) noexcept nogil
    void prefetch "tulle_prefetch"(const void *address) noexcept nogil     # a line of cache that is wanted soon
    void BUG_ON(bint condition) noexcept nogil
