"""See `upgrade.pxd`."""
from tulle._fast.base.types cimport uint8_t
from tulle._fast.flow.head_edits cimport extra_add
from tulle._fast.http.message cimport FIELD_OTHER, FIELD_UPGRADE, FRAMING_CHUNKED, message_at, message_field
from tulle._fast.http.octet cimport octet_is_space, octets_same
from tulle._fast.http.websocket cimport WEBSOCKET_ACCEPT, WEBSOCKET_KEY, websocket_accept


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


cdef const Field *upgrade_key(const Message *request) noexcept nogil:
    cdef const Field *field
    cdef uint32_t index
    for index in range(request.field_count):
        field = &request.fields[index]
        if (
            field.id == FIELD_OTHER and field.name_length == 17
            and octets_same(<const uint8_t *>message_at(request, field.name), b"sec-websocket-key", 17)
        ):
            return field if field.value_length == WEBSOCKET_KEY else NULL
    return NULL


cdef void upgrade_accept(Worker *worker, const Message *request, char *text, uint32_t *count) noexcept nogil:
    cdef const Field *key = upgrade_key(request)
    if key == NULL:
        return
    websocket_accept(text, message_at(request, key.value))
    extra_add(worker, count, b"connection", 10, b"upgrade", 7)
    extra_add(worker, count, b"upgrade", 7, b"websocket", 9)
    extra_add(worker, count, b"sec-websocket-accept", 20, text, WEBSOCKET_ACCEPT)
