"""See `json_reply.pxd`."""
from libc.string cimport memcpy, strlen

from tulle._fast.base.decimal cimport decimal_write
from tulle._fast.base.shared cimport FLAG_COUNT
from tulle._fast.flow.head_edits cimport extra_add
from tulle._fast.flow.log_value cimport log_flag_letters
from tulle._fast.flow.types cimport X_MIRROR, X_RAW
from tulle._fast.http.accept cimport ACCEPT_PROBLEM, ACCEPT_TEXT, accept_json
from tulle._fast.http.grpc cimport GRPC_NONE, grpc_of_http, grpc_snake_name
from tulle._fast.http.h1_write cimport h1_reason
from tulle._fast.http.json_text cimport json_text_write
from tulle._fast.policy.image cimport ROUTE_GRPC

cdef enum:
    MEMBER_ROOM = 1280                 # of any value but the message: more than an escaped request id may have


cdef inline bint leads_to_grpc(const Exchange *x) noexcept nogil:
    return x.route != NULL and x.route.flags & ROUTE_GRPC


cdef int json_reply_kind(const Exchange *x) noexcept nogil:
    cdef int accepted = ACCEPT_TEXT
    if x.flags & (X_RAW | X_MIRROR):
        return JSON_NOT
    # Nothing is to be relied on of a head that was not taken
    if x.request.head_length != 0:
        accepted = accept_json(x.request)
    if accepted == ACCEPT_PROBLEM:
        return JSON_PROBLEM
    return JSON_PLAIN if accepted != ACCEPT_TEXT or leads_to_grpc(x) else JSON_NOT


cdef void json_reply_type(Exchange *x, int kind, uint32_t *count) noexcept nogil:
    if kind == JSON_PROBLEM:
        extra_add(x.worker, count, b"content-type", 12, b"application/problem+json", 24)
    else:
        extra_add(x.worker, count, b"content-type", 12, b"application/json", 16)


# -- the body ---------------------------------------------------------------------------------------------------------

cdef char *put(char *out, const char *text, uint32_t length) noexcept nogil:
    memcpy(out, text, length)
    return out + length


cdef char *put_name(char *out, const char *name) noexcept nogil:
    """Of the next member, and what stands before it."""
    if (out - 1)[0] != c'{':
        out = put(out, b",", 1)
    out = put(out, b"\"", 1)
    out = put(out, name, <uint32_t>strlen(name))
    return put(out, b"\":", 2)


cdef char *put_text(char *out, const char *name, const char *text, uint32_t length, uint32_t room) noexcept nogil:
    out = put_name(out, name)
    return out + json_text_write(out, room, text, length)


cdef char *put_number(char *out, const char *name, uint32_t number) noexcept nogil:
    out = put_name(out, name)
    return out + decimal_write(out, number)


cdef char *put_flags(char *out, uint32_t flags) noexcept nogil:
    cdef char text[128]
    cdef uint32_t length = 0
    cdef uint32_t flag, letters
    for flag in range(<uint32_t>FLAG_COUNT):
        if not flags & (<uint32_t>1 << flag) or length > 112:
            continue
        if length:
            text[length] = c','
            length += 1
        letters = <uint32_t>strlen(log_flag_letters(flag))
        memcpy(text + length, log_flag_letters(flag), letters)
        length += letters
    return put_text(out, b"flags", text, length, MEMBER_ROOM)


cdef uint32_t json_reply_write(
    const Exchange *x, int kind, uint16_t status, int code, const char *message, uint32_t length, char *out
) noexcept nogil:
    cdef char *end = out + 1
    cdef const char *title = h1_reason(status)
    out[0] = c'{'
    if kind == JSON_PROBLEM:
        end = put_text(end, b"title", title, <uint32_t>strlen(title), MEMBER_ROOM)
        end = put_text(end, b"detail", message, length, JSON_MESSAGE)
    end = put_number(end, b"status", status)
    end = put_text(end, b"message", message, length, JSON_MESSAGE)
    end = put_flags(end, x.response_flags)
    if x.request_id_length != 0:
        end = put_text(end, b"request_id", x.request_id, x.request_id_length, MEMBER_ROOM)
    if code == GRPC_NONE and leads_to_grpc(x):
        code = grpc_of_http(status)
    if code != GRPC_NONE:
        end = put_number(end, b"code", <uint32_t>code)
        end = put_text(end, b"name", grpc_snake_name(code), <uint32_t>strlen(grpc_snake_name(code)), MEMBER_ROOM)
    end = put(end, b"}\n", 2)
    return <uint32_t>(end - out)
