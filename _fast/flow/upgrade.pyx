"""See `upgrade.pxd`."""
from tulle._fast.base.types cimport uint8_t, uint32_t
from tulle._fast.http.message cimport FIELD_UPGRADE, FRAMING_CHUNKED, Field, message_at, message_field
from tulle._fast.http.octet cimport octet_is_space, octets_same


cdef bint is_http(const uint8_t *name, uint32_t length) noexcept nogil:
    """HTTP itself, or TLS, in which anything may be said."""
    if length == 2:
        return octets_same(name, b"h2", 2)
    if length == 3:
        return octets_same(name, b"h2c", 3) or octets_same(name, b"tls", 3)
    return length == 4 and octets_same(name, b"http", 4)


cdef bint names_http(const uint8_t *value, uint32_t length) noexcept nogil:
    """Whether one of the protocols, `name` or `name/version` between commas, is one of those."""
    cdef uint32_t index = 0
    cdef uint32_t begin
    while index < length:
        if octet_is_space(value[index]) or value[index] == c',':
            index += 1
            continue
        begin = index
        while index < length and not octet_is_space(value[index]) and value[index] != c',' and value[index] != c'/':
            index += 1
        if is_http(value + begin, index - begin):
            return True
        while index < length and value[index] != c',':
            index += 1
    return False


cdef bint upgrade_may_pass(const Message *message) noexcept nogil:
    cdef const Field *upgrade = message_field(message, FIELD_UPGRADE)
    if upgrade == NULL or message.framing == FRAMING_CHUNKED or message.content_length != 0:
        return False
    return not names_http(<const uint8_t *>message_at(message, upgrade.value), upgrade.value_length)
