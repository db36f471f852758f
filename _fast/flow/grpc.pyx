"""See `grpc.pxd`."""
from libc.string cimport memcpy, memset, strlen

from tulle._fast.base.grpc_stats cimport lane_grpc_count
from tulle._fast.base.shared cimport FLAG_DC
from tulle._fast.base.types cimport uint8_t
from tulle._fast.flow.attempt cimport exchange_arm
from tulle._fast.flow.finish cimport exchange_finish
from tulle._fast.flow.grpc_web cimport grpc_web_kind
from tulle._fast.flow.head_edits cimport extra_add, field_drop
from tulle._fast.flow.outcome cimport outcome_trailers
from tulle._fast.flow.reply cimport flag_detail
from tulle._fast.flow.try_time cimport earlier
from tulle._fast.flow.types cimport (
    SEND_END, X_BACKOFF, X_CONNECT, X_GRPC, X_GRPC_ERROR, X_GRPC_WEB, X_KEEP_ALIVE, X_MIRROR, X_RESPONSE_ENDED,
    X_SERVER_BLOCKED, X_TUNNEL, X_UPGRADE,
)
from tulle._fast.http.grpc cimport (
    GRPC_CANCELLED, GRPC_DEADLINE_EXCEEDED, GRPC_INTERNAL, GRPC_NONE, GRPC_NUMBER_ROOM, GRPC_OK,
    GRPC_RESOURCE_EXHAUSTED, GRPC_UNAVAILABLE, grpc_message_write, grpc_number_write, grpc_of_http, grpc_status_of,
    grpc_timeout_of, grpc_timeout_write, grpc_to_http,
)
from tulle._fast.http.message cimport FRAMING_LENGTH, VERSION_HTTP_2
from tulle._fast.net.conn cimport CONN_BLOCKED
from tulle._fast.policy.image cimport (
    RETRY_GRPC_CANCELLED, RETRY_GRPC_DEADLINE_EXCEEDED, RETRY_GRPC_INTERNAL, RETRY_GRPC_RESOURCE_EXHAUSTED,
    RETRY_GRPC_UNAVAILABLE, image_at,
)


cdef void grpc_begin(Exchange *x) noexcept nogil:
    cdef uint64_t timeout = 0
    x.flags |= X_GRPC
    if grpc_timeout_of(x.request, &timeout):
        x.grpc_deadline = x.started + timeout


cdef void grpc_take_name(Exchange *x, uint32_t match) noexcept nogil:
    if x.named.grpc != 0:
        x.grpc_name = (<const uint64_t *>image_at(x.table.image, x.named.grpc))[match]


cdef void grpc_bound(Exchange *x) noexcept nogil:
    x.request_deadline = earlier(x.request_deadline, x.grpc_deadline)


cdef void grpc_timeout_field(Exchange *x, uint32_t *count) noexcept nogil:
    cdef uint64_t now = x.worker.loop.now
    cdef uint64_t left = x.grpc_deadline - now if x.grpc_deadline > now else 0
    field_drop(x.request, b"grpc-timeout", 12)
    extra_add(
        x.worker, count, b"grpc-timeout", 12, x.worker.timeout_text, grpc_timeout_write(x.worker.timeout_text, left)
    )


# -- the answer -------------------------------------------------------------------------------------------------------

cdef int grpc_said(const Exchange *x, const Message *answer) noexcept nogil:
    cdef int status = grpc_status_of(answer)
    if status == GRPC_NONE and x.trailers != NULL:
        status = grpc_status_of(x.trailers)
    return status


cdef bint grpc_wants_retry(const Exchange *x, const Message *answer) noexcept nogil:
    cdef int status = grpc_said(x, answer)
    cdef uint32_t wanted = 0
    if status == GRPC_CANCELLED:
        wanted = RETRY_GRPC_CANCELLED
    elif status == GRPC_DEADLINE_EXCEEDED:
        wanted = RETRY_GRPC_DEADLINE_EXCEEDED
    elif status == GRPC_INTERNAL:
        wanted = RETRY_GRPC_INTERNAL
    elif status == GRPC_RESOURCE_EXHAUSTED:
        wanted = RETRY_GRPC_RESOURCE_EXHAUSTED
    elif status == GRPC_UNAVAILABLE:
        wanted = RETRY_GRPC_UNAVAILABLE
    return x.route.retry_on & wanted != 0


cdef bint grpc_is_failure(const Exchange *x, const Message *answer) noexcept nogil:
    cdef int status = grpc_said(x, answer)
    return status != GRPC_NONE and (grpc_to_http(status) >= 500 or grpc_wants_retry(x, answer))


cdef void grpc_head(Exchange *x, const Message *answer) noexcept nogil:
    cdef int status = grpc_said(x, answer)
    if status != GRPC_NONE:
        x.grpc_status = <uint8_t>(status + 1)
        if x.version_minor == VERSION_HTTP_2:
            # To a gRPC client it is metadata; to HTTP/1 it says that there is no body
            field_drop(<Message *>answer, b"content-length", 14)
    x.grpc_sized = answer.framing == FRAMING_LENGTH


cdef void grpc_head_for_others(Exchange *x, const Message *answer) noexcept nogil:
    cdef int status = grpc_status_of(answer)
    if status > GRPC_OK and answer.status == 200 and not x.flags & (X_MIRROR | X_CONNECT | X_UPGRADE):
        x.grpc_status = <uint8_t>(status + 1)
        x.flags |= X_GRPC_ERROR


cdef void grpc_ended(Exchange *x) noexcept nogil:
    cdef int status = GRPC_NONE
    if x.grpc_status == 0:
        if x.trailers != NULL:
            status = grpc_status_of(x.trailers)
        if status == GRPC_NONE:
            status = grpc_of_http(x.status)
        x.grpc_status = <uint8_t>(status + 1)
    if x.attempt.judged_late:
        outcome_trailers(x.attempt, grpc_to_http(x.grpc_status - 1))


# -- what we say ourselves --------------------------------------------------------------------------------------------

cdef int status_for(const Exchange *x, uint32_t status) noexcept nogil:
    """What stands for that status of HTTP; a deadline of the client's own that has passed has a name."""
    if status == 504 and x.grpc_deadline != 0 and x.grpc_deadline <= x.worker.loop.now:
        return GRPC_DEADLINE_EXCEEDED
    return grpc_of_http(status)


cdef uint16_t grpc_reply_fields(
    Exchange *x, uint16_t status, const char *detail, uint32_t length, char *text, uint32_t *count
) noexcept nogil:
    cdef int code = status_for(x, status)
    cdef char *message = text + GRPC_NUMBER_ROOM
    cdef const char *kind = b"application/grpc"
    cdef uint32_t kind_length = 16
    x.grpc_status = <uint8_t>(code + 1)
    if unlikely(x.flags & X_GRPC_WEB):
        kind = grpc_web_kind(x, &kind_length)
    extra_add(x.worker, count, b"content-type", 12, kind, kind_length)
    extra_add(x.worker, count, b"grpc-status", 11, text, grpc_number_write(text, code))
    if length != 0:
        length = grpc_message_write(message, GRPC_REPLY_ROOM - GRPC_NUMBER_ROOM, detail, length)
        extra_add(x.worker, count, b"grpc-message", 12, message, length)
    return 200


cdef void line_add(
    Message *trailers, char *text, const char *name, uint32_t name_length, uint32_t value
) noexcept nogil:
    """A field whose value has been written behind the place of its name."""
    trailers.fields[trailers.field_count].name = trailers.fields_end
    trailers.fields[trailers.field_count].name_length = <uint16_t>name_length
    trailers.fields[trailers.field_count].value = trailers.fields_end + name_length + 2
    trailers.fields[trailers.field_count].value_length = value
    memcpy(text + trailers.fields_end, name, name_length)
    memcpy(text + trailers.fields_end + name_length, b": ", 2)
    memcpy(text + trailers.fields_end + name_length + 2 + value, b"\r\n", 2)
    trailers.fields_end += name_length + 2 + value + 2
    trailers.field_count += 1


cdef bint grpc_end(Exchange *x, int flag) noexcept nogil:
    cdef char text[GRPC_REPLY_ROOM]
    cdef Message trailers
    cdef const char *detail = flag_detail(flag)
    cdef int result, code
    # HTTP/1 has no way to say it where no length was said
    if x.flags & (X_RESPONSE_ENDED | X_TUNNEL | X_MIRROR) or (
        not x.flags & X_GRPC_WEB and (x.grpc_sized or x.version_minor != VERSION_HTTP_2)
    ):
        return False
    code = status_for(x, 504) if x.request_deadline != 0 and x.request_deadline <= x.worker.loop.now else 14
    memset(&trailers, 0, sizeof(Message))
    trailers.base = text
    line_add(&trailers, text, b"grpc-status", 11, grpc_number_write(text + 13, code))
    line_add(
        &trailers, text, b"grpc-message", 12,
        grpc_message_write(text + trailers.fields_end + 14, 256, detail, <uint32_t>strlen(detail)),
    )
    x.grpc_status = <uint8_t>(code + 1)
    x.flags |= X_RESPONSE_ENDED
    x.trailers = &trailers
    result = x.server_ops.send(x, SEND_END, NULL, 0)
    x.trailers = NULL
    if result < 0:
        return False
    if result == CONN_BLOCKED:
        # Nothing but the idle time ends the waiting for a client that does not read
        x.flags |= X_SERVER_BLOCKED
        x.flags &= ~<uint32_t>X_BACKOFF
        x.request_deadline = 0
        x.try_deadline = 0
        x.hedge_at = 0
        x.last_activity = x.worker.loop.now
        exchange_arm(x)
        return True
    exchange_finish(x, x.flags & X_KEEP_ALIVE != 0, False)
    return True


# -- at the end -------------------------------------------------------------------------------------------------------

cdef void grpc_count(Exchange *x) noexcept nogil:
    cdef int status
    if x.grpc_status == 0:
        if x.response_flags & (<uint32_t>1 << FLAG_DC):
            status = GRPC_CANCELLED
        else:
            status = grpc_of_http(x.status) if x.flags & X_RESPONSE_ENDED else <int>GRPC_UNAVAILABLE
        x.grpc_status = <uint8_t>(status + 1)
    lane_grpc_count(
        x.worker.lane, x.listener_id, x.route_id, x.cluster.slot + 1 if x.cluster != NULL else 0,
        x.cluster_generation, x.grpc_name, x.grpc_status - 1,
    )
