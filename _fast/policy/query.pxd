"""Reading the query of a target: parameters between ampersands, names and values encoded as forms are."""
from tulle._fast.base.ascii cimport ascii_hex
from tulle._fast.base.types cimport int32_t, uint32_t

cdef inline char query_byte(const char *query, uint32_t end, uint32_t *position) noexcept nogil:
    """The next byte of a name or a value, decoded; a malformed escape stands for itself."""
    cdef uint32_t at = position[0]
    cdef int32_t high, low
    position[0] = at + 1
    if query[at] == c'+':
        return c' '
    if query[at] == c'%' and end - at > 2:
        high = ascii_hex(query[at + 1])
        low = ascii_hex(query[at + 2])
        if high >= 0 and low >= 0:
            position[0] = at + 3
            return <char>(high << 4 | low)
    return query[at]

cdef inline bint query_find(
    const char *query, uint32_t length, const char *name, uint32_t name_length, uint32_t *begin, uint32_t *end
) noexcept nogil:
    """Where the encoded value of the first parameter of that name lies; it may be empty."""
    cdef uint32_t position = 0
    cdef uint32_t matched
    cdef char byte
    cdef bint same
    while position < length:
        matched = 0
        same = True
        while position < length and query[position] != c'&' and query[position] != c'=':
            byte = query_byte(query, length, &position)
            same = same and matched < name_length and byte == name[matched]
            matched += 1
        end[0] = position
        while end[0] < length and query[end[0]] != c'&':
            end[0] += 1
        if same and matched == name_length:
            begin[0] = position + (position < end[0])          # the equals sign
            return True
        position = end[0] + 1
    return False
