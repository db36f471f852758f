"""Names of fields as old implementations of HTTP/1 expect them: Content-Type, X-Request-Id.

A letter that begins a name, or follows what is neither letter nor digit, becomes a capital; all others stay as they
are, so that a name with capitals of its own keeps them. In HTTP/2 names have none (RFC 9113 section 8.2), and for
HTTP/1 they mean nothing (RFC 9110 section 5.1). Called by both sides of HTTP/1, where it is configured.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.h1_write cimport HeadEdits

# A head that h1_write has written, with `edits`: all its names, or only those of the fields that we have added
cdef void header_case_title(char *head, uint32_t length, const HeadEdits *edits, bint whole) noexcept nogil
