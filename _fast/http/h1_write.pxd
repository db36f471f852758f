"""HTTP/1 heads, written: our edits plus runs of untouched field lines, each run copied at once.

A field line of the source message is left out when its FIELD_DROP is set; everything else goes out byte for byte.
`Extra` fields are written after them. `h1_head_bound` tells how much room a write may need; `edits` may be NULL.
"""
from tulle._fast.base.types cimport uint16_t, uint32_t
from tulle._fast.http.message cimport Message

cdef struct Extra:
    const char *name
    const char *value
    uint32_t name_length
    uint32_t value_length

cdef struct HeadEdits:
    const char *target                 # request target to send in place of the message's; NULL: as it came
    uint32_t target_length
    uint32_t extra_count
    const Extra *extras

# `verbatim`: the fields of the message are HTTP/1 lines that lie one after the other in `base`, and so they are copied;
# else (HTTP/2) each is written as a line of its own.
cdef uint32_t h1_head_bound(const Message *message, const HeadEdits *edits, bint verbatim) noexcept nogil
# `METHOD target HTTP/1.1`, fields, extras, the empty line
cdef uint32_t h1_write_request(char *out, const Message *message, const HeadEdits *edits, bint verbatim) noexcept nogil
# `HTTP/1.1 status reason`: the reason of the message when the status is its own, else that of the RFC
cdef uint32_t h1_write_response(
    char *out, const Message *message, const HeadEdits *edits, uint16_t status, bint verbatim
) noexcept nogil
# the field lines and the empty line that ends a chunked body; the last chunk (`0` CRLF) comes before it
cdef uint32_t h1_write_trailers(char *out, const Message *message, bint verbatim) noexcept nogil
# the reason phrase of RFC 9110 section 15 for a status ("" when it has none)
cdef const char *h1_reason(uint16_t status) noexcept nogil
