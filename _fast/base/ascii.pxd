"""Letters and digits of ASCII, whatever the locale says."""
from tulle._fast.base.types cimport int32_t, uint8_t, uint32_t

cdef inline uint8_t ascii_lower(uint8_t byte) noexcept nogil:
    return byte | 0x20 if c'A' <= byte <= c'Z' else byte

cdef inline bint ascii_equal_lower(const char *text, const char *lower, uint32_t length) noexcept nogil:
    """Whether `text` in lower case is `lower`, both of this length."""
    cdef uint32_t index
    for index in range(length):
        if ascii_lower(<uint8_t>text[index]) != <uint8_t>lower[index]:
            return False
    return True

cdef inline int32_t ascii_hex(uint8_t digit) noexcept nogil:
    """The value of a hexadecimal digit, or -1."""
    if c'0' <= digit <= c'9':
        return digit - c'0'
    digit |= 0x20
    return digit - c'a' + 10 if c'a' <= digit <= c'f' else -1
