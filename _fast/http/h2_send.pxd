"""What streams send (RFC 9113 sections 5.2, 6.1, 8.1): heads at once, DATA as windows and output allow, in turn.

Bytes that the windows or the output do not let go are kept with their stream, so that the sender may forget them; it is
H2_BLOCKED until the stream is among the drained. Streams that wait take turns, a frame each: round robin is what the
default of RFC 9218 section 4.1 asks for among equals. Called by the owners of connections, in `flow`.
"""
from tulle._fast.base.types cimport uint16_t, uint32_t
from tulle._fast.http.h1_write cimport HeadEdits
from tulle._fast.http.h2_types cimport H2Connection, H2Stream
from tulle._fast.http.message cimport Message

cdef enum H2SendResult:
    H2_SENT = 0
    H2_BLOCKED = 1                     # kept; wait for h2c_next_drained
    H2_UNSENT = -1                     # the stream was reset, or there is no memory (and then it is reset now)

cdef struct H2Text:
    const char *text
    uint32_t length

cdef struct H2RequestLine:             # what is said by pseudo-fields (section 8.3.1)
    H2Text method
    H2Text scheme                      # absent in CONNECT, as is the path
    H2Text authority                   # may be empty: not sent
    H2Text path
    H2Text protocol                    # of an extended CONNECT (RFC 8441); else empty

# Fields with FIELD_DROP are left out, and what is of HTTP/1 alone has to have it; `edits` may be NULL, and its target
# is not looked at. `end`: the stream ends with this head
cdef int h2s_send_request(
    H2Connection *c, H2Stream *s, const H2RequestLine *line, const Message *message, const HeadEdits *edits, bint end
) noexcept nogil
# 1xx too, with `end` 0; `message` may be NULL, for an answer of the edits' fields alone
cdef int h2s_send_response(
    H2Connection *c, H2Stream *s, uint16_t status, const Message *message, const HeadEdits *edits, bint end
) noexcept nogil
# With `end` nothing follows, or with `trailers` only these
cdef int h2s_send(
    H2Connection *c, H2Stream *s, const char *data, size_t length, bint end, const Message *trailers
) noexcept nogil
# DATA of those that wait. True: there is more that could go when the output has been taken
cdef bint h2c_pump(H2Connection *c) noexcept nogil
# A stream whose bytes have all gone to the output and whose owner was H2_BLOCKED; NULL when there is none
cdef H2Stream *h2c_next_drained(H2Connection *c) noexcept nogil
