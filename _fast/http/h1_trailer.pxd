"""Which fields a trailer section may not hold (RFC 9110 section 6.5.1)."""
from tulle._fast.http.message cimport Message

# Sets FIELD_DROP on routing, authentication, request modifiers, content format and what we assert ourselves;
# PARSE_BAD_TRAILER when there is a field that frames a message
cdef int trailer_check(Message *message) noexcept nogil
