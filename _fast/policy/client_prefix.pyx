"""See `client_prefix.pxd`."""
from libc.string cimport memcmp, memcpy, memmove

from tulle._fast.base.types cimport unlikely

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char *text, void *address) noexcept
    int AF_INET, AF_INET6

cdef enum:
    LONGEST = 45                       # characters of an address


cdef void clear_behind(uint8_t *address, uint32_t size, uint32_t bits) noexcept nogil:
    cdef uint32_t index
    for index in range(size):
        if bits >= 8:
            bits -= 8
            continue
        address[index] &= <uint8_t>(0xFF00 >> bits)
        bits = 0


cdef inline bint is_mapped(const uint8_t *address) noexcept nogil:
    return memcmp(address, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0


cdef uint32_t client_prefix(
    const char *text, uint32_t length, uint32_t ipv4_bits, uint32_t ipv6_bits, uint8_t *prefix
) noexcept nogil:
    cdef char plain[LONGEST + 1]
    cdef uint32_t end = 0
    if length >= 2 and text[0] == c'[' and text[length - 1] == c']':
        text += 1
        length -= 2
    while end < length and text[end] != c'%':
        if unlikely(text[end] == 0 or end == LONGEST):
            return 0
        end += 1
    memcpy(plain, text, end)
    plain[end] = 0
    if inet_pton(AF_INET, plain, prefix) == 1:
        clear_behind(prefix, 4, ipv4_bits)
        return 4
    if inet_pton(AF_INET6, plain, prefix) != 1:
        return 0
    if is_mapped(prefix):
        memmove(prefix, prefix + 12, 4)
        clear_behind(prefix, 4, ipv4_bits)
        return 4
    clear_behind(prefix, 16, ipv6_bits)
    return 16
