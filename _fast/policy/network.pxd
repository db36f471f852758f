"""Networks as rules name them: 16 bytes, of IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), and bits."""
from libc.string cimport memcmp

from tulle._fast.base.types cimport uint8_t, uint32_t

cdef inline bint network_has(const uint8_t *network, uint32_t bits, const uint8_t *address) noexcept nogil:
    cdef uint32_t whole = bits // 8
    cdef uint32_t rest = bits % 8
    if memcmp(network, address, whole) != 0:
        return False
    return rest == 0 or (network[whole] ^ address[whole]) >> (8 - rest) == 0
