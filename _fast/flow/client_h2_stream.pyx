"""See `client_h2_stream.pxd`. RFC 9113 sections 8.1 (framing), 8.3 (pseudo-fields), 8.7 (what may be repeated)."""
from libc.string cimport memset

from tulle._fast.base.buf cimport Buf, buf_unref
from tulle._fast.base.list cimport list_append, list_empty, list_init, list_remove
from tulle._fast.base.shared cimport FLAG_UPE, FLAG_UR
from tulle._fast.base.slab cimport slab_get, slab_put
from tulle._fast.base.types cimport likely, uint32_t, unlikely
from tulle._fast.flow.attempt cimport (
    HEAD_RETRY, attempt_failed, attempt_on_data, attempt_on_head, attempt_pump, attempt_retry,
)
from tulle._fast.flow.client_h2 cimport client_h2_schedule, h2_of_attempt
from tulle._fast.flow.client_h2_tunnel cimport client_h2_tunnel_line
from tulle._fast.flow.finish cimport attempt_end
from tulle._fast.flow.head_edits cimport request_edits
from tulle._fast.flow.types cimport (
    SEND_END, SEND_HEAD, X_CONNECT, X_GRPC, X_REQUEST_READ, X_SERVER_BLOCKED, X_TUNNEL, X_UPGRADE, Exchange,
)
from tulle._fast.http.h1_write cimport Extra, HeadEdits
from tulle._fast.http.h2_connection cimport h2c_open, h2s_at_end, h2s_keep, h2s_leave, h2s_read
from tulle._fast.http.h2_frame cimport H2_CANCEL, H2_REFUSED_STREAM
from tulle._fast.http.h2_send cimport H2_BLOCKED, H2_SENT, H2RequestLine, H2Text, h2s_send, h2s_send_request
from tulle._fast.http.h2_stream cimport h2s_find
from tulle._fast.http.h2_types cimport H2Stream
from tulle._fast.http.message cimport (
    FIELD_DROP, FIELD_HOST, FRAMING_TUNNEL, METHOD_CONNECT, Field, Message, message_at, message_field,
)
from tulle._fast.net.conn cimport CONN_BLOCKED, CONN_DONE, CONN_ERROR, Conn


# -- the request ------------------------------------------------------------------------------------------------------

cdef inline void set_text(H2Text *text, const char *data, uint32_t length) noexcept nogil:
    text.text = data
    text.length = length


cdef bint take_host(HeadEdits *edits, H2Text *authority) noexcept nogil:
    """A Host among the fields that we add becomes the authority, and is none of them any more."""
    cdef Extra *extra
    cdef uint32_t index, later
    for index in range(edits.extra_count):
        extra = <Extra *>&edits.extras[index]
        if extra.name_length == 4 and (
            extra.name[0] | 0x20 == c'h' and extra.name[1] | 0x20 == c'o'
            and extra.name[2] | 0x20 == c's' and extra.name[3] | 0x20 == c't'
        ):
            set_text(authority, extra.value, extra.value_length)
            # The others move up: lines of one name keep their order (RFC 9110 section 5.3)
            edits.extra_count -= 1
            for later in range(edits.extra_count - index):
                extra[later] = extra[later + 1]
            return True
    return False


cdef int send_head(Attempt *attempt, ClientH2 *h2, H2Stream *s, bint end) noexcept nogil:
    cdef Message *request = attempt.exchange.request
    cdef Field *host = <Field *>message_field(request, FIELD_HOST)
    cdef H2RequestLine line
    cdef HeadEdits edits
    cdef uint32_t kept = 0
    cdef int result
    memset(&line, 0, sizeof(line))
    if not request_edits(attempt, &edits):
        return CONN_ERROR
    set_text(&line.method, message_at(request, request.method_offset), request.method_length)
    if not take_host(&edits, &line.authority) and host != NULL:
        set_text(&line.authority, message_at(request, host.value), host.value_length)
    if likely(request.method != METHOD_CONNECT):
        set_text(&line.scheme, b"https", 5 if h2.upstream.conn.tls != NULL else 4)
        if edits.target != NULL:
            set_text(&line.path, edits.target, edits.target_length)
        else:
            set_text(&line.path, message_at(request, request.target), request.target_length)
    if unlikely(attempt.exchange.flags & X_UPGRADE):
        client_h2_tunnel_line(s, request, &line)
    if host != NULL:
        # For this one time: a further try begins with the same message
        kept = host.flags
        host.flags |= FIELD_DROP
    result = h2s_send_request(&h2.c, s, &line, request, &edits, end)
    if host != NULL:
        host.flags = kept & 0xff
    return result


cdef int call_unsent(Attempt *attempt) noexcept nogil:
    """As if the connection had gone; it is told from the loop, the caller being busy."""
    cdef ClientH2 *h2 = h2_of_attempt(attempt)
    list_remove(&attempt.waiting)
    list_append(&h2.failing, &attempt.waiting)
    client_h2_schedule(h2)
    return CONN_ERROR


cdef ClientStream *call_begin(Attempt *attempt) noexcept nogil:
    """Streams are opened in the order of their heads (section 5.1.1), and so not before."""
    cdef ClientH2 *h2 = h2_of_attempt(attempt)
    cdef ClientStream *call = <ClientStream *>slab_get(&h2.upstream.worker.h2_calls_slab)
    if unlikely(call == NULL):
        return NULL
    memset(call, 0, sizeof(ClientStream))
    call.s = h2c_open(&h2.c)
    if unlikely(call.s == NULL):
        slab_put(&h2.upstream.worker.h2_calls_slab, call)
        return NULL
    list_init(&call.ready)
    call.attempt = attempt
    call.s.owner = call
    call.s.method = attempt.exchange.method
    attempt.call = call
    return call


cdef int call_send(Attempt *attempt, uint32_t flags, const char *data, size_t length) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    cdef ClientH2 *h2 = h2_of_attempt(attempt)
    cdef ClientStream *call = <ClientStream *>attempt.call
    # A tunnel that may come about is not at its end with the head
    cdef bint end = flags & SEND_END != 0 and (likely(not x.flags & (X_CONNECT | X_UPGRADE)) or x.flags & X_TUNNEL)
    cdef bint end_of_head = end and length == 0 and x.trailers == NULL
    cdef int result
    client_h2_schedule(h2)
    if flags & SEND_HEAD:
        call = call_begin(attempt)
        if unlikely(call == NULL):
            return call_unsent(attempt)
        if unlikely(send_head(attempt, h2, call.s, end_of_head) != H2_SENT):
            return call_unsent(attempt)
        attempt.delivered = 1
        if end_of_head or (length == 0 and not end):
            return CONN_DONE
    if unlikely(call == NULL):
        return CONN_ERROR
    result = h2s_send(&h2.c, call.s, data, length, end, x.trailers)
    if likely(result == H2_SENT):
        return CONN_DONE
    return CONN_BLOCKED if result == H2_BLOCKED else call_unsent(attempt)


cdef Conn *call_plain_sink(Attempt *attempt) noexcept nogil:
    return NULL


cdef void call_resume(Attempt *attempt) noexcept nogil:
    """The exchange is in the middle of something: what waits here is delivered from the loop."""
    cdef ClientStream *call = <ClientStream *>attempt.call
    if call == NULL:
        return
    list_remove(&call.ready)
    list_append(&h2_of_attempt(attempt).ready, &call.ready)
    client_h2_schedule(h2_of_attempt(attempt))


cdef void stream_let_go(Attempt *attempt, uint32_t error) noexcept nogil:
    cdef ClientH2 *h2 = h2_of_attempt(attempt)
    cdef ClientStream *call = <ClientStream *>attempt.call
    cdef Worker *worker = h2.upstream.worker
    list_remove(&attempt.waiting)
    if likely(call != NULL):
        list_remove(&call.ready)
        h2s_leave(&h2.c, call.s, error)
        if unlikely(call.response != NULL):
            slab_put(&worker.messages_slab, call.response)
            buf_unref(&worker.bufs, call.response_buf)
        if unlikely(call.trailers != NULL):
            slab_put(&worker.messages_slab, call.trailers)
            buf_unref(&worker.bufs, call.trailers_buf)
        slab_put(&worker.h2_calls_slab, call)
        attempt.call = NULL
    attempt.upstream = NULL
    h2.attempts -= 1
    client_h2_schedule(h2)


cdef void call_cancel(Attempt *attempt) noexcept nogil:
    stream_let_go(attempt, H2_CANCEL)


# -- the answer -------------------------------------------------------------------------------------------------------

cdef inline void give_back(Worker *worker, Message *message, Buf *buf) noexcept nogil:
    slab_put(&worker.messages_slab, message)
    buf_unref(&worker.bufs, buf)


cdef void call_failed(Attempt *attempt, int flag) noexcept nogil:
    stream_let_go(attempt, H2_CANCEL)
    attempt_failed(attempt, flag)


cdef bint head_passes(Attempt *attempt, const Message *head) noexcept nogil:
    """False: the attempt is over, and another one follows."""
    if likely(attempt_on_head(attempt, head) != HEAD_RETRY):
        return True
    stream_let_go(attempt, H2_CANCEL)
    attempt_end(attempt)
    attempt_retry(attempt)
    return False


cdef bint held_head_passes(Attempt *attempt, ClientStream *call) noexcept nogil:
    """What ended a call without any message may have come in trailers, right behind the head."""
    cdef Exchange *x = attempt.exchange
    cdef bint passes
    call.held = 0
    if call.trailers != NULL and call.s.receive_bytes == 0 and call.s.piece_length == 0:
        x.trailers = call.trailers
    passes = head_passes(attempt, call.response)
    x.trailers = NULL
    return passes


cdef void call_head(ClientH2 *h2, const H2Event *event) noexcept nogil:
    cdef ClientStream *call = <ClientStream *>event.stream.owner
    cdef Attempt *attempt = call.attempt
    cdef Exchange *x = attempt.exchange
    cdef Worker *worker = h2.upstream.worker
    attempt.answered = 1
    if unlikely(event.message.status < 200):
        # A client that has left is noticed where the answer is written
        x.server_ops.send_informational(x, event.message)
        give_back(worker, event.message, event.buf)
        return
    call.response = event.message
    call.response_buf = event.buf
    if unlikely(event.message.framing == FRAMING_TUNNEL and not x.flags & (X_CONNECT | X_UPGRADE)):
        call_failed(attempt, FLAG_UPE)
        return
    if unlikely(x.flags & X_GRPC) and event.message.framing != FRAMING_TUNNEL:
        call.held = 1
    elif not head_passes(attempt, event.message):
        return
    if unlikely(event.message.framing == FRAMING_TUNNEL):
        x.flags |= X_TUNNEL
        x.flags &= ~<uint32_t>X_REQUEST_READ
        attempt.body_sent = 0
        x.request_deadline = 0
        worker.lane.header.tunnels_active += 1
    if event.end:
        call_deliver(attempt)
    elif list_empty(&call.ready):
        # The first bytes of the body may be here as well
        list_append(&h2.ready, &call.ready)
        client_h2_schedule(h2)


cdef void call_body(ClientH2 *h2, const H2Event *event) noexcept nogil:
    cdef uint32_t id = event.stream.id
    cdef Attempt *attempt = (<ClientStream *>event.stream.owner).attempt
    cdef H2Stream *s
    call_deliver(attempt)
    # What was not wanted now waits; unless the attempt has ended, and the stream with it
    s = h2s_find(&h2.c, id)
    if s != NULL and s.piece_length != 0 and not h2s_keep(&h2.c, s):
        call_failed(attempt, FLAG_UR)


cdef void call_trailers(ClientH2 *h2, const H2Event *event) noexcept nogil:
    cdef ClientStream *call = <ClientStream *>event.stream.owner
    call.trailers = event.message
    call.trailers_buf = event.buf
    call_deliver(call.attempt)


cdef void call_closed(ClientH2 *h2, const H2Event *event) noexcept nogil:
    cdef Attempt *attempt = (<ClientStream *>event.stream.owner).attempt
    if event.ours:
        h2.upstream.worker.lane.header.protocol_errors_upstream += 1
        call_failed(attempt, FLAG_UPE)
        return
    if event.error == H2_REFUSED_STREAM:
        # Section 8.7: nothing of it was looked at
        attempt.delivered = 0
    call_failed(attempt, FLAG_UR)


cdef bint pass_on(
    Attempt *attempt, ClientStream *call, uint32_t flags, const char *data, size_t length
) noexcept nogil:
    """A piece to the exchange. False: the attempt is over."""
    cdef Exchange *x = attempt.exchange
    cdef Worker *worker = x.worker
    cdef Message *response = call.response
    cdef Buf *response_buf = call.response_buf
    cdef Message *trailers = NULL
    cdef Buf *trailers_buf = NULL
    cdef bint goes_on
    # They are ours until the exchange has written them, whatever becomes of the stream meanwhile
    call.response = NULL
    call.response_buf = NULL
    if flags & SEND_END and call.trailers != NULL:
        trailers = call.trailers
        trailers_buf = call.trailers_buf
        call.trailers = NULL
        call.trailers_buf = NULL
        if trailers.field_count > 0:
            x.trailers = trailers
    goes_on = attempt_on_data(x, flags, data, length)
    if response != NULL:
        give_back(worker, response, response_buf)
    if trailers != NULL:
        give_back(worker, trailers, trailers_buf)
    if goes_on and flags & SEND_END and not x.flags & X_TUNNEL:
        # The client has still to take it, for which no stream is needed
        x.response = NULL
        stream_let_go(attempt, H2_CANCEL)
        attempt_end(attempt)
        return False
    return goes_on


cdef void call_deliver(Attempt *attempt) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    cdef ClientH2 *h2 = h2_of_attempt(attempt)
    cdef ClientStream *call = <ClientStream *>attempt.call
    cdef const char *data = NULL
    cdef uint32_t flags, length
    list_remove(&call.ready)
    if unlikely(x.flags & X_SERVER_BLOCKED):
        return                         # it asks again when it can
    if unlikely(call.held) and not held_head_passes(attempt, call):
        return
    while True:
        length = h2s_read(&h2.c, call.s, &data)
        if length != 0:
            client_h2_schedule(h2)     # it may have got the host more window
        flags = SEND_HEAD if call.response != NULL else 0
        if h2s_at_end(call.s):
            flags |= SEND_END
        elif length == 0 and flags == 0:
            return
        if not pass_on(attempt, call, flags, data, length):
            return
        if unlikely(flags & SEND_HEAD and x.flags & X_TUNNEL):
            attempt_pump(attempt)      # what the client has sent already
            if attempt.call != call:
                return
        if flags & SEND_END or x.flags & X_SERVER_BLOCKED:
            return


cdef void call_ops_install(Worker *worker) noexcept nogil:
    worker.client_h2_ops.send = call_send
    worker.client_h2_ops.plain_sink = call_plain_sink
    worker.client_h2_ops.resume = call_resume
    worker.client_h2_ops.cancel = call_cancel
