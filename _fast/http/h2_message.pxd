"""What the parts of a decoded head mean for one another, by the strict rules of RFC 9113 section 8.

HPACK has judged names and values and put the fields into a buffer as lines of HTTP/1 (`hpack_decode`). Here a head
becomes the same `Message` that HTTP/1 gives, so that routing, edits and policies know no difference: target form, path
and query, authority, method, framing, flags. What HTTP/1 says by a field and HTTP/2 by a frame is put in as a field: an
answer that ends with its head says `content-length: 0`, an extended CONNECT (RFC 8441) becomes a GET with Upgrade.

What could be read differently by two is refused: pseudo-fields that are missing or do not belong together, a target of
another form than the method's, an authority that is none, lengths that are no plain number or contradict the end of
the stream. Called by `h2_head`.
"""
from tulle._fast.base.buf cimport Buf
from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.message cimport Message

cdef enum H2HeadResult:
    HEAD_FINE = 0
    HEAD_MALFORMED                     # a stream error of type PROTOCOL_ERROR (section 8.1.1)
    HEAD_TOO_LARGE                     # bytes or fields: 431
    HEAD_LINE_TOO_LONG                 # 414
    HEAD_EXPECTATION                   # Expect other than 100-continue: 417

# `end`: the stream ends with this head. `line_most` is the limit of what would be a request line
cdef int h2_judge_request(Message *message, Buf *buf, bint end, uint32_t line_most) noexcept nogil
# `request_method` is the Method that is answered
cdef int h2_judge_response(Message *message, Buf *buf, bint end, int request_method) noexcept nogil
cdef int h2_judge_trailers(Message *message) noexcept nogil
