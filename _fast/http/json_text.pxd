"""A text as a string of JSON (RFC 8259 section 7), in quotes, whatever bytes it has.

What is well-formed UTF-8 stays as it is, other bytes become U+FFFD. What has no room is left out, whole characters at a
time. Pure. Called by `flow` for bodies of its own.
"""
from tulle._fast.base.types cimport uint32_t

# `room` is at least 2; answers how many bytes were written
cdef uint32_t json_text_write(char *out, uint32_t room, const char *text, uint32_t length) noexcept nogil
