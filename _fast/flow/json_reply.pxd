"""Errors as JSON, for clients that ask for it and for those that come to a service of gRPC and do not speak it.

One object a body: `status`, `message`, `flags`, `request_id` where there is one; on a route to services of gRPC `code`
and `name`, which a gRPC client would have got; in a problem of RFC 9457 also its `title` and `detail`.

Called by `reply`, for an answer that is an error already: nothing else pays for it.
"""
from tulle._fast.base.types cimport uint16_t, uint32_t
from tulle._fast.flow.types cimport Exchange

cdef enum:
    JSON_REPLY_ROOM = 4096             # bytes of a body
    JSON_MESSAGE = 1024                # ... of its message, at most

cdef enum JsonKind:
    JSON_NOT = 0                       # this client gets text
    JSON_PLAIN
    JSON_PROBLEM

cdef int json_reply_kind(const Exchange *x) noexcept nogil
cdef void json_reply_type(Exchange *x, int kind, uint32_t *count) noexcept nogil
# In JSON_REPLY_ROOM bytes; answers how many. `code` is a GrpcStatus, or GRPC_NONE: that which stands for the status, on
# a route to services of gRPC
cdef uint32_t json_reply_write(
    const Exchange *x, int kind, uint16_t status, int code, const char *message, uint32_t length, char *out
) noexcept nogil
