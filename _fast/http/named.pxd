"""Fields by a name that is known only at run time, of a configuration say. Several lines of a name come one by one."""
from tulle._fast.base.ascii cimport ascii_equal_lower
from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.message cimport Field, Message, message_at

cdef inline const Field *named_next(
    const Message *message, const char *lower, uint32_t length, uint32_t *index
) noexcept nogil:
    """The first field from `*index` on with this name, given in lower case, or NULL; `*index` is then behind it."""
    cdef const Field *field
    while index[0] < message.field_count:
        field = &message.fields[index[0]]
        index[0] += 1
        if field.name_length == length and ascii_equal_lower(message_at(message, field.name), lower, length):
            return field
    return NULL

cdef inline const Field *named_first(const Message *message, const char *lower, uint32_t length) noexcept nogil:
    cdef uint32_t index = 0
    return named_next(message, lower, length, &index)
