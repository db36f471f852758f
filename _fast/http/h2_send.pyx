"""See `h2_send.pxd` for the contract."""
from libc.string cimport memcpy, memmove

from tulle._fast.base.buf cimport Buf, buf_get, buf_length, buf_room, buf_unref
from tulle._fast.base.list cimport Node, list_append, list_empty, list_remove
from tulle._fast.base.types cimport int64_t, likely, uint8_t, unlikely
from tulle._fast.http.h1_connection cimport CONNECTION_HOP_FIELDS
from tulle._fast.http.h2_abuse cimport PURSE_CONTROL, PURSE_RESET, abuse_earn
from tulle._fast.http.h2_frame cimport (
    FRAME_CONTINUATION, FRAME_DATA, FRAME_END_HEADERS, FRAME_END_STREAM, FRAME_HEAD, FRAME_HEADERS,
    FRAME_PAYLOAD_LEAST, H2_INTERNAL_ERROR, frame_put_head,
)
from tulle._fast.http.h2_output cimport h2_out_reset, h2_out_room, h2_out_used
from tulle._fast.http.h2_stream cimport h2_note_reset, h2_queue_add, h2s_closing, h2s_may_send
from tulle._fast.http.h2_types cimport (
    H2_OUTPUT_GOAL, H2C_FAILED, H2S_BLOCKED, H2S_END_WAITS, H2S_LOCAL_DONE, H2S_RESET,
)
from tulle._fast.http.field cimport field_id
from tulle._fast.http.hpack_encode cimport (
    HPACK_BEGIN_MOST, HPACK_FIELD_FRAME, hpack_encode_begin, hpack_encode_field, hpack_encode_pseudo,
    hpack_encode_status,
)
from tulle._fast.http.message cimport FIELD_DROP, FIELD_NEVER_INDEXED, FIELD_TE, Field, field_bit, message_at

cdef enum:
    STATIC_AUTHORITY = 1               # RFC 7541 appendix A
    STATIC_METHOD = 2
    STATIC_PATH = 4
    STATIC_SCHEME = 6
    PSEUDO_ROOM = 96                   # all of them but their values
    DATA_LEAST = 1024                  # room in a buffer that is worth a DATA frame

cdef enum:
    # What HTTP/1 is told of one hop, and HTTP/2 must not be (section 8.2.2)
    CONNECTION_SPECIFIC = CONNECTION_HOP_FIELDS & ~(1 << FIELD_TE)

cdef struct Trailer:                   # kept for later, followed by name and value
    uint32_t value_length
    uint16_t name_length
    uint8_t id
    uint8_t never


# -- heads ------------------------------------------------------------------------------------------------------------

cdef inline uint32_t fields_bound(const Message *message, const HeadEdits *edits) noexcept nogil:
    cdef uint32_t bound = HPACK_BEGIN_MOST + PSEUDO_ROOM
    cdef uint32_t index
    if message != NULL:
        # Name and value of fields that lie in a row are not more than the row
        bound += message.fields_end - message.start + message.field_count * HPACK_FIELD_FRAME
    if edits != NULL:
        for index in range(edits.extra_count):
            bound += edits.extras[index].name_length + edits.extras[index].value_length + HPACK_FIELD_FRAME
    return bound


cdef uint8_t *encode_fields(
    H2Connection *c, uint8_t *out, const Message *message, const HeadEdits *edits
) noexcept nogil:
    cdef const Field *field
    cdef uint32_t index
    cdef int id
    if message != NULL:
        for index in range(message.field_count):
            field = &message.fields[index]
            if field.flags & FIELD_DROP:
                continue
            out = hpack_encode_field(
                &c.encoder, out, field.id, message_at(message, field.name), field.name_length,
                message_at(message, field.value), field.value_length, field.flags & FIELD_NEVER_INDEXED != 0,
            )
    if edits != NULL:
        for index in range(edits.extra_count):
            id = field_id(edits.extras[index].name, edits.extras[index].name_length)
            if unlikely(field_bit(id) & CONNECTION_SPECIFIC):
                continue
            out = hpack_encode_field(
                &c.encoder, out, id, edits.extras[index].name, edits.extras[index].name_length,
                edits.extras[index].value, edits.extras[index].value_length, False,
            )
    return out


cdef uint32_t heads_of_bound(const H2Connection *c, uint32_t bound) noexcept nogil:
    """Bytes of frame heads that a block of at most that length may need."""
    return FRAME_HEAD * (bound // c.peer_frame + 1)


cdef void frame_block(
    H2Connection *c, H2Stream *s, char *begin, uint8_t *block_end, uint32_t room, bint end
) noexcept nogil:
    """Puts heads before the pieces of a block, which lies `room` behind `begin`."""
    cdef char *block = begin + room
    cdef uint32_t left = <uint32_t>(<char *>block_end - block)
    cdef uint32_t part = left if left < c.peer_frame else c.peer_frame
    cdef char *out = begin
    cdef int type = FRAME_HEADERS
    cdef int flags = FRAME_END_STREAM if end else 0
    while True:
        left -= part
        if left == 0:
            flags |= FRAME_END_HEADERS
        out = frame_put_head(out, part, type, flags, s.id)
        if out != block:
            memmove(out, block, part)
        out += part
        block += part
        if left == 0:
            break
        part = left if left < c.peer_frame else c.peer_frame
        type = FRAME_CONTINUATION
        flags = 0
    h2_out_used(c, <uint32_t>(out - begin))
    if end:
        s.flags |= H2S_LOCAL_DONE
        abuse_earn(&c.abuse, PURSE_RESET, 1)
        h2s_closing(c, s)
    abuse_earn(&c.abuse, PURSE_CONTROL, 2)


cdef int give_up(H2Connection *c, H2Stream *s) noexcept nogil:
    """There is no room for what was to be sent."""
    if not s.flags & H2S_RESET:
        s.flags |= H2S_RESET
        list_remove(&s.sending)
        list_remove(&s.drained)
        h2_out_reset(c, s.id, H2_INTERNAL_ERROR)
        h2_note_reset(c, s.id)
        h2s_closing(c, s)
    return H2_UNSENT


cdef uint8_t *encode_text(H2Connection *c, uint8_t *out, uint32_t index, const H2Text *text) noexcept nogil:
    if text.length == 0:
        return out
    return hpack_encode_pseudo(&c.encoder, out, index, text.text, text.length)


cdef int h2s_send_request(
    H2Connection *c, H2Stream *s, const H2RequestLine *line, const Message *message, const HeadEdits *edits, bint end
) noexcept nogil:
    cdef uint32_t bound = fields_bound(message, edits)
    cdef uint32_t heads
    cdef char *begin
    cdef uint8_t *out
    if unlikely(s.flags & H2S_RESET or c.flags & H2C_FAILED):
        return H2_UNSENT
    bound += (
        line.method.length + line.scheme.length + line.authority.length + line.path.length + line.protocol.length
    )
    heads = heads_of_bound(c, bound)
    begin = h2_out_room(c, heads + bound)
    if unlikely(begin == NULL):
        return give_up(c, s)
    out = hpack_encode_begin(&c.encoder, <uint8_t *>begin + heads)
    out = encode_text(c, out, STATIC_METHOD, &line.method)
    out = encode_text(c, out, STATIC_SCHEME, &line.scheme)
    out = encode_text(c, out, STATIC_AUTHORITY, &line.authority)
    out = encode_text(c, out, STATIC_PATH, &line.path)
    if unlikely(line.protocol.length != 0):
        out = hpack_encode_field(
            &c.encoder, out, 0, b":protocol", 9, line.protocol.text, line.protocol.length, False
        )
    out = encode_fields(c, out, message, edits)
    frame_block(c, s, begin, out, heads, end)
    return H2_SENT


cdef int h2s_send_response(
    H2Connection *c, H2Stream *s, uint16_t status, const Message *message, const HeadEdits *edits, bint end
) noexcept nogil:
    cdef uint32_t bound = fields_bound(message, edits)
    cdef uint32_t heads = heads_of_bound(c, bound)
    cdef char *begin
    cdef uint8_t *out
    if unlikely(s.flags & H2S_RESET or c.flags & H2C_FAILED):
        return H2_UNSENT
    begin = h2_out_room(c, heads + bound)
    if unlikely(begin == NULL):
        return give_up(c, s)
    out = hpack_encode_begin(&c.encoder, <uint8_t *>begin + heads)
    out = hpack_encode_status(&c.encoder, out, status)
    out = encode_fields(c, out, message, edits)
    frame_block(c, s, begin, out, heads, end)
    return H2_SENT


# -- trailers ---------------------------------------------------------------------------------------------------------

cdef bint trailers_keep(H2Connection *c, H2Stream *s, const Message *trailers) noexcept nogil:
    """For behind the DATA that wait: HPACK may encode them only then."""
    cdef const Field *field
    cdef Trailer trailer
    cdef uint32_t index
    cdef Buf *buf = buf_get(c.bufs, trailers.fields_end - trailers.start + trailers.field_count * 8 > 16000)
    if unlikely(buf == NULL):
        return False
    s.trailers = buf
    for index in range(trailers.field_count):
        field = &trailers.fields[index]
        if field.flags & FIELD_DROP:
            continue
        if unlikely(buf_room(buf) < sizeof(Trailer) + field.name_length + field.value_length):
            return False
        trailer.value_length = field.value_length
        trailer.name_length = field.name_length
        trailer.id = field.id
        trailer.never = field.flags & FIELD_NEVER_INDEXED != 0
        memcpy(buf.data + buf.end, &trailer, sizeof(Trailer))
        buf.end += <uint32_t>sizeof(Trailer)
        memcpy(buf.data + buf.end, message_at(trailers, field.name), field.name_length)
        buf.end += field.name_length
        memcpy(buf.data + buf.end, message_at(trailers, field.value), field.value_length)
        buf.end += field.value_length
    return True


cdef int trailers_kept_send(H2Connection *c, H2Stream *s) noexcept nogil:
    cdef uint32_t length = buf_length(s.trailers)
    cdef uint32_t bound = HPACK_BEGIN_MOST + length + length // <uint32_t>sizeof(Trailer) * HPACK_FIELD_FRAME
    cdef uint32_t heads = heads_of_bound(c, bound)
    cdef char *begin = h2_out_room(c, heads + bound)
    cdef const char *at = s.trailers.data
    cdef const char *stop = at + length
    cdef Trailer trailer
    cdef uint8_t *out
    if unlikely(begin == NULL):
        return give_up(c, s)
    out = hpack_encode_begin(&c.encoder, <uint8_t *>begin + heads)
    while at < stop:
        memcpy(&trailer, at, sizeof(Trailer))
        at += sizeof(Trailer)
        out = hpack_encode_field(
            &c.encoder, out, trailer.id, at, trailer.name_length, at + trailer.name_length, trailer.value_length,
            trailer.never != 0,
        )
        at += trailer.name_length + trailer.value_length
    frame_block(c, s, begin, out, heads, True)
    buf_unref(c.bufs, s.trailers)
    s.trailers = NULL
    return H2_SENT


cdef int trailers_send(H2Connection *c, H2Stream *s, const Message *trailers) noexcept nogil:
    cdef uint32_t bound = fields_bound(trailers, NULL)
    cdef uint32_t heads = heads_of_bound(c, bound)
    cdef char *begin = h2_out_room(c, heads + bound)
    cdef uint8_t *out
    if unlikely(begin == NULL):
        return give_up(c, s)
    out = hpack_encode_begin(&c.encoder, <uint8_t *>begin + heads)
    out = encode_fields(c, out, trailers, NULL)
    frame_block(c, s, begin, out, heads, True)
    return H2_SENT


# -- DATA -------------------------------------------------------------------------------------------------------------

cdef inline int64_t data_allowed(const H2Connection *c, const H2Stream *s, size_t length) noexcept nogil:
    """How much of it may go in one frame now."""
    cdef int64_t most = FRAME_PAYLOAD_LEAST
    if <int64_t>length < most:
        most = <int64_t>length
    if s.send_window < most:
        most = s.send_window
    if c.send_window < most:
        most = c.send_window
    return most


cdef bint data_frame(H2Connection *c, H2Stream *s, const char *data, uint32_t length, bint end) noexcept nogil:
    cdef char *out = h2_out_room(c, FRAME_HEAD + length)
    if unlikely(out == NULL):
        give_up(c, s)
        return False
    out = frame_put_head(out, length, FRAME_DATA, FRAME_END_STREAM if end else 0, s.id)
    if length:
        memcpy(out, data, length)      # an end alone has none, and perhaps no place where they would be
    h2_out_used(c, FRAME_HEAD + length)
    c.send_window -= length
    s.send_window -= length
    if length:
        abuse_earn(&c.abuse, PURSE_CONTROL, 2)
    if end:
        s.flags |= H2S_LOCAL_DONE
        abuse_earn(&c.abuse, PURSE_RESET, 1)
        h2s_closing(c, s)
    return True


cdef int h2s_send(
    H2Connection *c, H2Stream *s, const char *data, size_t length, bint end, const Message *trailers
) noexcept nogil:
    cdef bint end_here = end and trailers == NULL
    cdef int64_t part
    if unlikely(s.flags & H2S_RESET or c.flags & H2C_FAILED):
        return H2_UNSENT
    if likely(s.send_first == NULL and list_empty(&c.senders)):
        while length > 0 and c.out_bytes < H2_OUTPUT_GOAL:
            part = data_allowed(c, s, length)
            if part <= 0:
                break
            if not data_frame(c, s, data, <uint32_t>part, end_here and <size_t>part == length):
                return H2_UNSENT
            data += part
            length -= <size_t>part
    if likely(length == 0 and s.send_first == NULL):
        if not end:
            return H2_SENT
        if unlikely(trailers != NULL):
            return trailers_send(c, s, trailers)
        if not s.flags & H2S_LOCAL_DONE and not data_frame(c, s, data, 0, True):
            return H2_UNSENT
        return H2_SENT
    if unlikely(not h2_queue_add(c.bufs, &s.send_first, &s.send_last, data, length)):
        return give_up(c, s)
    s.send_bytes += <uint32_t>length
    if end:
        s.flags |= H2S_END_WAITS
        if trailers != NULL and not trailers_keep(c, s, trailers):
            return give_up(c, s)
    s.flags |= H2S_BLOCKED
    h2s_may_send(c, s)
    return H2_BLOCKED


# -- turns ------------------------------------------------------------------------------------------------------------

cdef inline H2Stream *stream_sending(Node *node) noexcept nogil:
    cdef H2Stream *null = NULL
    return <H2Stream *>(<char *>node - <size_t>&null.sending)


cdef inline H2Stream *stream_drained(Node *node) noexcept nogil:
    cdef H2Stream *null = NULL
    return <H2Stream *>(<char *>node - <size_t>&null.drained)


cdef void sent_all(H2Connection *c, H2Stream *s) noexcept nogil:
    if s.flags & H2S_END_WAITS:
        s.flags &= ~<uint32_t>H2S_END_WAITS
        if s.trailers != NULL:
            if trailers_kept_send(c, s) != H2_SENT:
                return
        elif not s.flags & H2S_LOCAL_DONE and not data_frame(c, s, NULL, 0, True):
            return
    if s.flags & H2S_BLOCKED:
        s.flags &= ~<uint32_t>H2S_BLOCKED
        list_append(&c.drained, &s.drained)


cdef void take_turn(H2Connection *c, H2Stream *s) noexcept nogil:
    """One frame of a stream, which stands in no list now."""
    cdef Buf *buf = s.send_first
    cdef uint32_t length
    cdef bint last
    if buf != NULL:
        length = <uint32_t>data_allowed(c, s, buf_length(buf))
        last = length == s.send_bytes and s.flags & H2S_END_WAITS and s.trailers == NULL
        if not data_frame(c, s, buf.data + buf.start, length, last):
            return
        s.send_bytes -= length
        buf.start += length
        if buf.start == buf.end:
            s.send_first = buf.next
            if buf.next == NULL:
                s.send_last = NULL
            buf_unref(c.bufs, buf)
    if s.send_first == NULL:
        sent_all(c, s)
    else:
        h2s_may_send(c, s)


cdef bint h2c_pump(H2Connection *c) noexcept nogil:
    cdef Node stuck
    cdef Node *node
    cdef H2Stream *s
    if likely(list_empty(&c.senders)):
        return False
    stuck.next = &stuck
    stuck.prev = &stuck
    while not list_empty(&c.senders) and c.out_bytes < H2_OUTPUT_GOAL and not c.flags & H2C_FAILED:
        s = stream_sending(c.senders.next)
        list_remove(&s.sending)
        if s.send_first != NULL and c.send_window <= 0:
            list_append(&stuck, &s.sending)        # until the connection's window opens
        else:
            take_turn(c, s)
    while not list_empty(&stuck):
        node = stuck.next
        list_remove(node)
        list_append(&c.senders, node)
    return not list_empty(&c.senders) and c.out_bytes >= H2_OUTPUT_GOAL


cdef H2Stream *h2c_next_drained(H2Connection *c) noexcept nogil:
    cdef H2Stream *s
    if likely(list_empty(&c.drained)):
        return NULL
    s = stream_drained(c.drained.next)
    list_remove(&s.drained)
    return s
