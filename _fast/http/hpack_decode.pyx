"""See `hpack_decode.pxd` for the contract."""
from libc.string cimport memcmp, memcpy, memmove
from tulle._fast.base.types cimport BUG_ON, int64_t, likely, uint8_t, uint16_t, uint32_t, unlikely
from tulle._fast.http.field cimport field_id
from tulle._fast.http.h1_parse cimport h1_message_init
from tulle._fast.http.hpack_huffman cimport HUFFMAN_BAD, huffman_decode
from tulle._fast.http.hpack_integer cimport hpack_read_integer
from tulle._fast.http.hpack_table cimport (
    HPACK_AUTHORITY, HPACK_BAD_NAME, HPACK_BAD_VALUE, HPACK_LINE, HPACK_METHOD, HPACK_OVERHEAD, HPACK_PATH,
    HPACK_PROTOCOL, HPACK_SCHEME, HPACK_STATIC, HPACK_STATUS, HPACK_TABLE_MAX, HpackEntry, HpackStaticEntry,
    hpack_ring_copy, hpack_static, hpack_table_clear, hpack_table_entry, hpack_table_init, hpack_table_insert,
    hpack_table_resize,
)
from tulle._fast.http.message cimport Field, FieldFlags, FieldId, Message, MessageFlags
from tulle._fast.http.octet cimport OCTET_DIGIT, OCTET_TOKEN, octet_is, octet_is_space
from tulle._fast.http.scan cimport scan_text

cdef enum:
    # Fields of one HTTP/1 connection: their presence is an error (RFC 9113 section 8.2.2)
    FORBIDDEN_FIELDS = (
        1 << FieldId.FIELD_CONNECTION | 1 << FieldId.FIELD_KEEP_ALIVE | 1 << FieldId.FIELD_PROXY_CONNECTION
        | 1 << FieldId.FIELD_TRANSFER_ENCODING | 1 << FieldId.FIELD_UPGRADE
    )
    # These have something to be looked at
    SPECIAL_FIELDS = (
        FORBIDDEN_FIELDS | 1 << FieldId.FIELD_TE | 1 << FieldId.FIELD_HTTP2_SETTINGS | 1 << FieldId.FIELD_HOST
        | 1 << FieldId.FIELD_COOKIE
    )
    NO_ROOM = -9                       # beside HPACK_ERROR, for a string that does not fit

cdef struct Reader:                    # what is known in the middle of a block
    const uint8_t *position
    const uint8_t *end
    char *arena
    char *out                          # where the next line goes
    char *out_end
    uint32_t size_left
    uint32_t fields_max
    int section
    int result                         # once it is not HPACK_DONE, nothing is stored any more
    uint32_t pseudo                    # a bit per pseudo-field seen
    uint32_t cookies
    bint regular                       # a field that is no pseudo-field was seen


cdef void hpack_decoder_init(HpackDecoder *decoder) noexcept nogil:
    hpack_table_init(&decoder.table)
    decoder.allowed = HPACK_TABLE_MAX
    decoder.lowered = False


cdef void hpack_decoder_allow(HpackDecoder *decoder, uint32_t size) noexcept nogil:
    if size < decoder.table.capacity:
        decoder.lowered = True
    decoder.allowed = size


# -- what is decoded --------------------------------------------------------------------------------------------------

cdef inline void fail(Reader *reader, int result) noexcept nogil:
    """Nothing more is stored; the first reason stays."""
    if reader.result == HPACK_DONE:
        reader.result = result


cdef int keep_pseudo(Reader *reader, Message *message, uint8_t id, uint32_t value, uint32_t length) noexcept nogil:
    cdef uint32_t bit = <uint32_t>1 << (id - HPACK_AUTHORITY)
    cdef const uint8_t *digits
    if reader.regular or reader.pseudo & bit or reader.section == HPACK_TRAILERS:
        return HPACK_MALFORMED
    if (id == HPACK_STATUS) != (reader.section == HPACK_RESPONSE):
        return HPACK_MALFORMED
    reader.pseudo |= bit
    if length == 0:
        # An absent authority is not sent; the others are never empty
        return HPACK_MALFORMED
    if id == HPACK_METHOD:
        message.method_offset = value
        message.method_length = length
    elif id == HPACK_PATH:
        message.target = value
        message.target_length = length
    elif id == HPACK_SCHEME:
        message.scheme = value
        message.scheme_length = length
    elif id == HPACK_AUTHORITY:
        message.authority = value
        message.authority_length = length
    elif id == HPACK_PROTOCOL:
        message.protocol = value
        message.protocol_length = length
    else:
        digits = <const uint8_t *>reader.arena + value
        if length != 3 or not (
            octet_is(digits[0], OCTET_DIGIT) and octet_is(digits[1], OCTET_DIGIT) and octet_is(digits[2], OCTET_DIGIT)
        ):
            return HPACK_MALFORMED
        message.status = (digits[0] - c'0') * 100 + (digits[1] - c'0') * 10 + (digits[2] - c'0')
        if message.status < 100 or message.status > 599:
            return HPACK_MALFORMED
    return HPACK_DONE


cdef int keep_special(Reader *reader, Message *message, Field *field) noexcept nogil:
    """HPACK_DONE to keep the field, 0 to leave it out."""
    cdef const char *value = reader.arena + field.value
    cdef uint32_t bit = <uint32_t>1 << field.id
    if bit & FORBIDDEN_FIELDS:
        return HPACK_MALFORMED
    if field.id == FieldId.FIELD_COOKIE:
        reader.cookies += 1
    elif field.id == FieldId.FIELD_HOST:
        if reader.section == HPACK_REQUEST and message.authority_length != 0:
            # RFC 9113 section 8.3.1: it may only repeat what `:authority` says, which is here as Host already
            if (
                field.value_length != message.authority_length
                or memcmp(value, reader.arena + message.authority, field.value_length) != 0
            ):
                return HPACK_MALFORMED
            return 0
    elif field.id == FieldId.FIELD_TE:
        if field.value_length != 8 or memcmp(value, b"trailers", 8) != 0:
            return HPACK_MALFORMED
        message.flags |= MessageFlags.MESSAGE_TE_TRAILERS
        field.flags |= FieldFlags.FIELD_DROP
    else:
        field.flags |= FieldFlags.FIELD_DROP
    return HPACK_DONE


cdef inline void note_field(Message *message, Field *field) noexcept nogil:
    cdef uint32_t bit = <uint32_t>1 << field.id
    if field.id != 0:
        if message.known & bit:
            message.repeated |= bit
        else:
            message.known |= bit
            message.first[field.id] = <uint8_t>message.field_count
    message.field_count += 1


cdef void add_host(Reader *reader, Message *message) noexcept nogil:
    """The pseudo-fields are all there: the authority once more, as the line of HTTP/1."""
    cdef uint32_t length = message.authority_length
    cdef Field *field = &message.fields[message.field_count]
    cdef char *out = reader.out
    reader.regular = True
    if length == 0 or reader.result != HPACK_DONE:
        return
    if reader.out_end - out < <int64_t>length + 8 or message.field_count == reader.fields_max:
        fail(reader, HPACK_TOO_LARGE)
        return
    memcpy(out, b"host: ", 6)
    memcpy(out + 6, reader.arena + message.authority, length)
    memcpy(out + 6 + length, b"\r\n", 2)
    reader.out += length + 8
    field.name = <uint32_t>(out - reader.arena)
    field.value = field.name + 6
    field.name_length = 4
    field.value_length = length
    field.id = FieldId.FIELD_HOST
    field.flags = 0
    note_field(message, field)


cdef inline void keep(
    Reader *reader, Message *message, uint8_t id, uint32_t name_length, uint32_t value_length, uint8_t flags
) noexcept nogil:
    """The line at `out` is complete and its octets are in order."""
    cdef Field *field
    cdef char *line = reader.out
    cdef int result
    if unlikely(name_length + value_length + HPACK_OVERHEAD > reader.size_left):
        fail(reader, HPACK_TOO_LARGE)
        return
    reader.size_left -= name_length + value_length + <uint32_t>HPACK_OVERHEAD
    if id >= HPACK_AUTHORITY:
        result = keep_pseudo(reader, message, id, <uint32_t>(line - reader.arena) + name_length + 2, value_length)
        if unlikely(result != HPACK_DONE):
            fail(reader, result)
        reader.out += name_length + value_length + HPACK_LINE
        return
    if not reader.regular:
        # The line makes way for that of Host
        if message.authority_length == 0:
            reader.regular = True
        elif unlikely(reader.out_end - line < <int64_t>(name_length + value_length) + message.authority_length + 12):
            fail(reader, HPACK_TOO_LARGE)
            return
        else:
            memmove(line + message.authority_length + 8, line, name_length + value_length + HPACK_LINE)
            add_host(reader, message)
            line = reader.out
    if unlikely(message.field_count == reader.fields_max):
        fail(reader, HPACK_TOO_LARGE)
        return
    field = &message.fields[message.field_count]
    field.name = <uint32_t>(line - reader.arena)
    field.value = field.name + name_length + 2
    field.value_length = value_length
    field.name_length = <uint16_t>name_length
    field.id = id
    field.flags = flags
    if unlikely((<uint32_t>1 << id) & SPECIAL_FIELDS):
        result = keep_special(reader, message, field)
        if result != HPACK_DONE:
            if result != 0:
                fail(reader, result)
            return
    note_field(message, field)
    reader.out += name_length + value_length + HPACK_LINE


# -- representations --------------------------------------------------------------------------------------------------

cdef inline int read_indexed(
    HpackDecoder *decoder, Reader *reader, Message *message, uint32_t index
) noexcept nogil:
    """RFC 7541 section 6.1."""
    cdef const HpackStaticEntry *fixed
    cdef const HpackEntry *entry
    cdef uint32_t name_length, value_length
    cdef uint8_t id
    cdef uint8_t flags = 0
    if index > HPACK_STATIC:
        index -= HPACK_STATIC + 1
        if unlikely(index >= decoder.table.count):
            return HPACK_ERROR
        if unlikely(reader.result != HPACK_DONE):
            return HPACK_DONE
        entry = hpack_table_entry(&decoder.table, decoder.table.newest - index)
        name_length = entry.name_length
        value_length = entry.value_length
        id = entry.id
        flags = entry.flags
        if unlikely(reader.out_end - reader.out < <int64_t>(name_length + value_length + HPACK_LINE)):
            fail(reader, HPACK_TOO_LARGE)
            return HPACK_DONE
        hpack_ring_copy(&decoder.table, reader.out, entry.offset, name_length + value_length + HPACK_LINE)
        if unlikely(flags != 0):
            fail(reader, HPACK_MALFORMED)
            return HPACK_DONE
    else:
        if unlikely(index == 0):
            return HPACK_ERROR
        if unlikely(reader.result != HPACK_DONE):
            return HPACK_DONE
        fixed = &hpack_static[index]
        name_length = fixed.name_length
        value_length = fixed.value_length
        id = fixed.id
        if unlikely(reader.out_end - reader.out < <int64_t>(name_length + value_length + HPACK_LINE)):
            fail(reader, HPACK_TOO_LARGE)
            return HPACK_DONE
        memcpy(reader.out, fixed.line, name_length + value_length + HPACK_LINE)
    keep(reader, message, id, name_length, value_length, 0)
    return HPACK_DONE


cdef int64_t read_string(Reader *reader, char *out) noexcept nogil:
    """RFC 7541 section 5.2: the length of what was written to `out`, HPACK_ERROR or NO_ROOM."""
    cdef int64_t room = reader.out_end - out
    cdef const uint8_t *text
    cdef uint32_t length
    cdef int64_t written
    cdef bint coded
    if unlikely(reader.position == reader.end):
        return HPACK_ERROR
    coded = reader.position[0] & 0x80
    text = hpack_read_integer(reader.position, reader.end, 0x7f, &length)
    if unlikely(text == NULL or length > reader.end - text):
        return HPACK_ERROR
    reader.position = text + length
    if not coded:
        if unlikely(length > room):
            return NO_ROOM
        memcpy(out, text, length)
        return length
    written = huffman_decode(out, <uint32_t>room, text, length)
    if unlikely(written < 0):
        return HPACK_ERROR if written == HUFFMAN_BAD else NO_ROOM
    return written


cdef uint8_t name_judge(const char *name, uint32_t length, uint8_t *id) noexcept nogil:
    """Flags of a name that is new (RFC 9113 section 8.2.1); `*id` is what it stands for."""
    cdef uint32_t index
    id[0] = FieldId.FIELD_OTHER
    if length == 0:
        return HPACK_BAD_NAME
    if name[0] == c':':
        if length == 7 and memcmp(name, b":method", 7) == 0:
            id[0] = HPACK_METHOD
        elif length == 7 and memcmp(name, b":scheme", 7) == 0:
            id[0] = HPACK_SCHEME
        elif length == 7 and memcmp(name, b":status", 7) == 0:
            id[0] = HPACK_STATUS
        elif length == 5 and memcmp(name, b":path", 5) == 0:
            id[0] = HPACK_PATH
        elif length == 10 and memcmp(name, b":authority", 10) == 0:
            id[0] = HPACK_AUTHORITY
        elif length == 9 and memcmp(name, b":protocol", 9) == 0:
            id[0] = HPACK_PROTOCOL
        else:
            return HPACK_BAD_NAME
        return 0
    for index in range(length):
        if unlikely(not octet_is(name[index], OCTET_TOKEN) or c'A' <= name[index] <= c'Z'):
            return HPACK_BAD_NAME
    if length > 65535:
        return HPACK_BAD_NAME
    id[0] = <uint8_t>field_id(name, length)
    return 0


cdef inline bint value_is_good(const uint8_t *value, uint32_t length) noexcept nogil:
    if length == 0:
        return True
    if unlikely(octet_is_space(value[0]) or octet_is_space(value[length - 1])):
        return False
    return scan_text(value, value + length) == value + length


cdef int64_t read_name(
    HpackDecoder *decoder, Reader *reader, uint32_t index, uint8_t *id, uint8_t *flags
) noexcept nogil:
    """Name, colon and space to `out`; the length of the name."""
    cdef const HpackStaticEntry *fixed
    cdef const HpackEntry *entry
    cdef int64_t length
    if index == 0:
        length = read_string(reader, reader.out)
        if unlikely(length < 0):
            return length
        if unlikely(reader.out_end - reader.out - length < HPACK_LINE):
            return NO_ROOM
        flags[0] = name_judge(reader.out, <uint32_t>length, id)
        memcpy(reader.out + length, b": ", 2)
        return length
    if index <= HPACK_STATIC:
        fixed = &hpack_static[index]
        if unlikely(reader.out_end - reader.out < fixed.name_length + HPACK_LINE):
            return NO_ROOM
        memcpy(reader.out, fixed.line, fixed.name_length + 2)
        id[0] = fixed.id
        return fixed.name_length
    index -= HPACK_STATIC + 1
    if unlikely(index >= decoder.table.count):
        return HPACK_ERROR
    entry = hpack_table_entry(&decoder.table, decoder.table.newest - index)
    if unlikely(reader.out_end - reader.out < entry.name_length + HPACK_LINE):
        return NO_ROOM
    hpack_ring_copy(&decoder.table, reader.out, entry.offset, entry.name_length + 2)
    id[0] = entry.id
    flags[0] = entry.flags & HPACK_BAD_NAME
    return entry.name_length


cdef int skip_literal(Reader *reader, uint32_t index) noexcept nogil:
    """Over the strings of a literal that is larger than any table."""
    cdef const uint8_t *text
    cdef uint32_t length
    cdef int _
    for _ in range(1 if index != 0 else 2):
        if reader.position == reader.end:
            return HPACK_ERROR
        text = hpack_read_integer(reader.position, reader.end, 0x7f, &length)
        if text == NULL or length > reader.end - text:
            return HPACK_ERROR
        reader.position = text + length
    return HPACK_DONE


cdef int read_literal(
    HpackDecoder *decoder, Reader *reader, Message *message, uint32_t index, bint add, bint never
) noexcept nogil:
    """RFC 7541 section 6.2, from behind the index of the name on."""
    cdef const uint8_t *begin = reader.position
    cdef int64_t name_length, value_length
    cdef uint8_t id = 0
    cdef uint8_t flags = 0
    while True:
        if unlikely(reader.result != HPACK_DONE):
            reader.out = reader.arena
        value_length = 0
        name_length = read_name(decoder, reader, index, &id, &flags)
        if likely(name_length >= 0):
            value_length = read_string(reader, reader.out + name_length + 2)
            if likely(value_length >= 0) and unlikely(
                reader.out_end - reader.out < name_length + value_length + HPACK_LINE
            ):
                value_length = NO_ROOM
        if unlikely(name_length == HPACK_ERROR or value_length == HPACK_ERROR):
            return HPACK_ERROR
        if likely(name_length >= 0 and value_length >= 0):
            break
        reader.position = begin
        if reader.result != HPACK_DONE:
            # Not even in the whole arena: so the table cannot hold it either (section 4.4)
            if add:
                hpack_table_clear(&decoder.table)
            return skip_literal(reader, index)
        fail(reader, HPACK_TOO_LARGE)
    memcpy(reader.out + name_length + 2 + value_length, b"\r\n", 2)
    if unlikely(not value_is_good(<const uint8_t *>reader.out + name_length + 2, <uint32_t>value_length)):
        flags |= HPACK_BAD_VALUE
    if add:
        hpack_table_insert(
            &decoder.table, reader.out, <uint32_t>name_length, reader.out + name_length + 2, <uint32_t>value_length,
            id, flags,
        )
    if unlikely(flags != 0):
        fail(reader, HPACK_MALFORMED)
    if likely(reader.result == HPACK_DONE):
        keep(
            reader, message, id, <uint32_t>name_length, <uint32_t>value_length,
            FieldFlags.FIELD_NEVER_INDEXED if never else 0,
        )
    return HPACK_DONE


# -- blocks -----------------------------------------------------------------------------------------------------------

cdef void join_cookies(Reader *reader, Message *message) noexcept nogil:
    """One Cookie field behind all others, of all that there are (RFC 9113 section 8.2.3)."""
    cdef Field joined
    cdef Field *field
    cdef char *out
    cdef char *line
    cdef uint32_t kept = 0
    cdef uint32_t length = 0
    cdef uint32_t index, whole
    cdef uint8_t flags = 0
    for index in range(message.field_count):
        field = &message.fields[index]
        if field.id == FieldId.FIELD_COOKIE:
            length += field.value_length + 2
            flags |= field.flags
    length -= 2
    if reader.out_end - reader.out < <int64_t>length + 10:
        fail(reader, HPACK_TOO_LARGE)
        return
    out = reader.out
    memcpy(out, b"cookie: ", 8)
    out += 8
    for index in range(message.field_count):
        field = &message.fields[index]
        if field.id == FieldId.FIELD_COOKIE:
            if out != reader.out + 8:
                memcpy(out, b"; ", 2)
                out += 2
            memcpy(out, reader.arena + field.value, field.value_length)
            out += field.value_length
    memcpy(out, b"\r\n", 2)
    line = reader.out
    out = reader.arena + message.fields[0].name
    message.known = 0
    message.repeated = 0
    index = 0
    whole = message.field_count
    message.field_count = 0
    for index in range(whole):
        if message.fields[index].id == FieldId.FIELD_COOKIE:
            continue
        joined = message.fields[index]
        memmove(out, reader.arena + joined.name, joined.name_length + joined.value_length + HPACK_LINE)
        field = &message.fields[kept]
        field[0] = joined
        field.name = <uint32_t>(out - reader.arena)
        field.value = field.name + field.name_length + 2
        out += field.name_length + field.value_length + HPACK_LINE
        note_field(message, field)
        kept += 1
    memmove(out, line, length + 10)
    field = &message.fields[kept]
    field.name = <uint32_t>(out - reader.arena)
    field.value = field.name + 8
    field.name_length = 6
    field.value_length = length
    field.id = FieldId.FIELD_COOKIE
    field.flags = flags
    note_field(message, field)
    reader.out = out + length + 10


cdef int read_fields(HpackDecoder *decoder, Reader *reader, Message *message) noexcept nogil:
    cdef bint begun = False
    cdef uint32_t number
    cdef int result
    cdef uint8_t octet
    while reader.position != reader.end:
        octet = reader.position[0]
        if octet & 0x80:
            reader.position = hpack_read_integer(reader.position, reader.end, 0x7f, &number)
            if unlikely(reader.position == NULL):
                return HPACK_ERROR
            result = read_indexed(decoder, reader, message, number)
        elif octet & 0x40:
            reader.position = hpack_read_integer(reader.position, reader.end, 0x3f, &number)
            if unlikely(reader.position == NULL):
                return HPACK_ERROR
            result = read_literal(decoder, reader, message, number, True, False)
        elif octet & 0x20:
            # Section 4.2: before the first field, not above what we allow
            reader.position = hpack_read_integer(reader.position, reader.end, 0x1f, &number)
            if unlikely(reader.position == NULL or begun or number > decoder.allowed):
                return HPACK_ERROR
            hpack_table_resize(&decoder.table, number)
            decoder.lowered = False
            continue
        else:
            reader.position = hpack_read_integer(reader.position, reader.end, 0x0f, &number)
            if unlikely(reader.position == NULL):
                return HPACK_ERROR
            result = read_literal(decoder, reader, message, number, False, octet & 0x10)
        if unlikely(result != HPACK_DONE or decoder.lowered):
            return HPACK_ERROR
        begun = True
    return HPACK_DONE


cdef int hpack_decode(
    HpackDecoder *decoder, Message *message, int section, const uint8_t *block, uint32_t length,
    char *arena, uint32_t room, const HpackLimits *limits
) noexcept nogil:
    cdef Reader reader
    BUG_ON(room < HPACK_ARENA_LEAST)
    h1_message_init(message)
    message.base = arena
    message.version_minor = 1
    reader.position = block
    reader.end = block + length
    reader.arena = arena
    reader.out = arena
    reader.out_end = arena + room
    reader.size_left = limits.size
    reader.fields_max = limits.fields
    reader.section = section
    reader.result = HPACK_DONE
    reader.pseudo = 0
    reader.cookies = 0
    reader.regular = False
    if unlikely(read_fields(decoder, &reader, message) != HPACK_DONE):
        return HPACK_ERROR
    if not reader.regular:
        add_host(&reader, message)
    if unlikely(reader.cookies > 1) and reader.result == HPACK_DONE:
        join_cookies(&reader, message)
    message.fields_end = <uint32_t>(reader.out - arena)
    message.head_length = message.fields_end
    return reader.result
