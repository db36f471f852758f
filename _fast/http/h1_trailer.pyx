"""See `h1_trailer.pxd` for the contract.

A recipient may merge trailers into the header section, so a field that steers a hop or a policy must not slip in
behind the checks that the header section went through.
"""
from tulle._fast.base.types cimport uint8_t, uint16_t, uint32_t
from tulle._fast.http.h1_parse cimport Parse
from tulle._fast.http.message cimport Field, FieldFlags, FieldId, Message, field_bit
from tulle._fast.http.octet cimport octets_same

cdef extern from *:
    """
    typedef struct { const char *text; uint32_t length; } TrailerName;
    #define TRAILER_NAME(text) {text, sizeof text - 1}
    static const TrailerName trailer_forbidden_names[] = {
        TRAILER_NAME("age"), TRAILER_NAME("authorization"), TRAILER_NAME("cache-control"),
        TRAILER_NAME("content-encoding"), TRAILER_NAME("content-range"), TRAILER_NAME("content-type"),
        TRAILER_NAME("cookie"), TRAILER_NAME("date"), TRAILER_NAME("expires"), TRAILER_NAME("forwarded"),
        TRAILER_NAME("if-match"), TRAILER_NAME("if-modified-since"), TRAILER_NAME("if-none-match"),
        TRAILER_NAME("if-range"), TRAILER_NAME("if-unmodified-since"), TRAILER_NAME("location"),
        TRAILER_NAME("max-forwards"), TRAILER_NAME("pragma"), TRAILER_NAME("proxy-authenticate"),
        TRAILER_NAME("proxy-authorization"), TRAILER_NAME("range"), TRAILER_NAME("set-cookie"),
        TRAILER_NAME("vary"), TRAILER_NAME("warning"), TRAILER_NAME("www-authenticate"),
    };
    #define TRAILER_NAMES (sizeof trailer_forbidden_names / sizeof trailer_forbidden_names[0])
    """
    ctypedef struct TrailerName:
        const char *text
        uint32_t length
    const TrailerName *trailer_forbidden_names
    const uint32_t TRAILER_NAMES


cdef bint trailer_forbidden(const Message *message, const Field *field) noexcept nogil:
    cdef const uint8_t *name = <const uint8_t *>message.base + field.name
    cdef uint32_t index
    if field.id != FieldId.FIELD_OTHER:
        # of the fields that have an id only this one is of no consequence
        return field.id != FieldId.FIELD_USER_AGENT
    for index in range(TRAILER_NAMES):
        if trailer_forbidden_names[index].length != field.name_length:
            continue
        if octets_same(name, trailer_forbidden_names[index].text, field.name_length):
            return True
    return False


cdef int trailer_check(Message *message) noexcept nogil:
    cdef uint16_t index
    if message.known & (field_bit(FieldId.FIELD_CONTENT_LENGTH) | field_bit(FieldId.FIELD_TRANSFER_ENCODING)):
        return Parse.PARSE_BAD_TRAILER
    for index in range(message.field_count):
        if trailer_forbidden(message, &message.fields[index]):
            message.fields[index].flags |= FieldFlags.FIELD_DROP
    return Parse.PARSE_DONE
