"""Dates as HTTP sends them, and the field `Retry-After` that may hold one (RFC 9110 sections 5.6.7 and 10.2.3)."""
from tulle._fast.base.types cimport int64_t, uint32_t, uint64_t
from tulle._fast.http.message cimport Message

cdef enum:
    DATE_NONE = -1

# Seconds since 1970 of any of the three forms, DATE_NONE when it is none of them or before 1970. GMT, as HTTP has it
cdef int64_t http_date_parse(const char *text, uint32_t length) noexcept nogil
# How many seconds its sender asks to be left alone, `wall` being the time in seconds since 1970; 0 for a time that is
# past, DATE_NONE without the field or when it is malformed or there twice
cdef int64_t retry_after_seconds(const Message *message, uint64_t wall) noexcept nogil
