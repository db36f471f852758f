"""Whether a client asks for JSON (RFC 9110 section 12.5.1), of a choice between that and plain text.

It has to name a type of JSON, for `*/*` is what everybody says; and what it names for text must not be worth more to
it. Pure. Called by `flow` for errors of its own.
"""
from tulle._fast.http.message cimport Message

cdef enum AcceptJson:
    ACCEPT_TEXT = 0
    ACCEPT_JSON                        # application/json
    ACCEPT_PROBLEM                     # application/problem+json (RFC 9457)

cdef int accept_json(const Message *message) noexcept nogil
