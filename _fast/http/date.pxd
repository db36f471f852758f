"""Dates as HTTP writes them: IMF-fixdate (RFC 9110 section 5.6.7)."""
from tulle._fast.base.types cimport uint64_t

cdef enum:
    DATE_LENGTH = 29

# "Sun, 06 Nov 1994 08:49:37 GMT" for seconds since 1970; writes DATE_LENGTH bytes
cdef void http_date(char *out, uint64_t seconds) noexcept nogil
