"""See `grpc.pxd`."""
from tulle._fast.base.ascii cimport ascii_hex
from tulle._fast.base.decimal cimport decimal_write
from tulle._fast.base.types cimport int32_t, uint8_t
from tulle._fast.http.message cimport METHOD_POST, Field, message_at
from tulle._fast.http.named cimport named_first
from tulle._fast.http.octet cimport octets_same

cdef enum:
    DIGITS_MOST = 8                    # of a timeout
    MOST = 99999999                    # that they say
    LONGEST = 1000000000               # seconds; longer ones, of more than thirty years, bound nothing

cdef extern from *:
    """
    static const char *const tulle_grpc_camel[] = {
        "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
        "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented",
        "Internal", "Unavailable", "DataLoss", "Unauthenticated",
    };
    static const char *const tulle_grpc_snake[] = {
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    };
    static const uint16_t tulle_grpc_http[] = {
        200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
    };
    """
    const char *const *tulle_grpc_camel
    const char *const *tulle_grpc_snake
    const uint16_t *tulle_grpc_http


cdef bint grpc_is_request(const Message *message) noexcept nogil:
    cdef const Field *field
    cdef const char *value
    if message.method != METHOD_POST:
        return False
    field = named_first(message, b"content-type", 12)
    if field == NULL or field.value_length < 16:
        return False
    value = message_at(message, field.value)
    # Media types are compared without case (RFC 9110 section 8.3.1)
    return octets_same(<const uint8_t *>value, b"application/grpc", 16) and (
        field.value_length == 16 or value[16] == c'+' or value[16] == c';' or value[16] == c' '
    )


cdef int grpc_status_of(const Message *message) noexcept nogil:
    cdef const Field *field = named_first(message, b"grpc-status", 11)
    cdef const char *value
    cdef uint32_t index
    cdef int status = 0
    if field == NULL:
        return GRPC_NONE
    value = message_at(message, field.value)
    if field.value_length == 0 or field.value_length > 2:
        return GRPC_UNKNOWN
    for index in range(field.value_length):
        if not c'0' <= value[index] <= c'9':
            return GRPC_UNKNOWN
        status = status * 10 + value[index] - c'0'
    return status if status < GRPC_STATUSES else GRPC_UNKNOWN


cdef int grpc_of_http(uint32_t status) noexcept nogil:
    if status == 400:
        return GRPC_INTERNAL
    if status == 401:
        return GRPC_UNAUTHENTICATED
    if status == 403:
        return GRPC_PERMISSION_DENIED
    if status == 404:
        return GRPC_UNIMPLEMENTED
    if status == 429 or 502 <= status <= 504:
        return GRPC_UNAVAILABLE
    return GRPC_UNKNOWN


cdef uint16_t grpc_to_http(int status) noexcept nogil:
    if 0 <= status < GRPC_STATUSES:
        return tulle_grpc_http[status]
    return 500


cdef uint64_t unit_of(char letter) noexcept nogil:
    """Nanoseconds; 0: there is no such unit."""
    if letter == c'n':
        return 1
    if letter == c'u':
        return 1000
    if letter == c'm':
        return 1000000
    if letter == c'S':
        return 1000000000
    if letter == c'M':
        return <uint64_t>60 * 1000000000
    if letter == c'H':
        return <uint64_t>3600 * 1000000000
    return 0


cdef bint grpc_timeout_of(const Message *message, uint64_t *timeout) noexcept nogil:
    cdef const Field *field = named_first(message, b"grpc-timeout", 12)
    cdef const char *value
    cdef uint64_t number = 0
    cdef uint64_t unit
    cdef uint32_t index
    if field == NULL or field.value_length < 2 or field.value_length > DIGITS_MOST + 1:
        return False
    value = message_at(message, field.value)
    for index in range(field.value_length - 1):
        if not c'0' <= value[index] <= c'9':
            return False
        number = number * 10 + <uint64_t>(value[index] - c'0')
    unit = unit_of(value[field.value_length - 1])
    if unit == 0 or number > <uint64_t>LONGEST * 1000000000 // unit:
        return False
    timeout[0] = number * unit
    return True


cdef uint32_t grpc_timeout_write(char *out, uint64_t timeout) noexcept nogil:
    cdef const char *letters = b"numSMH"
    cdef uint32_t unit = 0
    cdef uint32_t length
    if timeout == 0:
        timeout = 1
    while unit < 5 and timeout // unit_of(letters[unit]) > <uint64_t>MOST:
        unit += 1
    timeout //= unit_of(letters[unit])
    length = decimal_write(out, timeout if timeout < <uint64_t>MOST else <uint64_t>MOST)
    out[length] = letters[unit]
    return length + 1


cdef uint32_t grpc_message_write(char *out, uint32_t room, const char *text, uint32_t length) noexcept nogil:
    cdef const char *digits = b"0123456789ABCDEF"
    cdef uint32_t at = 0
    cdef uint32_t index
    cdef uint8_t octet
    for index in range(length):
        octet = <uint8_t>text[index]
        if at + 3 > room:
            break
        if 0x20 <= octet <= 0x7E and octet != c'%':
            out[at] = <char>octet
            at += 1
        else:
            out[at] = c'%'
            out[at + 1] = digits[octet >> 4]
            out[at + 2] = digits[octet & 15]
            at += 3
    return at


cdef uint32_t grpc_message_read(const Message *message, char *out, uint32_t room) noexcept nogil:
    cdef const Field *field = named_first(message, b"grpc-message", 12)
    cdef const char *value
    cdef uint32_t length = 0
    cdef uint32_t at = 0
    cdef int32_t high, low
    if field == NULL:
        return 0
    value = message_at(message, field.value)
    while at < field.value_length and length < room:
        out[length] = value[at]
        if value[at] == c'%' and at + 2 < field.value_length:
            high = ascii_hex(<uint8_t>value[at + 1])
            low = ascii_hex(<uint8_t>value[at + 2])
            if high >= 0 and low >= 0:
                out[length] = <char>(high << 4 | low)
                at += 2
        at += 1
        length += 1
    return length


cdef uint32_t grpc_number_write(char *out, int status) noexcept nogil:
    return decimal_write(out, <uint64_t>status)


cdef const char *grpc_camel_name(int status) noexcept nogil:
    return tulle_grpc_camel[status if 0 <= status < GRPC_STATUSES else GRPC_UNKNOWN]


cdef const char *grpc_snake_name(int status) noexcept nogil:
    return tulle_grpc_snake[status if 0 <= status < GRPC_STATUSES else GRPC_UNKNOWN]
