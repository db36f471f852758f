"""HTTP/1 heads, parsed in place and strictly (RFC 9112, RFC 9110 section 5).

A parse resumes at the last complete line, so a head may come in any pieces; on `PARSE_MORE` call again with
the same message and more bytes at the same offsets (`base` may have moved). On any doubt about framing the
answer is an error, never a guess.
"""
from tulle._fast.base.types cimport uint8_t, uint32_t
from tulle._fast.http.message cimport Message

cdef enum Parse:
    PARSE_MORE = 0
    PARSE_DONE = 1
    # errors are negative; the text is in parse_error_text, the status in parse_error_status
    PARSE_BAD_START_LINE = -1
    PARSE_BAD_METHOD = -2
    PARSE_BAD_TARGET = -3
    PARSE_BAD_VERSION = -4             # not HTTP/x.y at all
    PARSE_UNSUPPORTED_VERSION = -5     # any HTTP/x.y but 1.0 and 1.1: 505
    PARSE_BAD_STATUS = -6
    PARSE_BAD_FIELD_NAME = -7          # also white space before the colon
    PARSE_BAD_FIELD_VALUE = -8         # bare CR or LF, NUL, other controls
    PARSE_OBS_FOLD = -9
    PARSE_BAD_LINE_END = -10
    PARSE_BAD_HOST = -11               # none in HTTP/1.1, more than one, or not a valid authority
    PARSE_BAD_CONTENT_LENGTH = -12     # not digits, overflow, several that differ (or repeat)
    PARSE_LENGTH_AND_CODING = -13      # Content-Length with Transfer-Encoding
    PARSE_BAD_TRANSFER_ENCODING = -14  # anything but one `chunked`, in HTTP/1.0, or where no body may be: 400
    PARSE_LINE_TOO_LONG = -15          # start line: 414
    PARSE_HEAD_TOO_LARGE = -16         # 431
    PARSE_TOO_MANY_FIELDS = -17        # 431
    PARSE_BAD_CHUNK = -18              # what flow reports for CHUNK_ERROR
    PARSE_BAD_TRAILER = -19            # a malformed line in the trailer section, or a field that frames
    PARSE_BAD_CONNECTION = -20         # Connection names a field that frames the message, or is malformed
    PARSE_EXPECTATION = -21            # Expect other than 100-continue: 417

cdef struct ParseLimits:
    uint32_t head                      # bytes of the whole head
    uint32_t line                      # bytes of the start line with its CRLF
    uint32_t fields                    # at most MESSAGE_FIELDS_MAX

# for a new message whose bytes begin at offset 0; the table of fields is left as it is
cdef void h1_message_init(Message *message) noexcept nogil
cdef int h1_parse_request(Message *message, const char *base, uint32_t length, const ParseLimits *limits) noexcept nogil
# `request_method` is the Method that is answered: HEAD and CONNECT change the framing (RFC 9112 section 6.3)
cdef int h1_parse_response(
    Message *message, const char *base, uint32_t length, const ParseLimits *limits, int request_method
) noexcept nogil
# field lines up to the empty line, into a message of their own; fields that a trailer section may not hold
# (RFC 9110 section 6.5.1) get FIELD_DROP
cdef int h1_parse_trailers(
    Message *message, const char *base, uint32_t length, const ParseLimits *limits
) noexcept nogil
# The Method that a token names
cdef int h1_method(const uint8_t *text, uint32_t length) noexcept nogil
cdef int parse_error_status(int error) noexcept nogil
cdef const char *parse_error_text(int error) noexcept nogil
