"""See `h1_parse.pxd` for the contract.

Octets are looked at in order, and each step decides by those before it alone: so a head cut at any place gives
PARSE_MORE or what the whole head gives. The limits cut the input off before the scans see it, for the same reason.
What the fields mean is judged when all are there, in `h1_target`, `h1_connection` and `h1_framing`.

A partial line is scanned again when more of it has come. That is quadratic in the length of a line fed byte by byte,
but a scan of the longest line costs no more than the recv that brought the byte.
"""
from libc.string cimport memcmp, memset
from tulle._fast.base.types cimport likely, uint8_t, uint16_t, uint32_t, unlikely
from tulle._fast.http.field cimport field_id
from tulle._fast.http.h1_connection cimport CONNECTION_HOP_FIELDS, connection_parse
from tulle._fast.http.h1_framing cimport framing_request, framing_response
from tulle._fast.http.h1_target cimport target_parse, target_settle_host
from tulle._fast.http.h1_trailer cimport trailer_check
from tulle._fast.http.message cimport Field, FieldFlags, Message, Method
from tulle._fast.http.octet cimport OCTET_DIGIT, octet_is, octet_is_space
from tulle._fast.http.scan cimport scan_path, scan_query, scan_text, scan_token

cdef extern from "<stddef.h>" nogil:
    """
    #define tulle_message_size_before_fields(message) offsetof(__typeof__(*(message)), fields)
    """
    size_t tulle_message_size_before_fields(Message *message) noexcept

cdef enum:
    VERSION_LENGTH = 8                 # HTTP/1.1
    FIELD_NAME_MAX = 65535             # what Field.name_length can say


cdef void h1_message_init(Message *message) noexcept nogil:
    memset(message, 0, tulle_message_size_before_fields(message))


cdef int h1_method(const uint8_t *text, uint32_t length) noexcept nogil:
    if length == 3:
        if memcmp(text, b"GET", 3) == 0:
            return Method.METHOD_GET
        if memcmp(text, b"PUT", 3) == 0:
            return Method.METHOD_PUT
    elif length == 4:
        if memcmp(text, b"POST", 4) == 0:
            return Method.METHOD_POST
        if memcmp(text, b"HEAD", 4) == 0:
            return Method.METHOD_HEAD
    elif length == 5:
        if memcmp(text, b"PATCH", 5) == 0:
            return Method.METHOD_PATCH
        if memcmp(text, b"TRACE", 5) == 0:
            return Method.METHOD_TRACE
    elif length == 6:
        if memcmp(text, b"DELETE", 6) == 0:
            return Method.METHOD_DELETE
    elif length == 7:
        if memcmp(text, b"OPTIONS", 7) == 0:
            return Method.METHOD_OPTIONS
        if memcmp(text, b"CONNECT", 7) == 0:
            return Method.METHOD_CONNECT
    return Method.METHOD_OTHER


cdef int parse_version(Message *message, const uint8_t *position, const uint8_t *end) noexcept nogil:
    """HTTP/1.0 or HTTP/1.1 and nothing else; the name is case-sensitive (RFC 9112 section 2.3)."""
    cdef const char *name = b"HTTP/"
    cdef int index
    if likely(end - position >= VERSION_LENGTH) and likely(memcmp(position, b"HTTP/1.1", VERSION_LENGTH) == 0):
        message.version_minor = 1
        return PARSE_DONE
    for index in range(VERSION_LENGTH):
        if position + index == end:
            return PARSE_MORE
        if index < 5:
            if position[index] != <uint8_t>name[index]:
                return PARSE_BAD_VERSION
        elif index == 6:
            if position[index] != c'.':
                return PARSE_BAD_VERSION
        elif not octet_is(position[index], OCTET_DIGIT):
            return PARSE_BAD_VERSION
    if position[5] != c'1' or position[7] > c'1':
        return PARSE_UNSUPPORTED_VERSION
    message.version_minor = position[7] - c'0'
    return PARSE_DONE


cdef inline int parse_line_end(const uint8_t *position, const uint8_t *end, int otherwise) noexcept nogil:
    """CRLF at `position`; a lone CR or LF is PARSE_BAD_LINE_END, any other octet `otherwise`."""
    if unlikely(position == end):
        return PARSE_MORE
    if unlikely(position[0] != c'\r'):
        return PARSE_BAD_LINE_END if position[0] == c'\n' else otherwise
    if unlikely(position + 1 == end):
        return PARSE_MORE
    return PARSE_DONE if likely(position[1] == c'\n') else PARSE_BAD_LINE_END


cdef int parse_request_line(Message *message, const uint8_t *position, const uint8_t *end) noexcept nogil:
    """`method SP target SP version CRLF` (RFC 9112 section 3)."""
    cdef const uint8_t *base = <const uint8_t *>message.base
    cdef const uint8_t *mark = scan_token(position, end)
    cdef uint32_t query_mark
    cdef int result
    if unlikely(mark == end):
        return PARSE_MORE
    if unlikely(mark == position):
        return PARSE_BAD_METHOD
    if unlikely(mark[0] != c' '):
        return PARSE_BAD_START_LINE if mark[0] == c'\r' or mark[0] == c'\n' else PARSE_BAD_METHOD
    message.method_offset = <uint32_t>(position - base)
    message.method_length = <uint32_t>(mark - position)
    message.method = <uint8_t>h1_method(position, message.method_length)

    position = mark + 1
    mark = scan_path(position, end)
    query_mark = <uint32_t>(mark - base)
    if mark < end and mark[0] == c'?':
        mark = scan_query(mark, end)
    if unlikely(mark == end):
        return PARSE_MORE
    if unlikely(mark == position):
        return PARSE_BAD_TARGET
    if unlikely(mark[0] != c' '):
        return PARSE_BAD_VERSION if mark[0] == c'\r' or mark[0] == c'\n' else PARSE_BAD_TARGET
    message.target = <uint32_t>(position - base)
    message.target_length = <uint32_t>(mark - position)
    result = target_parse(message, query_mark)
    if unlikely(result != PARSE_DONE):
        return result

    position = mark + 1
    result = parse_version(message, position, end)
    if unlikely(result != PARSE_DONE):
        return result
    result = parse_line_end(position + VERSION_LENGTH, end, PARSE_BAD_VERSION)
    if likely(result == PARSE_DONE):
        message.position = <uint32_t>(position + VERSION_LENGTH + 2 - base)
    return result


cdef int parse_status_line(Message *message, const uint8_t *position, const uint8_t *end) noexcept nogil:
    """`version SP status SP [reason] CRLF`; the second space may be missing with the reason, as many servers do it."""
    cdef const uint8_t *base = <const uint8_t *>message.base
    cdef const uint8_t *reason
    cdef uint16_t status = 0
    cdef int index
    cdef int result = parse_version(message, position, end)
    if unlikely(result != PARSE_DONE):
        return result
    position += VERSION_LENGTH
    if position == end:
        return PARSE_MORE
    if unlikely(position[0] != c' '):
        return PARSE_BAD_VERSION
    for index in range(1, 4):
        if unlikely(position + index == end):
            return PARSE_MORE
        if unlikely(not octet_is(position[index], OCTET_DIGIT)):
            return PARSE_BAD_STATUS
        status = status * 10 + position[index] - c'0'
    if unlikely(status < 100 or status > 599):
        return PARSE_BAD_STATUS
    message.status = status
    position += 4
    if unlikely(position == end):
        return PARSE_MORE
    if likely(position[0] == c' '):
        reason = position + 1
        position = scan_text(reason, end)
        if likely(position != reason):
            message.reason = <uint32_t>(reason - base)
            message.reason_length = <uint32_t>(position - reason)
        result = parse_line_end(position, end, PARSE_BAD_START_LINE)
    else:
        result = parse_line_end(position, end, PARSE_BAD_STATUS)
    if likely(result == PARSE_DONE):
        message.position = <uint32_t>(position + 2 - base)
    return result


cdef inline void parse_keep_field(
    Message *message, const uint8_t *name, const uint8_t *colon, const uint8_t *value, const uint8_t *end
) noexcept nogil:
    cdef Field *field = &message.fields[message.field_count]
    cdef int name_id = field_id(<const char *>name, <uint32_t>(colon - name))
    cdef uint32_t bit
    field.name = <uint32_t>(name - <const uint8_t *>message.base)
    field.name_length = <uint16_t>(colon - name)
    field.value = <uint32_t>(value - <const uint8_t *>message.base)
    field.value_length = <uint32_t>(end - value)
    field.id = <uint8_t>name_id
    field.flags = 0
    if name_id != 0:
        bit = <uint32_t>1 << name_id
        if bit & CONNECTION_HOP_FIELDS:
            field.flags = FieldFlags.FIELD_DROP
        if message.known & bit:
            message.repeated |= bit
        else:
            message.known |= bit
            message.first[name_id] = <uint8_t>message.field_count
    message.field_count += 1


cdef int parse_fields(Message *message, const uint8_t *end, uint32_t fields_max) noexcept nogil:
    """Field lines from `message.position` on, and the empty line that ends them (RFC 9112 section 5)."""
    cdef const uint8_t *base = <const uint8_t *>message.base
    cdef const uint8_t *name = base + message.position
    cdef const uint8_t *colon
    cdef const uint8_t *value
    cdef const uint8_t *last
    cdef const uint8_t *mark
    cdef int result
    while True:
        message.position = <uint32_t>(name - base)
        if unlikely(name == end):
            return PARSE_MORE
        if name[0] == c'\r':
            result = parse_line_end(name, end, PARSE_BAD_LINE_END)
            if result == PARSE_DONE:
                message.fields_end = message.position
                message.head_length = message.position + 2
            return result
        if unlikely(message.field_count == fields_max):
            return PARSE_TOO_MANY_FIELDS

        colon = scan_token(name, end)
        if unlikely(colon == end):
            return PARSE_MORE
        if unlikely(colon[0] != c':' or colon == name or colon - name > FIELD_NAME_MAX):
            if colon == name and octet_is_space(colon[0]):
                return PARSE_OBS_FOLD
            return PARSE_BAD_LINE_END if colon == name and colon[0] == c'\n' else PARSE_BAD_FIELD_NAME

        value = colon + 1
        while value < end and octet_is_space(value[0]):
            value += 1
        mark = scan_text(value, end)
        result = parse_line_end(mark, end, PARSE_BAD_FIELD_VALUE)
        if unlikely(result != PARSE_DONE):
            return result
        last = mark
        while last > value and octet_is_space((last - 1)[0]):
            last -= 1
        parse_keep_field(message, name, colon, value, last)
        name = mark + 2


cdef inline const uint8_t *parse_cut(const Message *message, uint32_t length, uint32_t limit) noexcept nogil:
    """The end of the input, at most `limit` bytes after the start of the message."""
    return <const uint8_t *>message.base + (length if length < limit else limit)


cdef int parse_start(
    Message *message, uint32_t length, const ParseLimits *limits, bint request
) noexcept nogil:
    """The start line, unless an earlier call has done it."""
    cdef const uint8_t *end = parse_cut(message, length, limits.head)
    cdef const uint8_t *start = <const uint8_t *>message.base + message.start
    cdef int result
    if message.position > message.start:
        return PARSE_DONE
    if request and message.start == 0 and start < end and start[0] == c'\r':
        # one empty line before a request is to be ignored (RFC 9112 section 2.2)
        result = parse_line_end(start, end, PARSE_BAD_LINE_END)
        if result != PARSE_DONE:
            return result
        start += 2
        message.start = 2
        message.position = 2
    if end - start > limits.line:
        end = start + limits.line
    if request:
        result = parse_request_line(message, start, end)
    else:
        result = parse_status_line(message, start, end)
    if result == PARSE_MORE and end - start == limits.line:
        return PARSE_LINE_TOO_LONG
    return result


cdef inline int parse_rest(Message *message, uint32_t length, const ParseLimits *limits) noexcept nogil:
    return parse_fields(message, parse_cut(message, length, limits.head), limits.fields)


cdef inline int parse_more(int result, uint32_t length, const ParseLimits *limits) noexcept nogil:
    """A head that wants more than the limit will never be complete."""
    if result == PARSE_MORE and length >= limits.head:
        return PARSE_HEAD_TOO_LARGE
    return result


cdef int h1_parse_request(
    Message *message, const char *base, uint32_t length, const ParseLimits *limits
) noexcept nogil:
    cdef int result
    message.base = base
    result = parse_start(message, length, limits, True)
    if likely(result == PARSE_DONE):
        result = parse_rest(message, length, limits)
    if unlikely(result != PARSE_DONE):
        return parse_more(result, length, limits)
    result = target_settle_host(message)
    if likely(result == PARSE_DONE):
        result = connection_parse(message)
    if likely(result == PARSE_DONE):
        result = framing_request(message)
    return result


cdef int h1_parse_response(
    Message *message, const char *base, uint32_t length, const ParseLimits *limits, int request_method
) noexcept nogil:
    cdef int result
    message.base = base
    message.method = <uint8_t>request_method
    result = parse_start(message, length, limits, False)
    if likely(result == PARSE_DONE):
        result = parse_rest(message, length, limits)
    if unlikely(result != PARSE_DONE):
        return parse_more(result, length, limits)
    result = connection_parse(message)
    if likely(result == PARSE_DONE):
        result = framing_response(message, request_method)
    return result


cdef int h1_parse_trailers(
    Message *message, const char *base, uint32_t length, const ParseLimits *limits
) noexcept nogil:
    cdef int result
    message.base = base
    result = parse_more(parse_rest(message, length, limits), length, limits)
    if result == PARSE_DONE:
        return trailer_check(message)
    if result < 0 and result != PARSE_HEAD_TOO_LARGE and result != PARSE_TOO_MANY_FIELDS:
        return PARSE_BAD_TRAILER
    return result


cdef int parse_error_status(int error) noexcept nogil:
    if error == PARSE_LINE_TOO_LONG:
        return 414
    if error == PARSE_EXPECTATION:
        return 417
    if error == PARSE_HEAD_TOO_LARGE or error == PARSE_TOO_MANY_FIELDS:
        return 431
    if error == PARSE_UNSUPPORTED_VERSION:
        return 505
    return 400


cdef const char *parse_error_text(int error) noexcept nogil:
    if error == PARSE_BAD_START_LINE:
        return b"malformed start line"
    if error == PARSE_BAD_METHOD:
        return b"method is not a token"
    if error == PARSE_BAD_TARGET:
        return b"malformed request target"
    if error == PARSE_BAD_VERSION:
        return b"malformed protocol version"
    if error == PARSE_UNSUPPORTED_VERSION:
        return b"protocol version is neither HTTP/1.0 nor HTTP/1.1"
    if error == PARSE_BAD_STATUS:
        return b"status is not a number from 100 to 599"
    if error == PARSE_BAD_FIELD_NAME:
        return b"field name is not a token followed by a colon"
    if error == PARSE_BAD_FIELD_VALUE:
        return b"control character in a field value"
    if error == PARSE_OBS_FOLD:
        return b"field line begins with white space"
    if error == PARSE_BAD_LINE_END:
        return b"line does not end with CRLF"
    if error == PARSE_BAD_HOST:
        return b"Host is missing, repeated or not a valid authority"
    if error == PARSE_BAD_CONTENT_LENGTH:
        return b"Content-Length is repeated, not a plain number or not allowed here"
    if error == PARSE_LENGTH_AND_CODING:
        return b"both Content-Length and Transfer-Encoding"
    if error == PARSE_BAD_TRANSFER_ENCODING:
        return b"Transfer-Encoding is not a single chunked or not allowed here"
    if error == PARSE_LINE_TOO_LONG:
        return b"start line is longer than the limit"
    if error == PARSE_HEAD_TOO_LARGE:
        return b"header section is larger than the limit"
    if error == PARSE_TOO_MANY_FIELDS:
        return b"more header fields than the limit"
    if error == PARSE_BAD_CHUNK:
        return b"malformed chunked coding"
    if error == PARSE_BAD_TRAILER:
        return b"malformed trailer section"
    if error == PARSE_BAD_CONNECTION:
        return b"Connection is malformed or names a field that frames the message"
    if error == PARSE_EXPECTATION:
        return b"Expect is not 100-continue"
    return b"no error"
