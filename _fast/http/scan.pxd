"""Scans for the end of a run of plain octets, a word of eight at a time.

Owns nothing. Each scan answers the first position in [position, end) whose octet does not belong to the run, or
`end`; nothing at or after `end` is read, for the bytes may lie flush against an unmapped page. The word arithmetic
works on the low seven bits of every octet, so no carry crosses from one to the next and each flag is exact.
Called by the head parser alone.
"""
from libc.string cimport memcpy
from tulle._fast.base.types cimport likely, uint8_t, uint64_t
from tulle._fast.http.octet cimport OCTET_TOKEN, octet_is

cdef extern from *:
    """
    #ifndef TULLE_HTTP_SCAN_H
    #define TULLE_HTTP_SCAN_H
    #include <stdint.h>
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #define tulle_little_endian(word) __builtin_bswap64(word)
    #else
    #define tulle_little_endian(word) (word)
    #endif
    #define tulle_lowest_octet(flags) (__builtin_ctzll(flags) >> 3)
    #endif
    """
    uint64_t tulle_little_endian(uint64_t word) noexcept nogil
    int tulle_lowest_octet(uint64_t flags) noexcept nogil


cdef inline uint64_t scan_each(uint8_t octet) noexcept nogil:
    """A word of eight times that octet."""
    return <uint64_t>0x0101010101010101 * octet

cdef inline uint64_t scan_load(const uint8_t *position) noexcept nogil:
    """Eight octets, the first in the lowest bits."""
    cdef uint64_t word
    memcpy(&word, position, 8)
    return tulle_little_endian(word)

cdef inline uint64_t scan_at_least(uint64_t low, uint8_t bound) noexcept nogil:
    """Bit 7 of each octet whose low seven bits are `bound` (1 to 127) or more; the other bits mean nothing."""
    return low + scan_each(0x80 - bound)

cdef inline uint64_t scan_differ(uint64_t low, uint8_t octet) noexcept nogil:
    """Bit 7 of each octet whose low seven bits are not `octet`; the other bits mean nothing."""
    return (low ^ scan_each(octet)) + scan_each(0x7f)


cdef inline const uint8_t *scan_token(const uint8_t *position, const uint8_t *end) noexcept nogil:
    """Over a token (RFC 9110 section 5.6.2). Words of letters and hyphens are passed whole, the rest by table."""
    cdef uint64_t word, low, folded, plain
    while end - position >= 8:
        word = scan_load(position)
        low = word & scan_each(0x7f)
        folded = low | scan_each(0x20)
        plain = (scan_at_least(folded, c'a') & ~scan_at_least(folded, c'z' + 1)) | ~scan_differ(low, c'-')
        plain = ~(plain & ~word) & scan_each(0x80)
        if plain == 0:
            position += 8
            continue
        position += tulle_lowest_octet(plain)
        if likely(not octet_is(position[0], OCTET_TOKEN)):
            return position
        position += 1
    while position < end and octet_is(position[0], OCTET_TOKEN):
        position += 1
    return position


cdef inline const uint8_t *scan_path(const uint8_t *position, const uint8_t *end) noexcept nogil:
    """Over visible ASCII but "?" and "#"."""
    cdef uint64_t word, low, stop
    cdef uint8_t octet
    while end - position >= 8:
        word = scan_load(position)
        low = word & scan_each(0x7f)
        stop = word | ~scan_at_least(low, 0x21) | scan_at_least(low, 0x7f)
        stop = (stop | ~scan_differ(low, c'?') | ~scan_differ(low, c'#')) & scan_each(0x80)
        if stop != 0:
            return position + tulle_lowest_octet(stop)
        position += 8
    while position < end:
        octet = position[0]
        if octet <= 0x20 or octet >= 0x7f or octet == c'?' or octet == c'#':
            break
        position += 1
    return position


cdef inline const uint8_t *scan_query(const uint8_t *position, const uint8_t *end) noexcept nogil:
    """Over visible ASCII but "#"."""
    cdef uint64_t word, low, stop
    cdef uint8_t octet
    while end - position >= 8:
        word = scan_load(position)
        low = word & scan_each(0x7f)
        stop = word | ~scan_at_least(low, 0x21) | scan_at_least(low, 0x7f)
        stop = (stop | ~scan_differ(low, c'#')) & scan_each(0x80)
        if stop != 0:
            return position + tulle_lowest_octet(stop)
        position += 8
    while position < end:
        octet = position[0]
        if octet <= 0x20 or octet >= 0x7f or octet == c'#':
            break
        position += 1
    return position


cdef inline const uint8_t *scan_text(const uint8_t *position, const uint8_t *end) noexcept nogil:
    """Over what field values and reason phrases hold: everything but controls, HTAB being none here."""
    cdef uint64_t word, low, stop
    cdef uint8_t octet
    while end - position >= 8:
        word = scan_load(position)
        low = word & scan_each(0x7f)
        stop = (~scan_at_least(low, 0x20) | scan_at_least(low, 0x7f)) & ~word & scan_each(0x80)
        if stop == 0:
            position += 8
            continue
        position += tulle_lowest_octet(stop)
        if likely(position[0] != c'\t'):
            return position
        position += 1
    while position < end:
        octet = position[0]
        if octet < 0x20 and octet != c'\t' or octet == 0x7f:
            break
        position += 1
    return position
