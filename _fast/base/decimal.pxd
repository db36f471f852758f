"""A number as decimal digits. Called by who writes heads."""
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef inline uint32_t decimal_write(char *out, uint64_t value) noexcept nogil:
    """The digits, without an end mark; answers how many."""
    cdef char reversed_digits[24]
    cdef uint32_t length = 0
    cdef uint32_t index
    while True:
        reversed_digits[length] = <char>(c'0' + value % 10)
        length += 1
        value //= 10
        if value == 0:
            break
    for index in range(length):
        out[index] = reversed_digits[length - 1 - index]
    return length
