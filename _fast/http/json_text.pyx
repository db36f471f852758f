"""See `json_text.pxd`."""
from libc.string cimport memcpy

from tulle._fast.base.types cimport uint8_t


cdef uint32_t sequence_length(uint8_t first, uint8_t *low, uint8_t *high) noexcept nogil:
    """Of UTF-8 (RFC 3629 section 4), and within which bounds its second byte lies; 0: none begins so."""
    low[0] = 0x80
    high[0] = 0xBF
    if 0xC2 <= first <= 0xDF:
        return 2
    if 0xE0 <= first <= 0xEF:
        if first == 0xE0:
            low[0] = 0xA0
        elif first == 0xED:
            high[0] = 0x9F             # no surrogates
        return 3
    if 0xF0 <= first <= 0xF4:
        if first == 0xF0:
            low[0] = 0x90
        elif first == 0xF4:
            high[0] = 0x8F
        return 4
    return 0


cdef uint32_t well_formed(const uint8_t *text, uint32_t left) noexcept nogil:
    """Bytes of the sequence that stands here; 0: none does."""
    cdef uint8_t low = 0
    cdef uint8_t high = 0
    cdef uint32_t length = sequence_length(text[0], &low, &high)
    cdef uint32_t index
    if length == 0 or length > left or not low <= text[1] <= high:
        return 0
    for index in range(2, length):
        if not 0x80 <= text[index] <= 0xBF:
            return 0
    return length


cdef uint32_t escape(char *out, uint8_t octet) noexcept nogil:
    cdef const char *digits = b"0123456789abcdef"
    out[0] = c'\\'
    if octet == c'"' or octet == c'\\':
        out[1] = <char>octet
        return 2
    if octet >= 0x80:
        memcpy(out + 1, b"ufffd", 5)
        return 6
    memcpy(out + 1, b"u00", 3)
    out[4] = digits[octet >> 4]
    out[5] = digits[octet & 15]
    return 6


cdef uint32_t json_text_write(char *out, uint32_t room, const char *text, uint32_t length) noexcept nogil:
    cdef const uint8_t *octets = <const uint8_t *>text
    cdef uint32_t at = 1
    cdef uint32_t index = 0
    cdef uint32_t taken
    out[0] = c'"'
    while index < length and at + 6 < room:
        taken = 1
        if octets[index] >= 0x80:
            taken = well_formed(octets + index, length - index)
        elif octets[index] < 0x20 or octets[index] == 0x7F or octets[index] == c'"' or octets[index] == c'\\':
            taken = 0
        if taken == 0:
            at += escape(out + at, octets[index])
            index += 1
        else:
            memcpy(out + at, text + index, taken)
            at += taken
            index += taken
    out[at] = c'"'
    return at + 1
