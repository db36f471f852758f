"""The request target in its four forms, and what it makes of Host (RFC 9112 section 3.2)."""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.message cimport Message

# `query_mark` is the offset of the "?" in the target, or its end when there is none
cdef int target_parse(Message *message, uint32_t query_mark) noexcept nogil
# Once all fields are there: settles `authority`
cdef int target_settle_host(Message *message) noexcept nogil
