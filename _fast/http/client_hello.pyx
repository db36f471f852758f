"""See `client_hello.pxd`. A cursor goes over the payload of the records as if they were one run of bytes."""
from libc.string cimport memcmp

from tulle._fast.http.octet cimport OCTET_HOST, octet_is

cdef enum:
    RECORD_HANDSHAKE = 22
    RECORD_HEAD = 5
    RECORD_MAX = 16384                 # bytes of a plain record (RFC 8446 section 5.1)
    HELLO_TYPE = 1
    EXTENSION_SERVER_NAME = 0
    EXTENSION_ALPN = 16
    NAME_MAX = 255

cdef struct Cursor:
    const uint8_t *data
    uint32_t length                    # bytes that have come
    uint32_t position                  # of the next byte of payload
    uint32_t record_end                # where the record at hand ends; may lie beyond what has come
    int result                         # HELLO_MORE or HELLO_OTHER once a step has failed


cdef bint cursor_record(Cursor *cursor) noexcept nogil:
    """Over the head of the next record."""
    cdef const uint8_t *head = cursor.data + cursor.position
    cdef uint32_t here = cursor.length - cursor.position
    cdef uint32_t payload
    if (here > 0 and head[0] != RECORD_HANDSHAKE) or (here > 1 and head[1] != 3):
        cursor.result = HELLO_OTHER
        return False
    if here < RECORD_HEAD:
        cursor.result = HELLO_MORE
        return False
    payload = <uint32_t>head[3] << 8 | head[4]
    if payload == 0 or payload > RECORD_MAX:
        cursor.result = HELLO_OTHER
        return False
    cursor.position += RECORD_HEAD
    cursor.record_end = cursor.position + payload
    return True


cdef int cursor_byte(Cursor *cursor) noexcept nogil:
    """The next byte of the payload, or -1."""
    if cursor.position == cursor.record_end and not cursor_record(cursor):
        return -1
    if cursor.position >= cursor.length:
        cursor.result = HELLO_MORE
        return -1
    cursor.position += 1
    return cursor.data[cursor.position - 1]


cdef int cursor_number(Cursor *cursor, uint32_t octets) noexcept nogil:
    cdef int number = 0
    cdef int byte
    cdef uint32_t _octet
    for _octet in range(octets):
        byte = cursor_byte(cursor)
        if byte < 0:
            return -1
        number = number << 8 | byte
    return number


cdef bint cursor_skip(Cursor *cursor, uint32_t count) noexcept nogil:
    cdef uint32_t step
    while count > 0:
        if cursor.position == cursor.record_end and not cursor_record(cursor):
            return False
        step = cursor.record_end - cursor.position
        if step > count:
            step = count
        if step > cursor.length - cursor.position:
            cursor.result = HELLO_MORE
            return False
        cursor.position += step
        count -= step
    return True


cdef inline bint cursor_in_one_run(const Cursor *cursor, uint32_t count) noexcept nogil:
    return cursor.record_end - cursor.position >= count and cursor.length - cursor.position >= count


cdef bint take_name(const Cursor *cursor, uint32_t size, ClientHello *hello) noexcept nogil:
    """The body of a server_name extension, in one run. False: it is malformed."""
    cdef const uint8_t *body = cursor.data + cursor.position
    cdef uint32_t length, index
    if size < 5 or (<uint32_t>body[0] << 8 | body[1]) != size - 2:
        return False
    length = <uint32_t>body[3] << 8 | body[4]
    if body[2] != 0 or length != size - 5 or length == 0 or length > NAME_MAX:
        return False
    for index in range(length):
        if not octet_is(body[5 + index], OCTET_HOST):
            return True
    hello.name = cursor.position + 5
    hello.name_length = length
    return True


cdef bint take_alpn(const Cursor *cursor, uint32_t size, ClientHello *hello) noexcept nogil:
    cdef const uint8_t *body = cursor.data + cursor.position
    cdef uint32_t position = 2
    if size < 4 or (<uint32_t>body[0] << 8 | body[1]) != size - 2:
        return False
    while position < size:
        if body[position] == 0 or body[position] >= size - position:
            return False
        position += 1 + <uint32_t>body[position]
    hello.alpn = cursor.position + 2
    hello.alpn_length = size - 2
    return True


cdef int read_extensions(Cursor *cursor, ClientHello *hello) noexcept nogil:
    cdef int rest = cursor_number(cursor, 2)
    cdef int kind, size
    while rest > 0:
        kind = cursor_number(cursor, 2)
        size = cursor_number(cursor, 2) if kind >= 0 else -1
        if size < 0:
            return cursor.result
        rest -= 4 + size
        if rest < 0:
            return HELLO_OTHER
        if cursor_in_one_run(cursor, <uint32_t>size):
            if kind == EXTENSION_SERVER_NAME and not take_name(cursor, <uint32_t>size, hello):
                return HELLO_OTHER
            if kind == EXTENSION_ALPN and not take_alpn(cursor, <uint32_t>size, hello):
                return HELLO_OTHER
        if not cursor_skip(cursor, <uint32_t>size):
            return cursor.result
    return HELLO_DONE if rest == 0 else cursor.result


cdef int client_hello_read(const char *data, uint32_t length, ClientHello *hello) noexcept nogil:
    cdef Cursor cursor
    cdef int size, part
    hello.name = 0
    hello.name_length = 0
    hello.alpn = 0
    hello.alpn_length = 0
    cursor.data = <const uint8_t *>data
    cursor.length = length
    cursor.position = 0
    cursor.record_end = 0
    cursor.result = HELLO_MORE
    part = cursor_number(&cursor, 1)
    if part < 0:
        return cursor.result
    if part != HELLO_TYPE:
        return HELLO_OTHER
    size = cursor_number(&cursor, 3)
    if size < 0:
        return cursor.result
    if size > CLIENT_HELLO_MAX:
        return HELLO_OTHER
    # The version, the random bytes, then session id, cipher suites and compression methods, each with its length
    if not cursor_skip(&cursor, 34):
        return cursor.result
    for part in range(3):
        size = cursor_number(&cursor, 2 if part == 1 else 1)
        if size < 0 or not cursor_skip(&cursor, <uint32_t>size):
            return cursor.result
    return read_extensions(&cursor, hello)


cdef bint client_hello_offers(
    const char *data, const ClientHello *hello, const char *name, uint8_t length
) noexcept nogil:
    cdef const uint8_t *entry = <const uint8_t *>data + hello.alpn
    cdef const uint8_t *end = entry + hello.alpn_length
    while entry < end:
        if entry[0] == length and memcmp(entry + 1, name, length) == 0:
            return True
        entry += 1 + entry[0]
    return False
