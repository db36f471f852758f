"""See `h1_write.pxd` for the contract."""
from libc.string cimport memcpy, strlen
from tulle._fast.base.types cimport likely, uint16_t, uint32_t
from tulle._fast.http.message cimport VERSION_HTTP_2, Field, FieldFlags, Message

cdef enum:
    # more than the separators, the version, a status with its longest reason, and two line ends
    WRITE_FRAME_MAX = 96
    WRITE_LINE_FRAME = 4               # colon, space and CRLF


cdef inline char *write_text(char *out, const char *text, uint32_t length) noexcept nogil:
    memcpy(out, text, length)
    return out + length


cdef inline char *write_line_end(char *out) noexcept nogil:
    return write_text(out, b"\r\n", 2)


cdef char *write_line(
    char *out, const char *name, uint32_t name_length, const char *value, uint32_t value_length
) noexcept nogil:
    out = write_text(out, name, name_length)
    out = write_text(out, b": ", 2)
    out = write_text(out, value, value_length)
    return write_line_end(out)


cdef char *write_runs(char *out, const Message *message, uint32_t run) noexcept nogil:
    """Copies the bytes from offset `run` to the end of the fields, but for the lines that are dropped."""
    cdef const Field *field
    cdef uint16_t index
    for index in range(message.field_count):
        field = &message.fields[index]
        if likely(not field.flags & FieldFlags.FIELD_DROP):
            continue
        out = write_text(out, message.base + run, field.name - run)
        run = message.fields[index + 1].name if index + 1 < message.field_count else message.fields_end
    return write_text(out, message.base + run, message.fields_end - run)


cdef char *write_fields(char *out, const Message *message) noexcept nogil:
    cdef const Field *field
    cdef uint16_t index
    for index in range(message.field_count):
        field = &message.fields[index]
        if not field.flags & FieldFlags.FIELD_DROP:
            out = write_line(
                out, message.base + field.name, field.name_length, message.base + field.value, field.value_length
            )
    return out


cdef char *write_rest(char *out, const Message *message, const HeadEdits *edits, bint verbatim) noexcept nogil:
    """Everything after the start line."""
    cdef const Extra *extra
    cdef uint32_t index
    if not verbatim:
        out = write_fields(out, message)
    elif message.field_count != 0:
        out = write_runs(out, message, message.fields[0].name)
    if edits != NULL:
        for index in range(edits.extra_count):
            extra = &edits.extras[index]
            out = write_line(out, extra.name, extra.name_length, extra.value, extra.value_length)
    return write_line_end(out)


cdef uint32_t h1_head_bound(const Message *message, const HeadEdits *edits, bint verbatim) noexcept nogil:
    cdef uint32_t bound = WRITE_FRAME_MAX + message.method_length + message.target_length + message.reason_length
    cdef const Field *field
    cdef uint32_t index
    if verbatim:
        bound += message.fields_end - message.start
    else:
        for index in range(message.field_count):
            field = &message.fields[index]
            bound += field.name_length + field.value_length + WRITE_LINE_FRAME
    if edits != NULL:
        bound += edits.target_length
        for index in range(edits.extra_count):
            bound += edits.extras[index].name_length + edits.extras[index].value_length + WRITE_LINE_FRAME
    return bound


cdef uint32_t h1_write_request(
    char *out, const Message *message, const HeadEdits *edits, bint verbatim
) noexcept nogil:
    cdef char *end = write_text(out, message.base + message.method_offset, message.method_length)
    end = write_text(end, b" ", 1)
    if edits != NULL and edits.target != NULL:
        end = write_text(end, edits.target, edits.target_length)
    else:
        end = write_text(end, message.base + message.target, message.target_length)
    end = write_text(end, b" HTTP/1.1\r\n", 11)
    return <uint32_t>(write_rest(end, message, edits, verbatim) - out)


cdef uint32_t h1_write_response(
    char *out, const Message *message, const HeadEdits *edits, uint16_t status, bint verbatim
) noexcept nogil:
    cdef const char *reason
    cdef char *end = write_text(out, b"HTTP/1.1 ", 9)
    end[0] = <char>(c'0' + status // 100)
    end[1] = <char>(c'0' + status // 10 % 10)
    end[2] = <char>(c'0' + status % 10)
    end[3] = c' '
    if status == message.status and message.version_minor != VERSION_HTTP_2:
        end = write_text(end + 4, message.base + message.reason, message.reason_length)
    else:
        reason = h1_reason(status)
        end = write_text(end + 4, reason, <uint32_t>strlen(reason))
    end = write_line_end(end)
    return <uint32_t>(write_rest(end, message, edits, verbatim) - out)


cdef uint32_t h1_write_trailers(char *out, const Message *message, bint verbatim) noexcept nogil:
    return <uint32_t>(write_rest(out, message, NULL, verbatim) - out)


cdef extern from *:
    """
    static const char *const tulle_reasons[] = {
        [100] = "Continue", [101] = "Switching Protocols",
        [200] = "OK", [201] = "Created", [202] = "Accepted", [203] = "Non-Authoritative Information",
        [204] = "No Content", [205] = "Reset Content", [206] = "Partial Content",
        [300] = "Multiple Choices", [301] = "Moved Permanently", [302] = "Found", [303] = "See Other",
        [304] = "Not Modified", [305] = "Use Proxy", [307] = "Temporary Redirect", [308] = "Permanent Redirect",
        [400] = "Bad Request", [401] = "Unauthorized", [402] = "Payment Required", [403] = "Forbidden",
        [404] = "Not Found", [405] = "Method Not Allowed", [406] = "Not Acceptable",
        [407] = "Proxy Authentication Required", [408] = "Request Timeout", [409] = "Conflict", [410] = "Gone",
        [411] = "Length Required", [412] = "Precondition Failed", [413] = "Content Too Large",
        [414] = "URI Too Long", [415] = "Unsupported Media Type", [416] = "Range Not Satisfiable",
        [417] = "Expectation Failed", [421] = "Misdirected Request", [422] = "Unprocessable Content",
        [426] = "Upgrade Required", [428] = "Precondition Required", [429] = "Too Many Requests",
        [431] = "Request Header Fields Too Large",
        [500] = "Internal Server Error", [501] = "Not Implemented", [502] = "Bad Gateway",
        [503] = "Service Unavailable", [504] = "Gateway Timeout", [505] = "HTTP Version Not Supported",
        [511] = "Network Authentication Required",
    };
    #define TULLE_REASONS (sizeof tulle_reasons / sizeof tulle_reasons[0])
    """
    const char *const *tulle_reasons
    const uint16_t TULLE_REASONS


cdef const char *h1_reason(uint16_t status) noexcept nogil:
    if status >= TULLE_REASONS or tulle_reasons[status] == NULL:
        return b""
    return tulle_reasons[status]
