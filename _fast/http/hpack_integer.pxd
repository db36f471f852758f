"""The integers of HPACK (RFC 7541 section 5.1): a prefix in the first octet, then seven bits an octet.

A number above HPACK_INTEGER_MAX is refused, as are more octets than it needs: no block is as long as that.
"""
from tulle._fast.base.types cimport likely, uint8_t, uint32_t, unlikely

cdef enum:
    HPACK_INTEGER_MAX = 1 << 24
    HPACK_INTEGER_OCTETS = 5           # a number may take, with its prefix

cdef inline const uint8_t *hpack_read_integer(
    const uint8_t *position, const uint8_t *end, uint32_t mask, uint32_t *number
) noexcept nogil:
    """Reads one whose prefix is what `mask` leaves of the octet at `position`; the octet behind it, or NULL."""
    cdef uint32_t value = position[0] & mask
    cdef uint32_t shift = 0
    position += 1
    if likely(value < mask):
        number[0] = value
        return position
    while True:
        if unlikely(position == end or shift > 21):
            return NULL
        value += <uint32_t>(position[0] & 127) << shift
        if unlikely(value > HPACK_INTEGER_MAX):
            return NULL
        shift += 7
        position += 1
        if not (position - 1)[0] & 128:
            break
    number[0] = value
    return position

cdef inline uint8_t *hpack_write_integer(uint8_t *out, uint8_t kind, uint32_t mask, uint32_t number) noexcept nogil:
    """`kind` are the bits above the prefix."""
    if likely(number < mask):
        out[0] = <uint8_t>(kind | number)
        return out + 1
    out[0] = <uint8_t>(kind | mask)
    out += 1
    number -= mask
    while number >= 128:
        out[0] = <uint8_t>(number & 127 | 128)
        out += 1
        number >>= 7
    out[0] = <uint8_t>number
    return out + 1
