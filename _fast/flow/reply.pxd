"""Answers that the proxy gives by itself: errors with their reason, redirects, fixed responses.

An error carries `Proxy-Status` (RFC 9209) and one line of text, for a gRPC call status and message, or JSON for who
asks for it (`json_reply`); the reason also goes to the flags of log and counters.
"""
from tulle._fast.base.types cimport uint16_t, uint32_t
from tulle._fast.flow.types cimport Exchange
from tulle._fast.http.message cimport Message

# `flag` is a ResponseFlag, or -1 for none; `detail` a short text for people, NULL: the flag's own
cdef void reply_error(Exchange *x, uint16_t status, int flag, const char *detail) noexcept nogil
# The same, and `count` fields that are in the worker's extras already
cdef void reply_error_with(
    Exchange *x, uint16_t status, int flag, const char *detail, uint32_t count
) noexcept nogil
# In place of an answer that is a failed call's and nothing else (x.grpc_status), for a client that does not speak gRPC
cdef void reply_grpc_error(Exchange *x, const Message *answer) noexcept nogil
cdef void reply_redirect(Exchange *x) noexcept nogil
cdef void reply_fixed(Exchange *x) noexcept nogil
# What a flag means, in a short text for people
cdef const char *flag_detail(int flag) noexcept nogil
