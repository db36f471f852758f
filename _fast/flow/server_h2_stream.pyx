"""See `server_h2_stream.pxd`. Called by `server_h2`; calls down to exchange and attempt."""
from libc.string cimport memset

from tulle._fast.base.decimal cimport decimal_write
from tulle._fast.base.buf cimport buf_unref
from tulle._fast.base.shared cimport FLAG_DPE, FLAG_OM
from tulle._fast.base.slab cimport slab_get, slab_put
from tulle._fast.base.types cimport likely, uint16_t, uint32_t, uint64_t, unlikely
from tulle._fast.flow.answer_fields cimport answer_fields
from tulle._fast.flow.attempt cimport attempt_pump, exchange_arm, exchange_client_gone
from tulle._fast.flow.exchange cimport exchange_new, exchange_refuse, exchange_run
from tulle._fast.flow.finish cimport exchange_finish
from tulle._fast.flow.head_edits cimport extra_add, field_drop, response_edits
from tulle._fast.flow.overload cimport ADMITTED
from tulle._fast.flow.server_peer cimport server_address, server_name_peer
from tulle._fast.flow.server_h2 cimport ServerStream, server_h2_busy, server_h2_drain, server_h2_schedule
from tulle._fast.flow.types cimport (
    BODY_DATA, BODY_END, BODY_ERROR, BODY_GONE, BODY_MORE, SEND_END, SEND_HEAD, X_ANSWER_FIELDS, X_BACKOFF,
    X_GRPC, X_KEEP_ALIVE, X_REQUEST_READ, X_RESPONSE_BEGUN, X_RESPONSE_ENDED, Exchange, Meant, Server,
)
from tulle._fast.http.date cimport DATE_LENGTH, http_date
from tulle._fast.http.h1_write cimport HeadEdits
from tulle._fast.http.h2_connection cimport h2s_at_end, h2s_keep, h2s_leave, h2s_read
from tulle._fast.http.h2_frame cimport (
    H2_CONNECT_ERROR, H2_INTERNAL_ERROR, H2_NO_ERROR, H2_REFUSED_STREAM,
)
from tulle._fast.http.h2_send cimport H2_BLOCKED, H2_SENT, h2s_send, h2s_send_response
from tulle._fast.http.h2_stream cimport h2s_find
from tulle._fast.http.h2_types cimport H2_REFUSE, H2S_LOCAL_DONE, H2S_RESET, H2Stream
from tulle._fast.http.message cimport FRAMING_NONE, FRAMING_TUNNEL, METHOD_CONNECT, METHOD_HEAD, Message
from tulle._fast.net.conn cimport CONN_BLOCKED, CONN_DONE, CONN_ERROR, Conn


# -- from the client --------------------------------------------------------------------------------------------------

cdef void stream_drop(ServerH2 *h2, const H2Event *event, uint32_t error) noexcept nogil:
    """There is no room for an exchange."""
    slab_put(&h2.server.worker.messages_slab, event.message)
    buf_unref(&h2.server.worker.bufs, event.buf)
    h2s_leave(&h2.c, event.stream, error)
    server_h2_schedule(h2)


cdef const char *refusal(uint32_t status) noexcept nogil:
    if status == 414:
        return b"start line is longer than the limit"
    if status == 417:
        return b"Expect is not 100-continue"
    return b"header section is larger than the limit"


cdef void stream_head(ServerH2 *h2, const H2Event *event) noexcept nogil:
    cdef Server *server = h2.server
    cdef Worker *worker = server.worker
    cdef ServerStream *stream = <ServerStream *>slab_get(&worker.h2_requests_slab)
    cdef Exchange *x
    if unlikely(stream == NULL):
        stream_drop(h2, event, H2_REFUSED_STREAM)
        return
    memset(stream, 0, sizeof(ServerStream))
    stream.s = event.stream
    stream.h2 = h2
    x = exchange_new(
        worker, stream, &worker.server_h2_ops, server.listener_id, event.message, event.buf, worker.loop.now
    )
    if unlikely(x == NULL):
        slab_put(&worker.h2_requests_slab, stream)
        stream_drop(h2, event, H2_REFUSED_STREAM)
        return
    server_name_peer(server, x)
    stream.x = x
    stream.extended = event.message.protocol_length != 0
    event.stream.owner = stream
    if h2.exchanges == 0 and not h2.draining:
        server_h2_busy(h2)
    h2.exchanges += 1
    h2.requests += 1
    if x.listener != NULL and unlikely(x.listener.max_requests != 0 and h2.requests >= x.listener.max_requests):
        server_h2_drain(server)
    if event.end or event.message.framing == FRAMING_NONE:
        x.flags |= X_REQUEST_READ
    if unlikely(event.kind == H2_REFUSE):
        worker.lane.header.protocol_errors_downstream += 1
        exchange_refuse(x, <uint16_t>event.error, FLAG_DPE, refusal(event.error))
    elif unlikely(server.admitted != ADMITTED):
        exchange_refuse(x, 503, FLAG_OM, b"overloaded: the limit of connections is reached")
    else:
        exchange_run(x)


cdef void stream_body(ServerH2 *h2, const H2Event *event) noexcept nogil:
    cdef uint32_t id = event.stream.id
    cdef ServerStream *stream = <ServerStream *>event.stream.owner
    cdef H2Stream *s
    attempt_pump(stream.x.attempt)
    # What was not wanted now waits; unless the exchange has ended, and the stream with it
    s = h2s_find(&h2.c, id)
    if s != NULL and s.piece_length != 0 and not h2s_keep(&h2.c, s):
        exchange_client_gone(stream.x)


cdef void stream_trailers(ServerH2 *h2, const H2Event *event) noexcept nogil:
    cdef ServerStream *stream = <ServerStream *>event.stream.owner
    stream.trailers = event.message
    stream.trailers_buf = event.buf
    attempt_pump(stream.x.attempt)


cdef void stream_closed(ServerH2 *h2, const H2Event *event) noexcept nogil:
    cdef Exchange *x = (<ServerStream *>event.stream.owner).x
    if event.ours:
        x.response_flags |= <uint32_t>1 << FLAG_DPE
    exchange_client_gone(x)


# -- ServerOps: the request's body -------------------------------------------------------------------------------------

cdef int request_at_end(Exchange *x, ServerStream *stream) noexcept nogil:
    if stream.trailers != NULL and stream.trailers.field_count > 0:
        x.trailers = stream.trailers
    return BODY_END


cdef int stream_read_body(Exchange *x, const char **data, size_t *length) noexcept nogil:
    cdef ServerStream *stream = <ServerStream *>x.server
    cdef H2Stream *s = stream.s
    cdef uint32_t got = h2s_read(&stream.h2.c, s, data)
    length[0] = got
    if got != 0:
        server_h2_schedule(stream.h2)  # it may have got the client more window
        stream.body_read += got
        if unlikely(x.max_body != 0 and stream.body_read > x.max_body):
            x.status = 413
            return BODY_ERROR
    elif unlikely(s.flags & H2S_RESET):
        return BODY_GONE
    if h2s_at_end(s):
        return request_at_end(x, stream)
    return BODY_DATA if got != 0 else BODY_MORE


cdef Conn *stream_plain_source(Exchange *x, uint64_t **remaining) noexcept nogil:
    return NULL


# -- ServerOps: the answer --------------------------------------------------------------------------------------------

cdef inline int as_conn_result(int result) noexcept nogil:
    if likely(result == H2_SENT):
        return CONN_DONE
    return CONN_BLOCKED if result == H2_BLOCKED else CONN_ERROR


cdef uint16_t extended_status(Exchange *x) noexcept nogil:
    """101 is 200 here (RFC 8441 section 5); another 2xx would be taken for a tunnel that nobody has opened."""
    if x.response.framing == FRAMING_TUNNEL:
        field_drop(<Message *>x.response, b"sec-websocket-accept", 20)
        return 200
    return 502 if 200 <= x.response.status < 300 else x.response.status


cdef int stream_send_head(Exchange *x, ServerStream *stream, bint end) noexcept nogil:
    """Hop-by-hop fields of HTTP/1 were marked when it was read (RFC 9113 section 8.2.2)."""
    cdef HeadEdits edits
    cdef uint16_t status = x.response.status
    if unlikely(stream.extended):
        status = extended_status(x)
    edits.extra_count = response_edits(x)
    if unlikely(x.flags & X_ANSWER_FIELDS):
        answer_fields(x, &edits.extra_count)
    edits.extras = x.worker.extras
    return h2s_send_response(&stream.h2.c, stream.s, status, x.response, &edits, end)


cdef int stream_send(Exchange *x, uint32_t flags, const char *data, size_t length) noexcept nogil:
    cdef ServerStream *stream = <ServerStream *>x.server
    cdef bint end = flags & SEND_END != 0
    cdef bint end_of_head = end and length == 0 and x.trailers == NULL
    server_h2_schedule(stream.h2)
    if flags & SEND_HEAD:
        if unlikely(stream_send_head(x, stream, end_of_head) != H2_SENT):
            return CONN_ERROR
        if end_of_head or (length == 0 and not end):
            return CONN_DONE
    return as_conn_result(h2s_send(&stream.h2.c, stream.s, data, length, end, x.trailers))


cdef int stream_informational(Exchange *x, const Message *message) noexcept nogil:
    cdef ServerStream *stream = <ServerStream *>x.server
    if stream.h2.server.conn.output != NULL:
        return CONN_DONE               # a client that does not read may miss some: they must not pile up
    server_h2_schedule(stream.h2)
    return as_conn_result(h2s_send_response(&stream.h2.c, stream.s, message.status, message, NULL, False))


cdef int stream_reply(Exchange *x, uint16_t status, uint32_t extras, const char *body, size_t length) noexcept nogil:
    cdef ServerStream *stream = <ServerStream *>x.server
    cdef Worker *worker = x.worker
    cdef HeadEdits edits
    cdef char digits[24]
    cdef char date[DATE_LENGTH]
    cdef bint empty = x.method == METHOD_HEAD or status == 204 or status == 304 or length == 0
    cdef int result
    http_date(date, (worker.loop.now + worker.wall_offset) // 1000000000)
    extra_add(worker, &extras, b"date", 4, date, DATE_LENGTH)
    # To a gRPC client all fields are metadata
    if status != 204 and status != 304 and not x.flags & X_GRPC:
        extra_add(worker, &extras, b"content-length", 14, digits, decimal_write(digits, length))
    edits.extra_count = extras
    edits.extras = worker.extras
    x.flags |= X_RESPONSE_BEGUN | X_RESPONSE_ENDED
    server_h2_schedule(stream.h2)
    result = as_conn_result(h2s_send_response(&stream.h2.c, stream.s, status, NULL, &edits, empty))
    if result == CONN_DONE and not empty:
        x.bytes_sent += length
        result = as_conn_result(h2s_send(&stream.h2.c, stream.s, body, length, True, NULL))
    if result == CONN_BLOCKED:
        # Nothing else ends the waiting for a client that does not read
        x.flags &= ~<uint32_t>X_BACKOFF
        x.request_deadline = 0
        x.try_deadline = 0
        x.last_activity = worker.loop.now
        if x.listener != NULL:
            x.idle_timeout = x.listener.idle_timeout
        exchange_arm(x)
        return result
    exchange_finish(x, x.flags & X_KEEP_ALIVE != 0, result < 0)
    return result


cdef Conn *stream_plain_sink(Exchange *x) noexcept nogil:
    return NULL


cdef uint32_t stream_local_address(Exchange *x, char *text) noexcept nogil:
    return server_address((<ServerStream *>x.server).h2.server, text)


cdef const Meant *stream_meant(Exchange *x) noexcept nogil:
    return (<ServerStream *>x.server).h2.server.meant


cdef uint32_t end_error(const Exchange *x, const H2Stream *s, bint cut) noexcept nogil:
    """What a stream that is not closed by itself is reset with (RFC 9113 section 8.1)."""
    if s.flags & H2S_LOCAL_DONE and not cut:
        return H2_NO_ERROR             # the rest of the request does not matter
    return H2_CONNECT_ERROR if x.method == METHOD_CONNECT else H2_INTERNAL_ERROR


cdef void stream_finished(Exchange *x, bint keep, bint cut) noexcept nogil:
    cdef ServerStream *stream = <ServerStream *>x.server
    cdef ServerH2 *h2 = stream.h2
    cdef Worker *worker = h2.server.worker
    h2s_leave(&h2.c, stream.s, end_error(x, stream.s, cut))
    if unlikely(stream.trailers != NULL):
        slab_put(&worker.messages_slab, stream.trailers)
        buf_unref(&worker.bufs, stream.trailers_buf)
    slab_put(&worker.h2_requests_slab, stream)
    h2.exchanges -= 1
    server_h2_schedule(h2)


cdef void stream_ops_install(Worker *worker) noexcept nogil:
    worker.server_h2_ops.send = stream_send
    worker.server_h2_ops.send_informational = stream_informational
    worker.server_h2_ops.reply = stream_reply
    worker.server_h2_ops.local_address = stream_local_address
    worker.server_h2_ops.meant = stream_meant
    worker.server_h2_ops.plain_sink = stream_plain_sink
    worker.server_h2_ops.plain_source = stream_plain_source
    worker.server_h2_ops.read_body = stream_read_body
    worker.server_h2_ops.finished = stream_finished
