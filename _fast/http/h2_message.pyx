"""See `h2_message.pxd` for the contract."""
from libc.string cimport memcmp, memcpy

from tulle._fast.base.types cimport likely, uint8_t, uint16_t, unlikely
from tulle._fast.http.authority cimport authority_valid
from tulle._fast.http.h1_framing cimport framing_length_field, framing_request
from tulle._fast.http.h1_parse cimport PARSE_DONE, PARSE_EXPECTATION, h1_method
from tulle._fast.http.h1_trailer cimport trailer_check
from tulle._fast.http.message cimport (
    FIELD_CONTENT_LENGTH, FIELD_DROP, FIELD_HOST, FIELD_UPGRADE, FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_NONE,
    FRAMING_TUNNEL, MESSAGE_FIELDS_MAX, MESSAGE_KEEP_ALIVE, MESSAGE_UPGRADE, METHOD_CONNECT, METHOD_GET, METHOD_HEAD,
    METHOD_OPTIONS, TARGET_ASTERISK, TARGET_AUTHORITY, TARGET_ORIGIN, VERSION_HTTP_2, Field, field_bit, message_field,
)
from tulle._fast.http.scan cimport scan_path, scan_query, scan_token


cdef int add_line(
    Message *message, Buf *buf, int known, const char *name, uint32_t name_length, const char *value,
    uint32_t value_length
) noexcept nogil:
    """A field of ours behind those that came."""
    cdef Field *field = &message.fields[message.field_count]
    cdef char *out = buf.data + message.fields_end
    if unlikely(
        message.field_count >= MESSAGE_FIELDS_MAX
        or buf.capacity - message.fields_end < name_length + value_length + 4
    ):
        return HEAD_TOO_LARGE
    memcpy(out, name, name_length)
    memcpy(out + name_length, b": ", 2)
    memcpy(out + name_length + 2, value, value_length)
    memcpy(out + name_length + 2 + value_length, b"\r\n", 2)
    field.name = message.fields_end
    field.name_length = <uint16_t>name_length
    field.value = field.name + name_length + 2
    field.value_length = value_length
    field.id = <uint8_t>known
    field.flags = 0
    message.known |= field_bit(known)
    message.first[known] = <uint8_t>message.field_count
    message.field_count += 1
    message.fields_end += name_length + value_length + 4
    message.head_length = message.fields_end
    return HEAD_FINE


# -- requests ---------------------------------------------------------------------------------------------------------

cdef bint path_split(Message *message) noexcept nogil:
    """The octets that HTTP/1 takes in a request target, and the forms of `:path` (section 8.3.1)."""
    cdef const uint8_t *target = <const uint8_t *>message.base + message.target
    cdef const uint8_t *end = target + message.target_length
    cdef const uint8_t *mark = scan_path(target, end)
    message.path = message.target
    message.path_length = <uint32_t>(mark - target)
    if mark < end:
        if mark[0] != c'?' or scan_query(mark, end) != end:
            return False
        message.query = message.path + message.path_length + 1
        message.query_length = message.target_length - message.path_length - 1
    if likely(target[0] == c'/'):
        message.target_form = TARGET_ORIGIN
        return True
    message.target_form = TARGET_ASTERISK
    return target[0] == c'*' and message.target_length == 1 and message.method == METHOD_OPTIONS


cdef bint scheme_known(const Message *message) noexcept nogil:
    """Others mean nothing to us, and what they would mean to a backend nobody knows."""
    cdef const char *scheme = message.base + message.scheme
    if message.scheme_length == 4:
        return memcmp(scheme, b"http", 4) == 0
    return message.scheme_length == 5 and memcmp(scheme, b"https", 5) == 0


cdef bint tunnel_target(Message *message) noexcept nogil:
    """CONNECT has an authority and nothing else (section 8.5)."""
    cdef Field *host = <Field *>message_field(message, FIELD_HOST)
    if message.scheme_length != 0 or message.target_length != 0 or message.authority_length == 0:
        return False
    if host != NULL:
        host.flags |= FIELD_DROP
    message.target_form = TARGET_AUTHORITY
    message.target = message.authority
    message.target_length = message.authority_length
    return authority_valid(message.base + message.authority, message.authority_length, True)


cdef bint request_target(Message *message) noexcept nogil:
    """Which pseudo-fields belong together (section 8.3.1; RFC 8441 section 4), and what they make."""
    cdef const Field *host
    if message.scheme_length == 0 or message.target_length == 0 or not scheme_known(message):
        return False
    if unlikely(message.authority_length == 0):
        host = message_field(message, FIELD_HOST)
        if host == NULL or message.protocol_length != 0:
            return False
        message.authority = host.value
        message.authority_length = host.value_length
    if unlikely(message.repeated & field_bit(FIELD_HOST)):
        return False
    return path_split(message) and authority_valid(
        message.base + message.authority, message.authority_length, False
    )


cdef int extended_connect(Message *message, Buf *buf) noexcept nogil:
    """As HTTP/1 asks for it: GET with Upgrade (RFC 8441 section 5, RFC 6455 section 4.1)."""
    cdef int result = add_line(
        message, buf, FIELD_UPGRADE, b"upgrade", 7, message.base + message.protocol, message.protocol_length
    )
    if result != HEAD_FINE:
        return result
    (<Field *>message_field(message, FIELD_UPGRADE)).flags = FIELD_DROP
    message.method = METHOD_GET
    # The method's own bytes hold seven: CONNECT
    memcpy(buf.data + message.method_offset, b"GET", 3)
    message.method_length = 3
    message.flags |= MESSAGE_UPGRADE
    message.framing = FRAMING_NONE
    return HEAD_FINE


cdef int h2_judge_request(Message *message, Buf *buf, bint end, uint32_t line_most) noexcept nogil:
    cdef const uint8_t *method = <const uint8_t *>message.base + message.method_offset
    cdef const uint8_t *protocol
    cdef int result
    message.version_minor = VERSION_HTTP_2
    message.flags |= MESSAGE_KEEP_ALIVE
    if unlikely(message.method_length == 0):
        return HEAD_MALFORMED
    if unlikely(scan_token(method, method + message.method_length) != method + message.method_length):
        return HEAD_MALFORMED
    message.method = <uint8_t>h1_method(method, message.method_length)
    if unlikely(message.method == METHOD_CONNECT and message.protocol_length == 0):
        if not tunnel_target(message):
            return HEAD_MALFORMED
    elif unlikely(message.protocol_length != 0 and message.method != METHOD_CONNECT):
        return HEAD_MALFORMED
    elif unlikely(not request_target(message)):
        return HEAD_MALFORMED
    if unlikely(message.target_length + message.method_length > line_most):
        return HEAD_LINE_TOO_LONG
    if unlikely(message.protocol_length != 0):
        protocol = <const uint8_t *>message.base + message.protocol
        if scan_token(protocol, protocol + message.protocol_length) != protocol + message.protocol_length:
            return HEAD_MALFORMED
        if end or message.known & field_bit(FIELD_CONTENT_LENGTH):
            return HEAD_MALFORMED
        return extended_connect(message, buf)
    result = framing_request(message)
    if unlikely(result != PARSE_DONE):
        return HEAD_EXPECTATION if result == PARSE_EXPECTATION else HEAD_MALFORMED
    if unlikely(message.method == METHOD_CONNECT):
        return HEAD_FINE
    if likely(end):
        message.framing = FRAMING_NONE
        return HEAD_FINE if likely(message.content_length == 0) else HEAD_MALFORMED
    if message.framing != FRAMING_LENGTH:
        message.framing = FRAMING_CHUNKED
    return HEAD_FINE


# -- answers ----------------------------------------------------------------------------------------------------------

cdef int h2_judge_response(Message *message, Buf *buf, bint end, int request_method) noexcept nogil:
    message.method = <uint8_t>request_method
    message.version_minor = VERSION_HTTP_2
    message.flags |= MESSAGE_KEEP_ALIVE
    if unlikely(message.status == 0 or message.status == 101):
        return HEAD_MALFORMED          # section 8.6: nothing switches protocols here
    if unlikely(framing_length_field(message) != PARSE_DONE):
        return HEAD_MALFORMED
    if unlikely(message.status < 200):
        message.framing = FRAMING_NONE
        return HEAD_MALFORMED if end or message.content_length != 0 else HEAD_FINE
    if unlikely(request_method == METHOD_CONNECT and message.status < 300):
        if message.known & field_bit(FIELD_CONTENT_LENGTH):
            return HEAD_MALFORMED
        message.framing = FRAMING_TUNNEL
        return HEAD_FINE
    if request_method == METHOD_HEAD or message.status == 304:
        message.framing = FRAMING_NONE
        return HEAD_FINE
    if message.status == 204:
        message.framing = FRAMING_NONE
        return HEAD_FINE if message.content_length == 0 else HEAD_MALFORMED
    if end:
        if unlikely(message.content_length != 0):
            return HEAD_MALFORMED
        if not message.known & field_bit(FIELD_CONTENT_LENGTH):
            message.framing = FRAMING_LENGTH
            return add_line(message, buf, FIELD_CONTENT_LENGTH, b"content-length", 14, b"0", 1)
    elif message.framing != FRAMING_LENGTH:
        message.framing = FRAMING_CHUNKED
    return HEAD_FINE


cdef int h2_judge_trailers(Message *message) noexcept nogil:
    return HEAD_FINE if trailer_check(message) == PARSE_DONE else HEAD_MALFORMED
