"""Classes of octets, as one table (RFC 9110 section 5.6.2, RFC 3986 section 2).

Owns nothing but constants. Called by the scans, the authority rules and the chunked coding.
"""
from tulle._fast.base.types cimport uint8_t

cdef extern from *:
    """
    #ifndef TULLE_HTTP_OCTET_H
    #define TULLE_HTTP_OCTET_H
    #include <stdint.h>
    #define OCTET_TOKEN 1       /* may stand in a token */
    #define OCTET_HOST 2        /* may stand in a reg-name: unreserved or sub-delims */
    #define OCTET_HEX 4
    #define OCTET_DIGIT 8
    static const uint8_t octet_classes[256] = {
        ['0' ... '9'] = OCTET_TOKEN | OCTET_HOST | OCTET_HEX | OCTET_DIGIT,
        ['A' ... 'F'] = OCTET_TOKEN | OCTET_HOST | OCTET_HEX,
        ['a' ... 'f'] = OCTET_TOKEN | OCTET_HOST | OCTET_HEX,
        ['G' ... 'Z'] = OCTET_TOKEN | OCTET_HOST,
        ['g' ... 'z'] = OCTET_TOKEN | OCTET_HOST,
        ['-'] = OCTET_TOKEN | OCTET_HOST,
        ['.'] = OCTET_TOKEN | OCTET_HOST,
        ['_'] = OCTET_TOKEN | OCTET_HOST,
        ['~'] = OCTET_TOKEN | OCTET_HOST,
        ['!'] = OCTET_TOKEN | OCTET_HOST,
        ['$'] = OCTET_TOKEN | OCTET_HOST,
        ['&'] = OCTET_TOKEN | OCTET_HOST,
        [39] = OCTET_TOKEN | OCTET_HOST,        /* the apostrophe */
        ['*'] = OCTET_TOKEN | OCTET_HOST,
        ['+'] = OCTET_TOKEN | OCTET_HOST,
        ['('] = OCTET_HOST,
        [')'] = OCTET_HOST,
        [','] = OCTET_HOST,
        [';'] = OCTET_HOST,
        ['='] = OCTET_HOST,
        ['#'] = OCTET_TOKEN,
        ['%'] = OCTET_TOKEN,
        ['^'] = OCTET_TOKEN,
        ['`'] = OCTET_TOKEN,
        ['|'] = OCTET_TOKEN,
    };
    #endif
    """
    const uint8_t octet_classes[256]
    const uint8_t OCTET_TOKEN, OCTET_HOST, OCTET_HEX, OCTET_DIGIT


cdef inline bint octet_is(uint8_t octet, uint8_t classes) noexcept nogil:
    return octet_classes[octet] & classes

cdef inline bint octet_is_space(uint8_t octet) noexcept nogil:
    """SP or HTAB: what OWS and BWS are made of."""
    return octet == c' ' or octet == c'\t'

cdef inline uint8_t octet_lower(uint8_t octet) noexcept nogil:
    return octet | 0x20 if c'A' <= octet <= c'Z' else octet

cdef inline uint8_t octet_hex(uint8_t octet) noexcept nogil:
    """The value of a hex digit; the octet has to be OCTET_HEX."""
    return (octet & 15) + (9 if octet & 0x40 else 0)

cdef inline bint octets_same(const uint8_t *text, const char *lower, size_t length) noexcept nogil:
    """Whether `text` is `lower` (lower case, as long) in any case of letters."""
    cdef size_t index
    for index in range(length):
        if octet_lower(text[index]) != <uint8_t>lower[index]:
            return False
    return True
