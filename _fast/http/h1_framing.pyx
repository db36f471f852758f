"""See `h1_framing.pxd` for the contract.

Stricter than RFC 9112 section 6.3 wherever two parties could come to differ: no message with both fields, no list
of lengths however equal, no coding but one `chunked`, no framing fields where there can be no body.
"""
from tulle._fast.base.types cimport uint8_t, uint32_t, uint64_t
from tulle._fast.http.h1_parse cimport Parse
from tulle._fast.http.message cimport (
    Field, FieldFlags, FieldId, Framing, Message, MessageFlags, Method, field_bit, message_field,
)
from tulle._fast.http.octet cimport OCTET_DIGIT, octet_is, octets_same

cdef enum:
    FRAMING_LENGTH_DIGITS = 18        # what they can say is below 2**63, so sums of lengths do not overflow


cdef int framing_length(Message *message, const Field *field) noexcept nogil:
    cdef const uint8_t *digits = <const uint8_t *>message.base + field.value
    cdef uint64_t number = 0
    cdef uint32_t index
    if field.value_length == 0 or field.value_length > FRAMING_LENGTH_DIGITS:
        return Parse.PARSE_BAD_CONTENT_LENGTH
    for index in range(field.value_length):
        if not octet_is(digits[index], OCTET_DIGIT):
            return Parse.PARSE_BAD_CONTENT_LENGTH
        number = number * 10 + (digits[index] - c'0')
    message.content_length = number
    message.framing = Framing.FRAMING_LENGTH
    return Parse.PARSE_DONE


cdef int framing_coding(Message *message, const Field *field) noexcept nogil:
    if message.version_minor == 0:
        return Parse.PARSE_BAD_TRANSFER_ENCODING
    if field.value_length != 7 or not octets_same(<const uint8_t *>message.base + field.value, b"chunked", 7):
        return Parse.PARSE_BAD_TRANSFER_ENCODING
    message.framing = Framing.FRAMING_CHUNKED
    return Parse.PARSE_DONE


cdef int framing_length_field(Message *message) noexcept nogil:
    cdef const Field *length = message_field(message, FieldId.FIELD_CONTENT_LENGTH)
    if length == NULL:
        return Parse.PARSE_DONE
    if message.repeated & field_bit(FieldId.FIELD_CONTENT_LENGTH):
        return Parse.PARSE_BAD_CONTENT_LENGTH
    return framing_length(message, length)


cdef int framing_fields(Message *message, int absent) noexcept nogil:
    """The framing that the fields ask for, `absent` when there are none."""
    cdef const Field *length = message_field(message, FieldId.FIELD_CONTENT_LENGTH)
    cdef const Field *coding = message_field(message, FieldId.FIELD_TRANSFER_ENCODING)
    if length != NULL and coding != NULL:
        return Parse.PARSE_LENGTH_AND_CODING
    if length != NULL:
        return framing_length_field(message)
    if coding != NULL:
        if message.repeated & field_bit(FieldId.FIELD_TRANSFER_ENCODING):
            return Parse.PARSE_BAD_TRANSFER_ENCODING
        return framing_coding(message, coding)
    message.framing = absent
    return Parse.PARSE_DONE


cdef int framing_forbidden(Message *message) noexcept nogil:
    """A message that can have no body may at most say that it has a length of 0."""
    if message.framing == Framing.FRAMING_CHUNKED:
        return Parse.PARSE_BAD_TRANSFER_ENCODING
    if message.content_length != 0:
        return Parse.PARSE_BAD_CONTENT_LENGTH
    message.framing = Framing.FRAMING_NONE
    return Parse.PARSE_DONE


cdef int framing_request(Message *message) noexcept nogil:
    cdef const Field *expect = message_field(message, FieldId.FIELD_EXPECT)
    cdef int result = framing_fields(message, Framing.FRAMING_NONE)
    if result != Parse.PARSE_DONE:
        return result
    if message.method == Method.METHOD_CONNECT:
        result = framing_forbidden(message)
        if result != Parse.PARSE_DONE:
            return result
    if expect != NULL:
        if message.repeated & field_bit(FieldId.FIELD_EXPECT) or expect.value_length != 12:
            return Parse.PARSE_EXPECTATION
        if not octets_same(<const uint8_t *>message.base + expect.value, b"100-continue", 12):
            return Parse.PARSE_EXPECTATION
        # to be ignored in HTTP/1.0 (RFC 9110 section 10.1.1)
        if message.version_minor > 0:
            message.flags |= MessageFlags.MESSAGE_EXPECT_CONTINUE
    return Parse.PARSE_DONE


cdef int framing_response(Message *message, int request_method) noexcept nogil:
    cdef Field *length
    cdef int result = framing_fields(message, Framing.FRAMING_CLOSE)
    if result != Parse.PARSE_DONE:
        return result
    if request_method == Method.METHOD_CONNECT and 200 <= message.status < 300:
        # the fields mean nothing here and may not be sent on (RFC 9110 section 9.3.6)
        message.framing = Framing.FRAMING_TUNNEL
        length = <Field *>message_field(message, FieldId.FIELD_CONTENT_LENGTH)
        if length != NULL:
            length.flags |= FieldFlags.FIELD_DROP
    elif message.status < 200 or message.status == 204:
        result = framing_forbidden(message)
        if message.status == 101:
            message.framing = Framing.FRAMING_TUNNEL
    elif message.status == 304 or request_method == Method.METHOD_HEAD:
        message.framing = Framing.FRAMING_NONE
    if message.framing == Framing.FRAMING_CLOSE or message.framing == Framing.FRAMING_TUNNEL:
        message.flags &= ~<uint32_t>MessageFlags.MESSAGE_KEEP_ALIVE
    return result
