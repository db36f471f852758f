"""What bodies and heads of the proxy's own are made with, as plain Python functions; built in place only.

Each text lies in memory of exactly its size, so that AddressSanitizer sees a byte too many.
"""
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.accept cimport ACCEPT_JSON, ACCEPT_PROBLEM, ACCEPT_TEXT, accept_json
from tulle._fast.http.grpc cimport grpc_message_read
from tulle._fast.http.h1_parse cimport PARSE_DONE, ParseLimits, h1_message_init, h1_parse_request
from tulle._fast.http.h1_write cimport Extra, HeadEdits
from tulle._fast.http.header_case cimport header_case_title
from tulle._fast.http.json_text cimport json_text_write
from tulle._fast.http.message cimport MESSAGE_FIELDS_MAX, Message

_ACCEPTED = {ACCEPT_TEXT: "text", ACCEPT_JSON: "json", ACCEPT_PROBLEM: "problem"}


cdef char *exact(bytes data) except NULL:
    cdef char *copy = <char *>malloc(max(len(data), 1))
    if copy == NULL:
        raise MemoryError
    memcpy(copy, <const char *>data, len(data))
    return copy


cdef int parse(Message *message, const char *head, uint32_t length) except -1:
    cdef ParseLimits limits
    limits.head = 65536
    limits.line = 65536
    limits.fields = MESSAGE_FIELDS_MAX
    h1_message_init(message)
    if h1_parse_request(message, head, length, &limits) != PARSE_DONE:
        raise ValueError("no request")
    message.base = head
    return 0


def accepted(bytes head):
    """What a request with this head asks for: "text", "json" or "problem"."""
    cdef Message message
    cdef char *copy = exact(head)
    try:
        parse(&message, copy, <uint32_t>len(head))
        return _ACCEPTED[accept_json(&message)]
    finally:
        free(copy)


def grpc_message(bytes head, uint32_t room):
    cdef Message message
    cdef char *copy = exact(head)
    cdef char *out = <char *>malloc(max(room, 1))
    try:
        parse(&message, copy, <uint32_t>len(head))
        length = grpc_message_read(&message, out, room)
        return out[:length]
    finally:
        free(copy)
        free(out)


def json_text(bytes text, uint32_t room):
    """As a string of JSON in so many bytes, two at least."""
    cdef char *copy = exact(text)
    cdef char *out = <char *>malloc(room)
    try:
        length = json_text_write(out, room, copy, <uint32_t>len(text))
        return out[:length]
    finally:
        free(copy)
        free(out)


def titled(bytes head, list extras, bint whole):
    """A head in title case; the fields of `extras`, pairs, are the last of it."""
    cdef HeadEdits edits
    cdef Extra table[8]
    cdef char *copy = exact(head)
    cdef Py_ssize_t index
    edits.target = NULL
    edits.target_length = 0
    edits.extra_count = <uint32_t>len(extras)
    edits.extras = table
    for index, (name, value) in enumerate(extras):
        table[index].name_length = <uint32_t>len(name)
        table[index].value_length = <uint32_t>len(value)
    try:
        header_case_title(copy, <uint32_t>len(head), &edits, whole)
        return copy[:len(head)]
    finally:
        free(copy)
