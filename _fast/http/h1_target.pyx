"""See `h1_target.pxd` for the contract.

The octets of the target have been scanned before: visible ASCII, no "#". What stands between is not judged here,
for servers take more than RFC 3986 allows; normalising the path is the business of the policy floor.
"""
from tulle._fast.base.types cimport uint8_t, uint32_t
from tulle._fast.http.authority cimport authority_valid
from tulle._fast.http.h1_parse cimport Parse
from tulle._fast.http.message cimport (
    Field, FieldFlags, FieldId, Message, Method, TargetForm, field_bit, message_field,
)
from tulle._fast.http.octet cimport octets_same


cdef void target_split(Message *message, uint32_t path, uint32_t query_mark) noexcept nogil:
    cdef uint32_t end = message.target + message.target_length
    message.path = path
    message.path_length = query_mark - path
    if query_mark != end:
        message.query = query_mark + 1
        message.query_length = end - message.query


cdef int target_absolute(Message *message, uint32_t query_mark) noexcept nogil:
    """`http://authority/path?query`, or https; the scheme in any case (RFC 9112 section 3.2.2)."""
    cdef const uint8_t *target = <const uint8_t *>message.base + message.target
    cdef uint32_t slashes, authority, path
    if message.target_length > 7 and octets_same(target, b"http://", 7):
        slashes = message.target + 5
    elif message.target_length > 8 and octets_same(target, b"https://", 8):
        slashes = message.target + 6
    else:
        return Parse.PARSE_BAD_TARGET
    authority = slashes + 2
    path = authority
    while path < query_mark and message.base[path] != c'/':
        path += 1
    message.target_form = TargetForm.TARGET_ABSOLUTE
    message.authority = authority
    message.authority_length = path - authority
    if not authority_valid(message.base + authority, message.authority_length, False):
        return Parse.PARSE_BAD_TARGET
    target_split(message, path, query_mark)
    if message.path_length == 0:
        # no path means "/", and a slash is at hand before the authority; a bare OPTIONS means "*" (section 3.2.4)
        if message.method == Method.METHOD_OPTIONS and message.query == 0:
            message.path = 0
        else:
            message.path = slashes
            message.path_length = 1
    return Parse.PARSE_DONE


cdef int target_parse(Message *message, uint32_t query_mark) noexcept nogil:
    cdef const char *target = message.base + message.target
    if message.method == Method.METHOD_CONNECT:
        message.target_form = TargetForm.TARGET_AUTHORITY
        message.authority = message.target
        message.authority_length = message.target_length
        if not authority_valid(target, message.target_length, True):
            return Parse.PARSE_BAD_TARGET
        return Parse.PARSE_DONE
    if target[0] == c'/':
        message.target_form = TargetForm.TARGET_ORIGIN
        target_split(message, message.target, query_mark)
        return Parse.PARSE_DONE
    if target[0] == c'*':
        message.target_form = TargetForm.TARGET_ASTERISK
        message.path = message.target
        message.path_length = 1
        if message.target_length != 1 or message.method != Method.METHOD_OPTIONS:
            return Parse.PARSE_BAD_TARGET
        return Parse.PARSE_DONE
    return target_absolute(message, query_mark)


cdef int target_settle_host(Message *message) noexcept nogil:
    """One valid Host, which only HTTP/1.0 may lack; an authority in the target goes before it (section 3.2.2)."""
    cdef Field *host = <Field *>message_field(message, FieldId.FIELD_HOST)
    if host == NULL:
        return Parse.PARSE_BAD_HOST if message.version_minor > 0 else Parse.PARSE_DONE
    if message.repeated & field_bit(FieldId.FIELD_HOST):
        return Parse.PARSE_BAD_HOST
    if not authority_valid(message.base + host.value, host.value_length, False):
        return Parse.PARSE_BAD_HOST
    if message.authority_length != 0:
        host.flags |= FieldFlags.FIELD_DROP
    else:
        message.authority = host.value
        message.authority_length = host.value_length
    return Parse.PARSE_DONE
