"""See `h2_connection.pxd` for the contract. Sections are those of RFC 9113."""
from libc.string cimport memcmp, memset

from tulle._fast.base.buf cimport Buf, buf_length, buf_unref
from tulle._fast.base.list cimport list_init, list_remove
from tulle._fast.base.types cimport likely, uint8_t, unlikely
from tulle._fast.http.h2_abuse cimport PURSE_CONTROL, PURSE_ERROR, PURSE_RESET, abuse_init, abuse_pay
from tulle._fast.http.h2_block cimport (
    h2_block_begin, h2_block_discard, h2_block_drop, h2_block_more, h2_block_request, h2_block_response,
    h2_block_trailers,
)
from tulle._fast.http.h2_frame cimport (
    FRAME_CONTINUATION, FRAME_DATA, FRAME_END_HEADERS, FRAME_END_STREAM, FRAME_ACK, FRAME_GOAWAY, FRAME_HEAD,
    FRAME_HEADERS, FRAME_PADDED, FRAME_PAYLOAD_LEAST, FRAME_PING, FRAME_PRIORITISED, FRAME_PRIORITY, FRAME_RST_STREAM,
    FRAME_SETTINGS, FRAME_WINDOW_UPDATE, H2_ENHANCE_YOUR_CALM, H2_FLOW_CONTROL_ERROR, H2_INTERNAL_ERROR,
    H2_NO_ERROR, H2_PROTOCOL_ERROR, H2_REFUSED_STREAM, H2_STREAM_CLOSED, PREFACE_LENGTH, WINDOW_MOST, Frame,
    frame_check, frame_margins, frame_number, frame_preface, frame_read_head,
)
from tulle._fast.http.h2_output cimport (
    h2_out_goaway, h2_out_gone, h2_out_opening, h2_out_ping, h2_out_reset,
)
from tulle._fast.http.h2_settings cimport h2_settings_acknowledged, h2_settings_take
from tulle._fast.http.h2_stream cimport (
    h2_is_idle, h2_is_peers, h2_note_reset, h2_queue_add, h2_table_destroy, h2_table_init, h2_was_reset, h2s_closing,
    h2s_find, h2s_free, h2s_may_send, h2s_new,
)
from tulle._fast.http.h2_types cimport (
    H2_ALIVE, H2_BODY, H2_CLIENT, H2_CLOSED, H2_FAILED, H2_GOAWAY, H2_NOTHING, H2_PONG, H2_SERVER, H2_SETTINGS,
    H2C_ASKED, H2C_FAILED, H2C_GOAWAY_SEEN, H2C_GOAWAY_SENT, H2C_PINGED, H2C_PREFACE_SEEN, H2C_SETTINGS_SEEN,
    H2C_SHUTDOWN_SENT, H2S_CLOSED, H2S_COUNTED, H2S_HEAD_SEEN, H2S_LENGTH, H2S_REMOTE_DONE, H2S_RESET,
)
from tulle._fast.http.h2_window cimport h2_window_charge, h2_window_probed, h2_window_return
from tulle._fast.http.hpack_decode cimport hpack_decoder_init
from tulle._fast.http.hpack_encode cimport HpackLookup, hpack_encoder_init

cdef enum:
    WINDOW_DEFAULT = 65535             # section 6.9.2
    STREAMS_DEFAULT = 100              # that we open before the peer has said how many it takes


cdef int h2c_init(
    H2Connection *c, int role, BufPool *bufs, Slab *streams, Slab *messages, const HpackLookup *lookup,
    const H2Limits *limits, uint64_t now, uint64_t *malformed, uint64_t *calmed
) noexcept nogil:
    memset(c, 0, sizeof(H2Connection))
    c.role = <uint8_t>role
    c.bufs = bufs
    c.streams_slab = streams
    c.messages_slab = messages
    c.malformed = malformed
    c.calmed = calmed
    c.limits = limits[0]
    c.now = now
    list_init(&c.senders)
    list_init(&c.drained)
    abuse_init(&c.abuse, now)
    hpack_decoder_init(&c.decoder)
    hpack_encoder_init(&c.encoder, lookup)
    c.next_own = 1 if role == H2_CLIENT else 2
    c.peer_frame = FRAME_PAYLOAD_LEAST
    c.peer_window = WINDOW_DEFAULT
    c.peer_max_streams = STREAMS_DEFAULT
    c.send_window = WINDOW_DEFAULT
    c.receive_window = WINDOW_DEFAULT
    if c.limits.connection_window < WINDOW_DEFAULT:
        c.limits.connection_window = WINDOW_DEFAULT
    c.window_size = c.limits.connection_window
    c.connection_goal = c.limits.connection_window
    c.window_goal = c.limits.window
    if h2_table_init(c) < 0:
        return -1
    h2_out_opening(c)
    return -1 if c.flags & H2C_FAILED else 0


cdef void h2c_destroy(H2Connection *c) noexcept nogil:
    h2_block_drop(c)
    h2_table_destroy(c)
    h2_out_gone(c, c.out_bytes)


# -- errors and ends --------------------------------------------------------------------------------------------------

cdef void h2c_fail(H2Connection *c, uint32_t error) noexcept nogil:
    if c.flags & H2C_FAILED:
        return
    c.flags |= H2C_FAILED
    c.error = error
    if error == H2_ENHANCE_YOUR_CALM:
        c.calmed[0] += 1
    elif error != H2_NO_ERROR:
        c.malformed[0] += 1
    h2_out_goaway(c, c.last_peer, error)


cdef inline void pay(H2Connection *c, int purse) noexcept nogil:
    if unlikely(not abuse_pay(&c.abuse, purse, c.now)):
        h2c_fail(c, H2_ENHANCE_YOUR_CALM)


cdef void h2c_shutdown(H2Connection *c) noexcept nogil:
    if c.flags & (H2C_SHUTDOWN_SENT | H2C_GOAWAY_SENT | H2C_FAILED):
        return
    c.flags |= H2C_SHUTDOWN_SENT
    h2_out_goaway(c, WINDOW_MOST, H2_NO_ERROR)
    h2c_ping(c)


cdef void h2c_shut(H2Connection *c) noexcept nogil:
    if c.flags & (H2C_GOAWAY_SENT | H2C_FAILED):
        return
    c.flags |= H2C_GOAWAY_SENT
    h2_out_goaway(c, c.last_peer, H2_NO_ERROR)


cdef inline const char *ping_text() noexcept nogil:
    return b"tulle-up"


cdef inline const char *ask_text() noexcept nogil:
    return b"tulle-on"


cdef void h2c_ping(H2Connection *c) noexcept nogil:
    c.flags |= H2C_PINGED
    h2_out_ping(c, False, ping_text())


cdef void h2c_ask(H2Connection *c) noexcept nogil:
    c.flags |= H2C_ASKED
    h2_out_ping(c, False, ask_text())


cdef void h2s_reset(H2Connection *c, H2Stream *s, uint32_t error) noexcept nogil:
    if s.flags & H2S_RESET or s.flags & H2S_CLOSED == H2S_CLOSED:
        return
    s.flags |= H2S_RESET
    list_remove(&s.sending)
    list_remove(&s.drained)
    if not h2_is_idle(c, s.id):
        h2_out_reset(c, s.id, error)
        h2_note_reset(c, s.id)
    h2s_closing(c, s)


cdef void h2s_leave(H2Connection *c, H2Stream *s, uint32_t error) noexcept nogil:
    s.owner = NULL
    s.piece_length = 0
    if c.buckets == NULL:
        return
    if not c.flags & H2C_FAILED:
        h2s_reset(c, s, error)
        if s.receive_bytes:
            h2_window_return(c, NULL, s.receive_bytes)
    s.flags |= H2S_RESET
    h2s_closing(c, s)
    h2s_free(c, s)


cdef void stream_error(H2Connection *c, uint32_t id, H2Stream *s, uint32_t error, H2Event *event) noexcept nogil:
    """Of the peer: RST_STREAM, and the owner is told."""
    c.malformed[0] += 1
    pay(c, PURSE_ERROR)
    if s == NULL:
        if h2_is_idle(c, id):
            h2c_fail(c, error)         # nothing can be reset that never was
            return
        h2_out_reset(c, id, error)
        h2_note_reset(c, id)
        return
    h2s_reset(c, s, error)
    tell_closed(c, s, error, True, event)


cdef void tell_closed(H2Connection *c, H2Stream *s, uint32_t error, bint ours, H2Event *event) noexcept nogil:
    s.flags |= H2S_RESET
    list_remove(&s.sending)
    list_remove(&s.drained)
    h2s_closing(c, s)
    if s.owner == NULL:
        h2s_free(c, s)
        return
    event.kind = H2_CLOSED
    event.stream = s
    event.error = error
    event.ours = ours


# -- DATA (section 6.1) -----------------------------------------------------------------------------------------------

cdef void data_begin(H2Connection *c, const Frame *frame, const char *payload, H2Event *event) noexcept nogil:
    """Its head, and if it is padded the length of that, are here: whose is it, and may it come?"""
    cdef H2Stream *s = h2s_find(c, frame.stream)
    cdef uint32_t before, behind
    cdef uint32_t error = 0
    cdef int charged
    if unlikely(not frame_margins(frame, <uint8_t>payload[0] if frame.flags & FRAME_PADDED else 0, &before, &behind)):
        h2c_fail(c, H2_PROTOCOL_ERROR)
        return
    if unlikely(s == NULL and h2_is_idle(c, frame.stream)):
        h2c_fail(c, H2_PROTOCOL_ERROR)
        return
    if unlikely(frame.length == before + behind and not frame.flags & FRAME_END_STREAM):
        pay(c, PURSE_CONTROL)          # moves nothing
    if s != NULL and s.flags & H2S_RESET:
        s = NULL
    elif s != NULL and s.flags & H2S_REMOTE_DONE:
        error = H2_STREAM_CLOSED
    elif s == NULL and not h2_was_reset(c, frame.stream):
        error = H2_STREAM_CLOSED
    elif s != NULL and not s.flags & H2S_HEAD_SEEN:
        error = H2_PROTOCOL_ERROR      # before the head of the answer (section 8.1)
    charged = h2_window_charge(c, s if error == 0 else NULL, frame.length)
    if unlikely(charged > 0):
        h2c_fail(c, <uint32_t>charged)
        return
    if unlikely(charged < 0):
        error = <uint32_t>-charged
    if likely(error == 0 and s != NULL) and s.flags & H2S_LENGTH:
        if unlikely(frame.length - before - behind > s.expected):
            error = H2_PROTOCOL_ERROR  # more than content-length said (section 8.1.1)
        else:
            s.expected -= frame.length - before - behind
            if unlikely(frame.flags & FRAME_END_STREAM and s.expected != 0):
                error = H2_PROTOCOL_ERROR
    c.in_data = 1
    c.data_left = frame.length - before - behind
    c.padding_left = behind
    c.data_end = frame.flags & FRAME_END_STREAM != 0
    c.data_stream = s
    if unlikely(error != 0):
        c.data_stream = NULL
        h2_window_return(c, NULL, before)
        stream_error(c, frame.stream, s, error, event)
        return
    if before != 0:
        h2_window_return(c, s, before)


cdef uint32_t data_go_on(H2Connection *c, const char *data, uint32_t length, H2Event *event) noexcept nogil:
    """The bytes of a DATA frame that are here; one event at most."""
    cdef uint32_t part = length if length < c.data_left else c.data_left
    cdef uint32_t padding
    cdef H2Stream *s = c.data_stream
    if unlikely(s != NULL and s.flags & H2S_RESET):
        s = NULL
        c.data_stream = NULL
    c.data_left -= part
    if s == NULL and part:
        h2_window_return(c, NULL, part)
    padding = length - part if length - part < c.padding_left else c.padding_left
    if c.data_left == 0 and padding:
        c.padding_left -= padding
        h2_window_return(c, s, padding)
    else:
        padding = 0
    if c.data_left == 0 and c.padding_left == 0:
        c.in_data = 0
        c.data_stream = NULL
    if s == NULL:
        return part + padding
    event.end = not c.in_data and c.data_end
    if part == 0 and not event.end:
        return padding
    if event.end:
        s.flags |= H2S_REMOTE_DONE
        h2s_closing(c, s)
    event.kind = H2_BODY
    event.stream = s
    event.data = data
    event.length = part
    s.piece = data
    s.piece_length = part
    return part + padding


cdef uint32_t h2s_read(H2Connection *c, H2Stream *s, const char **data) noexcept nogil:
    cdef Buf *buf
    cdef uint32_t length
    if s.given != NULL:
        buf_unref(c.bufs, s.given)
        s.given = NULL
    buf = s.receive_first
    if buf != NULL:
        s.receive_first = buf.next
        if buf.next == NULL:
            s.receive_last = NULL
        s.given = buf
        data[0] = buf.data + buf.start
        length = buf_length(buf)
        s.receive_bytes -= length
    else:
        data[0] = s.piece
        length = s.piece_length
        s.piece_length = 0
    if length:
        h2_window_return(c, s, length)
    return length


cdef bint h2s_keep(H2Connection *c, H2Stream *s) noexcept nogil:
    cdef uint32_t length = s.piece_length
    if length == 0:
        return True
    s.piece_length = 0
    if likely(h2_queue_add(c.bufs, &s.receive_first, &s.receive_last, s.piece, length)):
        s.receive_bytes += length
        return True
    h2s_reset(c, s, H2_INTERNAL_ERROR)
    return False


# -- streams ----------------------------------------------------------------------------------------------------------

cdef bint h2c_may_open(const H2Connection *c) noexcept nogil:
    return (
        c.own_streams < c.peer_max_streams
        and not c.flags & (H2C_FAILED | H2C_GOAWAY_SEEN | H2C_GOAWAY_SENT)
        and c.next_own < WINDOW_MOST
    )


cdef H2Stream *h2c_open(H2Connection *c) noexcept nogil:
    cdef H2Stream *s
    if unlikely(not h2c_may_open(c)):
        return NULL
    s = h2s_new(c, c.next_own)
    if unlikely(s == NULL):
        return NULL
    c.next_own += 2
    c.own_streams += 1
    s.flags = H2S_COUNTED
    return s


# -- small frames -----------------------------------------------------------------------------------------------------

cdef void take_window(H2Connection *c, const Frame *frame, const char *payload, H2Event *event) noexcept nogil:
    """Section 6.9."""
    cdef uint32_t increment = frame_number(payload) & WINDOW_MOST
    cdef H2Stream *s
    pay(c, PURSE_CONTROL)
    if frame.stream == 0:
        if unlikely(increment == 0):
            h2c_fail(c, H2_PROTOCOL_ERROR)
        elif unlikely(c.send_window + increment > WINDOW_MOST):
            h2c_fail(c, H2_FLOW_CONTROL_ERROR)
        else:
            c.send_window += increment
        return
    s = h2s_find(c, frame.stream)
    if s == NULL:
        if unlikely(h2_is_idle(c, frame.stream)):
            h2c_fail(c, H2_PROTOCOL_ERROR)
        return
    if s.flags & H2S_RESET:
        return
    if unlikely(increment == 0):
        stream_error(c, s.id, s, H2_PROTOCOL_ERROR, event)
    elif unlikely(s.send_window + increment > WINDOW_MOST):
        stream_error(c, s.id, s, H2_FLOW_CONTROL_ERROR, event)
    else:
        s.send_window += increment
        h2s_may_send(c, s)


cdef void take_reset(H2Connection *c, const Frame *frame, const char *payload, H2Event *event) noexcept nogil:
    """Section 6.4. Whoever resets what it has asked for, again and again, has us work for nothing."""
    cdef H2Stream *s = h2s_find(c, frame.stream)
    if unlikely(s == NULL and h2_is_idle(c, frame.stream)):
        h2c_fail(c, H2_PROTOCOL_ERROR)
        return
    pay(c, PURSE_RESET)
    if s == NULL or s.flags & H2S_RESET:
        return
    tell_closed(c, s, frame_number(payload), False, event)


cdef void take_ping(H2Connection *c, const Frame *frame, const char *payload, H2Event *event) noexcept nogil:
    """Section 6.7."""
    if frame.flags & FRAME_ACK:
        if h2_window_probed(c, payload):
            return
        if c.flags & H2C_PINGED and memcmp(payload, ping_text(), 8) == 0:
            c.flags &= ~<uint32_t>H2C_PINGED
            event.kind = H2_PONG
        elif c.flags & H2C_ASKED and memcmp(payload, ask_text(), 8) == 0:
            c.flags &= ~<uint32_t>H2C_ASKED
            event.kind = H2_ALIVE
        else:
            pay(c, PURSE_CONTROL)      # nobody has asked
        return
    pay(c, PURSE_CONTROL)
    h2_out_ping(c, True, payload)


cdef void take_settings(H2Connection *c, const Frame *frame, const char *payload, H2Event *event) noexcept nogil:
    """Section 6.5."""
    cdef int wrong
    if frame.flags & FRAME_ACK:
        if unlikely(c.settings_waiting == 0):
            pay(c, PURSE_CONTROL)
        h2_settings_acknowledged(c)
        return
    pay(c, PURSE_CONTROL)
    c.flags |= H2C_SETTINGS_SEEN
    wrong = h2_settings_take(c, payload, frame.length)
    if unlikely(wrong != 0):
        h2c_fail(c, <uint32_t>wrong)
        return
    event.kind = H2_SETTINGS


cdef void take_goaway(H2Connection *c, const char *payload, H2Event *event) noexcept nogil:
    """Section 6.8: the last stream may get lower, never higher."""
    cdef uint32_t last = frame_number(payload) & WINDOW_MOST
    pay(c, PURSE_CONTROL)
    if c.flags & H2C_GOAWAY_SEEN and last > c.goaway_last:
        last = c.goaway_last
    c.flags |= H2C_GOAWAY_SEEN
    c.goaway_last = last
    event.kind = H2_GOAWAY
    event.last = last
    event.error = frame_number(payload + 4)


cdef void take_priority(H2Connection *c, const Frame *frame, const char *payload, H2Event *event) noexcept nogil:
    """Deprecated (section 5.3.2); what was an error is one still."""
    pay(c, PURSE_CONTROL)
    if unlikely((frame_number(payload) & WINDOW_MOST) == frame.stream):
        stream_error(c, frame.stream, h2s_find(c, frame.stream), H2_PROTOCOL_ERROR, event)


# -- HEADERS and CONTINUATION (sections 6.2, 6.10, 8.1) ---------------------------------------------------------------

cdef void take_headers(H2Connection *c, const Frame *frame, const char *payload, H2Event *event) noexcept nogil:
    cdef uint32_t before, behind
    cdef bint own_parent = False
    if unlikely(not frame_margins(frame, <uint8_t>payload[0] if frame.flags & FRAME_PADDED else 0, &before, &behind)):
        h2c_fail(c, H2_PROTOCOL_ERROR)
        return
    if frame.flags & FRAME_PRIORITISED:
        own_parent = frame_number(payload + before - 5) & WINDOW_MOST == frame.stream
    c.block_stream = frame.stream
    c.block_end = frame.flags & FRAME_END_STREAM != 0
    c.block_bad = own_parent
    c.block_frames = 1
    payload += before
    if likely(frame.flags & FRAME_END_HEADERS):
        take_block(c, payload, frame.length - before - behind, event)
    elif not h2_block_begin(c, payload, frame.length - before - behind):
        h2c_fail(c, H2_INTERNAL_ERROR)


cdef void take_continuation(H2Connection *c, const Frame *frame, const char *payload, H2Event *event) noexcept nogil:
    if unlikely(not h2_block_more(c, payload, frame.length)):
        h2c_fail(c, H2_ENHANCE_YOUR_CALM)
        return
    if frame.flags & FRAME_END_HEADERS:
        take_block(c, c.block.data, c.block.end, event)
        h2_block_drop(c)


cdef void take_block(H2Connection *c, const char *block, uint32_t length, H2Event *event) noexcept nogil:
    """A whole field block: whose it is decides what it means, but it is decoded in any case, for HPACK's sake."""
    cdef uint32_t id = c.block_stream
    cdef H2Stream *s = h2s_find(c, id)
    cdef uint32_t error = 0
    cdef int result
    c.block_stream = 0
    if likely(s == NULL):
        if unlikely(not h2_is_idle(c, id)):
            if not h2_was_reset(c, id) and not (c.flags & H2C_GOAWAY_SENT and h2_is_peers(c, id)):
                h2c_fail(c, H2_STREAM_CLOSED)      # closed by both, and no reset of ours on its way (section 5.1)
                return
            result = h2_block_discard(c, block, length)
        elif unlikely(c.role == H2_CLIENT or not h2_is_peers(c, id)):
            h2c_fail(c, H2_PROTOCOL_ERROR)         # section 5.1.1
            return
        elif unlikely(c.flags & H2C_GOAWAY_SENT):
            result = h2_block_discard(c, block, length)
        else:
            c.last_peer = id
            result = h2_block_request(c, id, block, length, event)
    elif unlikely(s.flags & H2S_RESET):
        result = h2_block_discard(c, block, length)
    elif unlikely(s.flags & H2S_REMOTE_DONE):
        result = h2_block_discard(c, block, length)
        error = H2_STREAM_CLOSED                   # half-closed (remote)
    elif unlikely(s.flags & H2S_HEAD_SEEN and not c.block_end):
        result = h2_block_discard(c, block, length)
        error = H2_PROTOCOL_ERROR                  # trailers are the end (section 8.1)
    elif s.flags & H2S_HEAD_SEEN:
        result = h2_block_trailers(c, s, block, length, event)
    else:
        result = h2_block_response(c, s, block, length, event)
    if unlikely(result > 0):
        h2c_fail(c, <uint32_t>result)
        return
    if unlikely(result < 0):
        error = <uint32_t>-result
    if unlikely(error != 0):
        block_error(c, id, s, error, event)


cdef void block_error(H2Connection *c, uint32_t id, H2Stream *s, uint32_t error, H2Event *event) noexcept nogil:
    if s != NULL or error != H2_REFUSED_STREAM:
        stream_error(c, id, s, error, event)
        return
    # A stream too many is no mistake: the peer may not have known the limit yet
    pay(c, PURSE_ERROR)
    if not c.flags & H2C_FAILED:
        h2_out_reset(c, id, error)
        h2_note_reset(c, id)


# -- all of them ------------------------------------------------------------------------------------------------------

cdef void take_frame(H2Connection *c, const Frame *frame, const char *payload, H2Event *event) noexcept nogil:
    if frame.type == FRAME_HEADERS:
        take_headers(c, frame, payload, event)
    elif frame.type == FRAME_WINDOW_UPDATE:
        take_window(c, frame, payload, event)
    elif frame.type == FRAME_RST_STREAM:
        take_reset(c, frame, payload, event)
    elif frame.type == FRAME_SETTINGS:
        take_settings(c, frame, payload, event)
    elif frame.type == FRAME_PING:
        take_ping(c, frame, payload, event)
    elif frame.type == FRAME_GOAWAY:
        take_goaway(c, payload, event)
    elif frame.type == FRAME_CONTINUATION:
        take_continuation(c, frame, payload, event)
    elif frame.type == FRAME_PRIORITY:
        take_priority(c, frame, payload, event)
    else:
        pay(c, PURSE_CONTROL)          # unknown ones are to be ignored (section 5.5)


cdef bint frame_allowed(H2Connection *c, const Frame *frame) noexcept nogil:
    """What the state of the connection wants next."""
    cdef bint goes_on = frame.type == FRAME_CONTINUATION
    if unlikely(c.block_stream != 0):
        return goes_on and frame.stream == c.block_stream          # section 6.10
    if unlikely(not c.flags & H2C_SETTINGS_SEEN):
        return frame.type == FRAME_SETTINGS and not frame.flags & FRAME_ACK        # section 3.4
    return not goes_on


cdef uint32_t take_preface(H2Connection *c, const char *data, uint32_t length) noexcept nogil:
    cdef uint32_t part = length if length < PREFACE_LENGTH else <uint32_t>PREFACE_LENGTH
    if memcmp(data, frame_preface(), part) != 0:
        h2c_fail(c, H2_PROTOCOL_ERROR)
    elif part == PREFACE_LENGTH:
        c.flags |= H2C_PREFACE_SEEN
        return part
    return 0


cdef uint32_t h2c_receive(H2Connection *c, const char *data, uint32_t length, H2Event *event) noexcept nogil:
    cdef Frame frame
    cdef uint32_t used = 0
    cdef uint32_t whole
    cdef int wrong
    event.kind = H2_NOTHING
    event.error = 0
    event.ours = 0
    event.end = 0
    if unlikely(c.role == H2_SERVER and not c.flags & H2C_PREFACE_SEEN):
        used = take_preface(c, data, length)
        if used == 0 and not c.flags & H2C_FAILED:
            return 0
    while event.kind == H2_NOTHING and not c.flags & H2C_FAILED:
        if c.in_data:
            if used == length and (c.data_left or c.padding_left):
                return used
            used += data_go_on(c, data + used, length - used, event)
            continue
        if length - used < FRAME_HEAD:
            return used
        frame_read_head(&frame, data + used)
        if unlikely(not frame_allowed(c, &frame)):
            h2c_fail(c, H2_PROTOCOL_ERROR)
            break
        wrong = frame_check(&frame, FRAME_PAYLOAD_LEAST)
        if unlikely(wrong > 0):
            h2c_fail(c, <uint32_t>wrong)
            break
        if frame.type == FRAME_DATA:
            whole = 1 if frame.flags & FRAME_PADDED else 0
            if length - used < FRAME_HEAD + whole:
                return used
            data_begin(c, &frame, data + used + FRAME_HEAD, event)
            used += FRAME_HEAD + whole
            continue
        whole = FRAME_HEAD + frame.length
        if length - used < whole:
            return used
        if unlikely(wrong < 0):
            stream_error(c, frame.stream, h2s_find(c, frame.stream), <uint32_t>-wrong, event)
        else:
            take_frame(c, &frame, data + used + FRAME_HEAD, event)
        used += whole
    if unlikely(c.flags & H2C_FAILED) and event.kind == H2_NOTHING:
        event.kind = H2_FAILED
        event.error = c.error
    return used
