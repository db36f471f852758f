"""See `forwarded.pxd`. Several lines are one list (RFC 9110 section 5.3), empty entries are none (section 5.6.1)."""
from tulle._fast.http.message cimport FIELD_X_FORWARDED_FOR, Field, field_bit, message_at


cdef inline bint is_space(char byte) noexcept nogil:
    return byte == c' ' or byte == c'\t'


cdef uint32_t without_port(const char *text, uint32_t length) noexcept nogil:
    """Of `1.2.3.4:5` and `[::1]:5`; an IPv6 address without brackets has none."""
    cdef uint32_t colons = 0
    cdef uint32_t last = 0
    cdef uint32_t index
    for index in range(length):
        if text[index] == c':':
            colons += 1
            last = index
    if colons == 0 or (text[0] != c'[' and colons > 1) or (text[0] == c'[' and text[last - 1] != c']'):
        return length
    return last


cdef const char *forwarded_client(const Message *message, uint32_t hops, uint32_t *length) noexcept nogil:
    cdef const Field *field
    cdef const char *value
    cdef uint32_t index = message.field_count
    cdef uint32_t begin, end, start
    if not message.known & field_bit(FIELD_X_FORWARDED_FOR):
        return NULL
    while index > 0:
        index -= 1
        field = &message.fields[index]
        if field.id != FIELD_X_FORWARDED_FOR:
            continue
        value = message_at(message, field.value)
        end = field.value_length
        while end > 0:
            begin = end
            while begin > 0 and value[begin - 1] != c',':
                begin -= 1
            start = begin
            while start < end and is_space(value[start]):
                start += 1
            while end > start and is_space(value[end - 1]):
                end -= 1
            if end > start:
                hops -= 1
                if hops == 0:
                    length[0] = without_port(value + start, end - start)
                    return value + start
            end = begin - 1 if begin > 0 else 0
    return NULL
