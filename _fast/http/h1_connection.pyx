"""See `h1_connection.pxd` for the contract."""
from libc.string cimport memcpy

from tulle._fast.base.types cimport uint8_t, uint16_t, uint32_t
from tulle._fast.http.field cimport field_id
from tulle._fast.http.h1_parse cimport Parse
from tulle._fast.http.message cimport Field, FieldFlags, FieldId, Message, MessageFlags, field_bit
from tulle._fast.http.octet cimport OCTET_TOKEN, octet_is, octet_is_space, octet_lower

cdef enum:
    # Each unknown option is looked up among all fields: together with their limit this bounds the work.
    CONNECTION_OPTIONS_MAX = 32

cdef struct Member:
    const uint8_t *text
    uint32_t length


cdef inline const uint8_t *connection_member(
    const uint8_t *position, const uint8_t *end, Member *member
) noexcept nogil:
    """The next member of a comma-separated list without the white space around it; answers where to go on."""
    cdef const uint8_t *last
    while position < end and octet_is_space(position[0]):
        position += 1
    member.text = position
    while position < end and position[0] != c',':
        position += 1
    last = position
    while last > member.text and octet_is_space((last - 1)[0]):
        last -= 1
    member.length = <uint32_t>(last - member.text)
    return position + 1


cdef inline bint connection_same(const uint8_t *one, const uint8_t *other, uint32_t length) noexcept nogil:
    cdef uint32_t index
    for index in range(length):
        if octet_lower(one[index]) != octet_lower(other[index]):
            return False
    return True


cdef inline bint connection_is(const Member *member, const char *lower, uint32_t length) noexcept nogil:
    return member.length == length and connection_same(member.text, <const uint8_t *>lower, length)


cdef void connection_drop_named(Message *message, const Member *name, int name_id) noexcept nogil:
    cdef Field *field
    cdef uint16_t index
    for index in range(message.field_count):
        field = &message.fields[index]
        if field.id != name_id or field.name_length != name.length:
            continue
        if connection_same(<const uint8_t *>message.base + field.name, name.text, name.length):
            field.flags |= FieldFlags.FIELD_DROP


cdef int connection_options(Message *message, const Field *field, uint32_t *named, uint32_t *options) noexcept nogil:
    """The options of one Connection field; `named` collects the ids, bit 0 (FIELD_OTHER) standing for `close`."""
    cdef const uint8_t *position = <const uint8_t *>message.base + field.value
    cdef const uint8_t *end = position + field.value_length
    cdef Member option
    cdef uint32_t index
    cdef int option_id
    if field.value_length != 0 and field_id(<const char *>position, field.value_length) == FieldId.FIELD_KEEP_ALIVE:
        named[0] |= field_bit(FieldId.FIELD_KEEP_ALIVE)     # by far the most frequent value
        return Parse.PARSE_DONE
    while position < end:
        position = connection_member(position, end, &option)
        options[0] += 1
        if options[0] > CONNECTION_OPTIONS_MAX:
            return Parse.PARSE_BAD_CONNECTION
        if option.length == 0:
            continue        # an empty member is to be ignored (RFC 9110 section 5.6.1.2)
        for index in range(option.length):
            if not octet_is(option.text[index], OCTET_TOKEN):
                return Parse.PARSE_BAD_CONNECTION
        if connection_is(&option, b"close", 5):
            named[0] |= field_bit(FieldId.FIELD_OTHER)
            continue
        option_id = field_id(<const char *>option.text, option.length)
        if option_id != FieldId.FIELD_OTHER:
            named[0] |= field_bit(option_id)
            if field_bit(option_id) & (CONNECTION_HOP_FIELDS | ~message.known):
                continue        # dropped already, or not there
        connection_drop_named(message, &option, option_id)
    return Parse.PARSE_DONE


cdef bint connection_te_trailers(const Message *message, const Field *field) noexcept nogil:
    cdef const uint8_t *position = <const uint8_t *>message.base + field.value
    cdef const uint8_t *end = position + field.value_length
    cdef Member coding
    while position < end:
        position = connection_member(position, end, &coding)
        if connection_is(&coding, b"trailers", 8):
            return True
    return False


cdef int connection_parse(Message *message) noexcept nogil:
    cdef uint32_t framing = (
        field_bit(FieldId.FIELD_CONTENT_LENGTH) | field_bit(FieldId.FIELD_TRANSFER_ENCODING)
        | field_bit(FieldId.FIELD_HOST)
    )
    cdef uint32_t named = 0
    cdef uint32_t options = 0
    cdef uint16_t index
    cdef const Field *field
    cdef int result
    if message.version_minor > 0:
        message.flags |= MessageFlags.MESSAGE_KEEP_ALIVE
    if not message.known & (field_bit(FieldId.FIELD_CONNECTION) | field_bit(FieldId.FIELD_TE)):
        return Parse.PARSE_DONE
    for index in range(message.field_count):
        field = &message.fields[index]
        if field.id == FieldId.FIELD_CONNECTION:
            result = connection_options(message, field, &named, &options)
            if result != Parse.PARSE_DONE:
                return result
        elif field.id == FieldId.FIELD_TE and connection_te_trailers(message, field):
            message.flags |= MessageFlags.MESSAGE_TE_TRAILERS
    if named & framing:
        return Parse.PARSE_BAD_CONNECTION
    if named & field_bit(FieldId.FIELD_KEEP_ALIVE):
        message.flags |= MessageFlags.MESSAGE_KEEP_ALIVE
    if named & field_bit(FieldId.FIELD_OTHER):
        message.flags &= ~<uint32_t>MessageFlags.MESSAGE_KEEP_ALIVE
    # Upgrade is to be ignored in HTTP/1.0 (RFC 9110 section 7.8)
    if named & message.known & field_bit(FieldId.FIELD_UPGRADE) and message.version_minor > 0:
        message.flags |= MessageFlags.MESSAGE_UPGRADE
    return Parse.PARSE_DONE


# -- for the trailer section ------------------------------------------------------------------------------------------

cdef void connection_names_add(ConnectionNames *names, const Message *message, const Field *field) noexcept nogil:
    cdef const uint8_t *position = <const uint8_t *>message.base + field.value
    cdef const uint8_t *end = position + field.value_length
    cdef Member option
    cdef int option_id
    while position < end:
        position = connection_member(position, end, &option)
        option_id = field_id(<const char *>option.text, option.length)
        # Of the fields that have an id only this one may be in a trailer section
        if option_id != FieldId.FIELD_OTHER and option_id != FieldId.FIELD_USER_AGENT:
            continue
        if option.length == 0 or connection_is(&option, b"close", 5):
            continue
        if names.length + option.length + 1 > CONNECTION_NAMES_ROOM:
            names.length = CONNECTION_NAMES_ALL
            return
        memcpy(names.text + names.length, option.text, option.length)
        names.length += <uint8_t>(option.length + 1)
        names.text[names.length - 1] = c','


cdef void connection_names_keep(ConnectionNames *names, const Message *message) noexcept nogil:
    cdef const Field *field
    cdef uint16_t index
    names.length = 0
    if not message.known & field_bit(FieldId.FIELD_CONNECTION):
        return
    for index in range(message.field_count):
        field = &message.fields[index]
        if field.id == FieldId.FIELD_CONNECTION and names.length != CONNECTION_NAMES_ALL:
            connection_names_add(names, message, field)


cdef void connection_names_drop(const ConnectionNames *names, Message *trailers) noexcept nogil:
    cdef const uint8_t *position = <const uint8_t *>names.text
    cdef const uint8_t *end = position + names.length
    cdef Member name
    cdef uint16_t index
    if names.length == CONNECTION_NAMES_ALL:
        for index in range(trailers.field_count):
            trailers.fields[index].flags |= FieldFlags.FIELD_DROP
        return
    while position < end:
        position = connection_member(position, end, &name)
        connection_drop_named(trailers, &name, field_id(<const char *>name.text, name.length))
