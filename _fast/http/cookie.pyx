"""See `cookie.pxd`."""
from libc.string cimport memchr, memcmp

from tulle._fast.http.message cimport Field, message_at
from tulle._fast.http.named cimport named_next


cdef bint pair_is(
    const char *pair, uint32_t pair_length, const char *name, uint32_t name_length, const char **value, uint32_t *length
) noexcept nogil:
    while pair_length > 0 and (pair[0] == c' ' or pair[0] == c'\t'):
        pair += 1
        pair_length -= 1
    if pair_length <= name_length or pair[name_length] != c'=' or memcmp(pair, name, name_length) != 0:
        return False
    value[0] = pair + name_length + 1
    length[0] = pair_length - name_length - 1
    while length[0] > 0 and (value[0][length[0] - 1] == c' ' or value[0][length[0] - 1] == c'\t'):
        length[0] -= 1
    if length[0] >= 2 and value[0][0] == c'"' and value[0][length[0] - 1] == c'"':
        value[0] += 1
        length[0] -= 2
    return True


cdef bint cookie_find(
    const Message *message, const char *name, uint32_t name_length, const char **value, uint32_t *length
) noexcept nogil:
    cdef uint32_t index = 0
    cdef const Field *field = named_next(message, b"cookie", 6, &index)
    cdef const char *pair
    cdef const char *semicolon
    cdef uint32_t left, pair_length
    while field != NULL:
        pair = message_at(message, field.value)
        left = field.value_length
        while left > 0:
            semicolon = <const char *>memchr(pair, c';', left)
            pair_length = <uint32_t>(semicolon - pair) if semicolon != NULL else left
            if pair_is(pair, pair_length, name, name_length, value, length):
                return True
            if semicolon == NULL:
                break
            pair += pair_length + 1
            left -= pair_length + 1
        field = named_next(message, b"cookie", 6, &index)
    return False
