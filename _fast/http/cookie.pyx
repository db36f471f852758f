"""See `cookie.pxd`."""
from libc.string cimport memchr, memcmp

from tulle._fast.http.message cimport Field, message_at
from tulle._fast.http.named cimport named_next


cdef inline bint blank(char octet) noexcept nogil:
    return octet == c' ' or octet == c'\t'


cdef bint pair_is(
    const char *pair, uint32_t pair_length, const char *name, uint32_t name_length, const char **value, uint32_t *length
) noexcept nogil:
    cdef const char *end = pair + pair_length
    while pair < end and blank(pair[0]):
        pair += 1
    if end - pair <= name_length or memcmp(pair, name, name_length) != 0:
        return False
    pair += name_length
    while pair < end and blank(pair[0]):  # RFC 6265 section 5.2: a name ends before these, for some who read it
        pair += 1
    if pair == end or pair[0] != c'=':
        return False
    pair += 1
    while end > pair and blank((end - 1)[0]):
        end -= 1
    if end - pair >= 2 and pair[0] == c'"' and (end - 1)[0] == c'"':
        pair += 1
        end -= 1
    value[0] = pair
    length[0] = <uint32_t>(end - pair)
    return True


cdef bint cookie_next(
    const Message *message, const char *name, uint32_t name_length, CookiePlace *place, const char **value,
    uint32_t *length
) noexcept nogil:
    cdef const Field *field
    cdef const char *pair
    cdef const char *semicolon
    cdef uint32_t pair_length, step
    while True:
        while place.left == 0:
            field = named_next(message, b"cookie", 6, &place.index)
            if field == NULL:
                return False
            place.rest = message_at(message, field.value)
            place.left = field.value_length
        pair = place.rest
        semicolon = <const char *>memchr(pair, c';', place.left)
        pair_length = <uint32_t>(semicolon - pair) if semicolon != NULL else place.left
        step = pair_length + (semicolon != NULL)
        place.rest += step
        place.left -= step
        if pair_is(pair, pair_length, name, name_length, value, length):
            return True


cdef bint cookie_find(
    const Message *message, const char *name, uint32_t name_length, const char **value, uint32_t *length
) noexcept nogil:
    cdef CookiePlace place = CookiePlace(0, 0, NULL)
    return cookie_next(message, name, name_length, &place, value, length)
