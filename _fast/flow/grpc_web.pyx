"""See `grpc_web.pxd`. Base64 is that of RFC 4648 section 4; a text may consist of several, each with its padding."""
from libc.string cimport memcpy, memset

from tulle._fast.base.buf cimport buf_get, buf_unref
from tulle._fast.base.types cimport uint64_t, unlikely
from tulle._fast.flow.grpc cimport grpc_begin
from tulle._fast.flow.head_edits cimport extra_add, field_drop
from tulle._fast.flow.types cimport (
    BODY_DATA, BODY_END, BODY_ERROR, SEND_END, SEND_HEAD, X_ANSWER_FIELDS, X_GRPC_WEB,
)
from tulle._fast.http.base64 cimport base64_write
from tulle._fast.http.message cimport (
    FIELD_DROP, FRAMING_CHUNKED, FRAMING_LENGTH, MESSAGE_TE_TRAILERS, METHOD_POST, Field, Message, message_at,
)
from tulle._fast.http.named cimport named_first
from tulle._fast.http.octet cimport octets_same
from tulle._fast.net.conn cimport CONN_BLOCKED, CONN_DONE, CONN_ERROR, Conn

cdef enum:
    TRAILERS_FRAME = 0x80
    PREFIX = 5                         # flags and length of a frame
    BAD = 255


cdef inline WebCall *web_of(const Exchange *x) noexcept nogil:
    return <WebCall *>x.server_ops


cdef inline char *room_of(WebCall *web) noexcept nogil:
    return web.buf.data + sizeof(WebCall)


cdef inline uint32_t room_size(const WebCall *web) noexcept nogil:
    return web.buf.capacity - <uint32_t>sizeof(WebCall)


# -- beginning --------------------------------------------------------------------------------------------------------

cdef bint is_web(const Message *message, const char **kind, uint32_t *length, bint *text) noexcept nogil:
    """Whether it is such a call; then what follows `application/grpc-web` or `application/grpc-web-text`."""
    cdef const Field *field
    cdef uint32_t known = 20
    if message.method != METHOD_POST:
        return False
    field = named_first(message, b"content-type", 12)
    if field == NULL or field.value_length < known or field.value_length > 64:
        return False
    kind[0] = message_at(message, field.value)
    if not octets_same(<const uint8_t *>kind[0], b"application/grpc-web", known):
        return False
    text[0] = field.value_length >= known + 5 and octets_same(<const uint8_t *>kind[0] + known, b"-text", 5)
    if text[0]:
        known += 5
    if field.value_length > known and kind[0][known] != c'+' and kind[0][known] != c';':
        return False
    kind[0] += known
    length[0] = field.value_length - known
    return True


cdef bint grpc_web_begin(Exchange *x) noexcept nogil:
    cdef const char *suffix = NULL
    cdef uint32_t length = 0
    cdef bint text = False
    cdef WebCall *web
    cdef Buf *buf
    if not is_web(x.request, &suffix, &length, &text):
        return True
    buf = buf_get(&x.worker.bufs, False)
    if unlikely(buf == NULL):
        return False
    web = <WebCall *>buf.data
    memset(web, 0, sizeof(WebCall))
    web.buf = buf
    web.inner = x.server_ops
    web.text = text
    web.kind_length = 25 if text else 20
    memcpy(web.kind, b"application/grpc-web-text", web.kind_length)
    memcpy(web.kind + web.kind_length, suffix, length)
    web.kind_length += length
    web.ops = x.server_ops[0]
    web.ops.send = web_send
    web.ops.read_body = web_read_body
    web.ops.plain_sink = web_plain_sink
    web.ops.plain_source = web_plain_source
    web.ops.finished = web_finished
    x.server_ops = &web.ops
    # Its length is another, or none: what is forwarded goes by what comes
    if x.request.framing == FRAMING_LENGTH:
        x.request.framing = FRAMING_CHUNKED
    x.flags |= X_GRPC_WEB | X_ANSWER_FIELDS
    grpc_begin(x)
    return True


cdef void web_finished(Exchange *x, bint keep, bint cut) noexcept nogil:
    cdef WebCall *web = web_of(x)
    cdef const ServerOps *inner = web.inner
    cdef Buf *buf = web.buf
    if web.decoded != NULL:
        buf_unref(&x.worker.bufs, web.decoded)
    x.server_ops = inner
    buf_unref(&x.worker.bufs, buf)
    inner.finished(x, keep, cut)


cdef Conn *web_plain_sink(Exchange *x) noexcept nogil:
    return NULL


cdef Conn *web_plain_source(Exchange *x, uint64_t **remaining) noexcept nogil:
    return NULL


# -- heads ------------------------------------------------------------------------------------------------------------

cdef void grpc_web_request_fields(Exchange *x, uint32_t *count) noexcept nogil:
    cdef WebCall *web = web_of(x)
    cdef uint32_t known = 25 if web.text else 20
    cdef char *kind = x.worker.field_text[1]
    memcpy(kind, b"application/grpc", 16)
    memcpy(kind + 16, web.kind + known, web.kind_length - known)
    field_drop(x.request, b"content-type", 12)
    field_drop(x.request, b"content-length", 14)
    extra_add(x.worker, count, b"content-type", 12, kind, 16 + web.kind_length - known)
    if not x.request.flags & MESSAGE_TE_TRAILERS:
        extra_add(x.worker, count, b"te", 2, b"trailers", 8)


cdef void grpc_web_answer_fields(Exchange *x, uint32_t *count) noexcept nogil:
    cdef WebCall *web = web_of(x)
    cdef Message *answer = <Message *>x.response
    if answer == NULL:
        return                         # one of ours says it itself
    field_drop(answer, b"content-type", 12)
    field_drop(answer, b"content-length", 14)
    if answer.framing == FRAMING_LENGTH:
        answer.framing = FRAMING_CHUNKED
    extra_add(x.worker, count, b"content-type", 12, web.kind, web.kind_length)


cdef const char *grpc_web_kind(const Exchange *x, uint32_t *length) noexcept nogil:
    cdef WebCall *web = web_of(x)
    length[0] = web.kind_length
    return web.kind


# -- the request ------------------------------------------------------------------------------------------------------

cdef uint8_t value_of(uint8_t octet) noexcept nogil:
    if c'A' <= octet <= c'Z':
        return octet - c'A'
    if c'a' <= octet <= c'z':
        return octet - c'a' + 26
    if c'0' <= octet <= c'9':
        return octet - c'0' + 52
    if octet == c'+':
        return 62
    if octet == c'/':
        return 63
    return BAD


cdef int quad_decode(WebCall *web, uint8_t *out) noexcept nogil:
    """How many bytes it makes; below 0: it is malformed."""
    cdef uint32_t word = 0
    cdef uint32_t index
    cdef int bytes = 3
    cdef uint8_t value
    web.quad_length = 0
    for index in range(4):
        value = value_of(web.quad[index])
        if web.quad[index] == c'=' and index >= 2:
            bytes -= 1
            value = 0
        elif value == BAD or bytes < 3:
            return -1
        word = word << 6 | value
    out[0] = <uint8_t>(word >> 16)
    out[1] = <uint8_t>(word >> 8)
    out[2] = <uint8_t>word
    return bytes


cdef char *decode(Exchange *x, WebCall *web, const char *data, size_t *length) noexcept nogil:
    """The bytes of a piece of text; NULL when it is malformed, or without memory."""
    cdef char *out = room_of(web)
    cdef size_t made = 0
    cdef size_t index
    cdef int bytes
    if length[0] > room_size(web):
        if web.decoded == NULL:
            web.decoded = buf_get(&x.worker.bufs, True)
        if web.decoded == NULL or length[0] > web.decoded.capacity:
            return NULL
        out = web.decoded.data
    for index in range(length[0]):
        web.quad[web.quad_length] = <uint8_t>data[index]
        web.quad_length += 1
        if web.quad_length == 4:
            bytes = quad_decode(web, <uint8_t *>out + made)
            if bytes < 0:
                return NULL
            made += <size_t>bytes
    length[0] = made
    return out


cdef int web_read_body(Exchange *x, const char **data, size_t *length) noexcept nogil:
    cdef WebCall *web = web_of(x)
    cdef int result = BODY_DATA
    while result == BODY_DATA and length[0] == 0:
        result = web.inner.read_body(x, data, length)
        if not web.text or result < 0 or length[0] == 0:
            break
        data[0] = decode(x, web, data[0], length)
        if data[0] == NULL:
            length[0] = 0
            return BODY_ERROR
    if result == BODY_END and web.quad_length != 0:
        return BODY_ERROR
    return result


# -- the answer -------------------------------------------------------------------------------------------------------

cdef int pass_bytes(Exchange *x, WebCall *web, uint32_t flags, const char *data, size_t length) noexcept nogil:
    """To the connection, as they are or as text: padded, whatever follows, for a client has to be able to read what
    has come.
    """
    cdef size_t most = room_size(web) // 4 * 3
    cdef size_t piece
    cdef uint32_t made
    cdef int result = CONN_DONE
    cdef int sent
    if not web.text:
        return web.inner.send(x, flags, data, length)
    while True:
        piece = length if length < most else most
        made = base64_write(room_of(web), <const uint8_t *>data, piece)
        data += piece
        length -= piece
        sent = web.inner.send(x, flags if length == 0 else flags & ~<uint32_t>SEND_END, room_of(web), made)
        if sent < 0:
            return sent
        if sent == CONN_BLOCKED:
            result = CONN_BLOCKED      # it keeps what it is given
        flags &= ~<uint32_t>SEND_HEAD
        if length == 0:
            return result


cdef uint32_t trailers_frame(const Message *trailers, char *out, uint32_t room) noexcept nogil:
    """A frame with the lines of a head of HTTP/1, names in lower case; its length, 0 when there is no room."""
    cdef const Field *field
    cdef uint32_t at = PREFIX
    cdef uint32_t index, letter
    cdef uint8_t octet
    for index in range(trailers.field_count):
        field = &trailers.fields[index]
        if field.flags & FIELD_DROP:
            continue
        if at + field.name_length + field.value_length + 4 > room:
            return 0
        for letter in range(field.name_length):
            octet = <uint8_t>message_at(trailers, field.name)[letter]
            out[at + letter] = <char>(octet | 0x20 if c'A' <= octet <= c'Z' else octet)
        at += field.name_length
        memcpy(out + at, b":", 1)
        memcpy(out + at + 1, message_at(trailers, field.value), field.value_length)
        memcpy(out + at + 1 + field.value_length, b"\r\n", 2)
        at += field.value_length + 3
    out[0] = <char>TRAILERS_FRAME
    for index in range(4):
        out[1 + index] = <char>((at - PREFIX) >> (24 - 8 * index) & 255)
    return at


cdef int web_send(Exchange *x, uint32_t flags, const char *data, size_t length) noexcept nogil:
    cdef WebCall *web = web_of(x)
    cdef const Message *trailers = x.trailers
    cdef Buf *buf
    cdef uint32_t frame
    cdef int result, sent
    if not flags & SEND_END or trailers == NULL:
        return pass_bytes(x, web, flags, data, length)
    buf = buf_get(&x.worker.bufs, True)
    if unlikely(buf == NULL):
        return CONN_ERROR
    x.trailers = NULL
    frame = trailers_frame(trailers, buf.data, buf.capacity)
    result = CONN_DONE
    if length != 0 or flags & SEND_HEAD:
        result = pass_bytes(x, web, flags & ~<uint32_t>SEND_END, data, length)
    if result >= 0:
        sent = CONN_ERROR if frame == 0 else pass_bytes(x, web, SEND_END, buf.data, frame)
        result = sent if sent < 0 or result == CONN_DONE else result
    buf_unref(&x.worker.bufs, buf)
    return result
