"""See `log_value.pxd`. The operators are in `policy/log_operator.pxd`; durations are taken from the loop's clock."""
from libc.stdio cimport snprintf
from libc.string cimport memchr, memcpy, strlen

from tulle._fast.base.shared cimport FLAG_COUNT, FLAG_RBAC, FLAG_UAEX
from tulle._fast.base.types cimport uint8_t, uint16_t, uint64_t, unlikely
from tulle._fast.flow.log_line cimport line_absent, line_number, line_raw, line_text, line_time
from tulle._fast.flow.types cimport X_LOCAL_REPLY, X_RAW, X_RESPONSE_BEGUN, X_TLS
from tulle._fast.http.detection cimport DETECTED_ROOM, detected_word
from tulle._fast.http.grpc cimport grpc_camel_name, grpc_snake_name
from tulle._fast.http.message cimport (
    FIELD_TRACEPARENT, FIELD_USER_AGENT, FIELD_X_FORWARDED_FOR, VERSION_HTTP_2, Field, Message, message_at,
    message_field,
)
from tulle._fast.http.octet cimport octet_lower
from tulle._fast.net.address cimport ADDRESS_TEXT
from tulle._fast.policy.image cimport Text, image_text
from tulle._fast.policy.log_operator cimport *

cdef enum:
    PATH_ROOM = 8192
    DETAILS_ROOM = 128                 # the longest name of a policy has 64 characters
    TRACEPARENT_LENGTH = 55            # version 00 (W3C Trace Context section 3.2)


cdef bint log_value_is_late(uint32_t operator) noexcept nogil:
    return (
        operator == LOG_BYTES_RECEIVED
        or operator == LOG_BYTES_SENT
        or operator == LOG_RESPONSE_CODE
        or operator == LOG_RESPONSE_CODE_DETAILS
        or operator == LOG_RESPONSE_FLAGS
        or LOG_DURATION <= operator <= LOG_CONNECT_US
        or operator == LOG_ATTEMPTS
        or operator == LOG_UPSTREAM_HOST
        or LOG_GRPC_STATUS <= operator <= LOG_GRPC_STATUS_NUMBER
    )


# -- flags ------------------------------------------------------------------------------------------------------------

cdef extern from *:
    """
    static const char *const tulle_flag_letters[] = {
        "NR", "UH", "UF", "UO", "UC", "UR", "UT", "UPE", "URX", "DC", "DPE", "DT", "RL", "DI", "FI", "UAEX", "RBAC",
        "SI", "LR", "OM", "DR", "PT",
    };
    static const char *const tulle_flag_details[] = {
        "route_not_found", "no_healthy_upstream", "upstream_connection_failure", "upstream_overflow",
        "upstream_connection_termination", "upstream_reset", "upstream_timeout", "upstream_protocol_error",
        "retry_limit_exceeded", "downstream_disconnect", "downstream_protocol_error", "downstream_timeout",
        "rate_limited", "delay_injected", "fault_injected", "ext_authz_denied", "rbac_denied", "stream_idle_timeout",
        "local_reset", "overload", "drained", "pending_timeout",
    };
    static const char *const tulle_token_reasons[] = {
        "none", "malformed", "algorithm_not_allowed", "issuer_not_configured", "key_not_known",
        "signature_does_not_verify", "audience_not_allowed", "expired", "not_yet_valid", "cannot_be_verified_now",
        "missing", "more_than_one",
    };
    #define TULLE_FLAGS (sizeof tulle_flag_letters / sizeof tulle_flag_letters[0])
    """
    const char *const *tulle_flag_letters
    const char *const *tulle_flag_details
    const char *const *tulle_token_reasons
    const uint32_t TULLE_FLAGS


cdef const char *log_flag_letters(uint32_t flag) noexcept nogil:
    if flag >= TULLE_FLAGS:
        return b"?"
    return tulle_flag_letters[flag]


cdef void value_flags(LogLine *line, uint32_t flags) noexcept nogil:
    cdef char text[128]
    cdef uint32_t length = 0
    cdef uint32_t flag, letters
    if flags == 0:
        line_text(line, b"-", 1)
        return
    for flag in range(<uint32_t>FLAG_COUNT):
        if not flags & (<uint32_t>1 << flag) or length > 112:
            continue
        if length > 0:
            text[length] = c','
            length += 1
        letters = <uint32_t>strlen(log_flag_letters(flag))
        memcpy(text + length, log_flag_letters(flag), letters)
        length += letters
    line_text(line, text, length)


cdef void value_details(LogLine *line, const Exchange *x) noexcept nogil:
    """In a word, and for who was denied by which policy, as others know it of Envoy."""
    cdef const char *details = b"via_upstream"
    cdef const char *name = b"none"
    cdef char text[DETAILS_ROOM]
    cdef uint32_t flag
    cdef int name_length = 4
    cdef int length
    if x.response_flags & (<uint32_t>1 << FLAG_RBAC):
        if x.policy != NULL:
            name = image_text(x.table.image, x.policy.name)
            name_length = <int>x.policy.name.length
        length = snprintf(text, sizeof(text), b"rbac_access_denied_matched_policy[%.*s]", name_length, name)
        line_text(line, text, <uint32_t>length)
        return
    if x.response_flags & (<uint32_t>1 << FLAG_UAEX):
        length = snprintf(text, sizeof(text), b"jwt_authn_access_denied{%s}", tulle_token_reasons[x.token_reason])
        line_text(line, text, <uint32_t>length)
        return
    for flag in range(TULLE_FLAGS):
        if x.response_flags & (<uint32_t>1 << flag):
            details = tulle_flag_details[flag]
            break
    else:
        if x.flags & X_LOCAL_REPLY:
            details = b"direct_response"
    line_text(line, details, <uint32_t>strlen(details))


cdef void value_grpc(LogLine *line, const Exchange *x, uint32_t operator) noexcept nogil:
    cdef const char *name
    if x.grpc_status == 0:
        line_absent(line)
        return
    if operator == LOG_GRPC_STATUS_NUMBER:
        line_number(line, x.grpc_status - 1)
        return
    name = grpc_camel_name(x.grpc_status - 1) if operator == LOG_GRPC_STATUS else grpc_snake_name(x.grpc_status - 1)
    line_text(line, name, <uint32_t>strlen(name))


# -- texts ------------------------------------------------------------------------------------------------------------

cdef void value_limited(LogLine *line, const char *text, uint32_t length, const LogItem *item) noexcept nogil:
    if item != NULL and item.limit != 0 and length > item.limit:
        length = item.limit
    line_text(line, text, length)


cdef void value_part(
    LogLine *line, const Exchange *x, uint32_t offset, uint32_t length, const LogItem *item
) noexcept nogil:
    """A part of the request head."""
    if x.request == NULL or length == 0:
        line_absent(line)
    else:
        value_limited(line, message_at(x.request, offset), length, item)


cdef void value_name(LogLine *line, const Exchange *x, Text text) noexcept nogil:
    if text.length == 0:
        line_absent(line)
    else:
        line_text(line, image_text(x.table.image, text), text.length)


cdef void value_field(LogLine *line, const Message *message, int field_id, const LogItem *item) noexcept nogil:
    cdef const Field *field = message_field(message, field_id) if message != NULL else NULL
    if field == NULL:
        line_absent(line)
    else:
        value_limited(line, message_at(message, field.value), field.value_length, item)


cdef const Field *find_field(const Message *message, const char *lower, uint32_t length) noexcept nogil:
    cdef const Field *field
    cdef const char *name
    cdef uint32_t position
    cdef uint16_t index
    for index in range(message.field_count):
        field = &message.fields[index]
        if field.name_length != length:
            continue
        name = message_at(message, field.name)
        for position in range(length):
            if octet_lower(<uint8_t>name[position]) != <uint8_t>lower[position]:
                break
        else:
            return field
    return NULL


cdef void value_header(LogLine *line, const Exchange *x, const Message *message, const LogItem *item) noexcept nogil:
    cdef const Field *field = NULL
    if message != NULL:
        field = find_field(message, image_text(x.table.image, item.argument), item.argument.length)
        if field == NULL and item.alternative.length:
            field = find_field(message, image_text(x.table.image, item.alternative), item.alternative.length)
    if field == NULL:
        line_absent(line)
    else:
        value_limited(line, message_at(message, field.value), field.value_length, item)


cdef void value_path(LogLine *line, const Exchange *x, bint as_sent, const LogItem *item) noexcept nogil:
    """With the query. Before routing, and for a refused head, the target as it came."""
    cdef const Message *message = x.request
    cdef char text[PATH_ROOM]
    cdef uint32_t path, query
    if message == NULL or message.target_length == 0:
        line_absent(line)
        return
    if as_sent and x.target != NULL:
        value_limited(line, x.target, x.target_length, item)
        return
    if x.path_length == 0 or message.path_length == 0:
        value_limited(line, message_at(message, message.target), message.target_length, item)
        return
    path = x.path_length if x.path_length < PATH_ROOM - 1 else PATH_ROOM - 1
    memcpy(text, x.path, path)
    if message.query_length:
        query = message.query_length if message.query_length < PATH_ROOM - 1 - path else PATH_ROOM - 1 - path
        text[path] = c'?'
        memcpy(text + path + 1, message_at(message, message.query), query)
        path += query + 1
    value_limited(line, text, path, item)


cdef void value_trace(LogLine *line, const Message *message) noexcept nogil:
    """The trace id of traceparent, or of B3 in one field or several."""
    cdef const Field *field
    cdef const char *value
    cdef uint32_t length = 0
    if message == NULL:
        line_absent(line)
        return
    field = message_field(message, FIELD_TRACEPARENT)
    if field != NULL and field.value_length >= TRACEPARENT_LENGTH:
        line_text(line, message_at(message, field.value) + 3, 32)
        return
    field = find_field(message, b"b3", 2)
    if field == NULL:
        field = find_field(message, b"x-b3-traceid", 12)
    if field == NULL:
        line_absent(line)
        return
    value = message_at(message, field.value)
    while length < field.value_length and length < 32 and value[length] != c'-':
        length += 1
    line_text(line, value, length)


cdef void value_peer(LogLine *line, const Exchange *x, bint port) noexcept nogil:
    cdef char text[96]
    cdef LogLine whole
    if x.peer_length == 0:
        line_absent(line)
        return
    if not port or x.peer_port == 0:
        line_text(line, x.peer, x.peer_length)
        return
    whole.out = text
    whole.length = 0
    whole.room = sizeof(text)
    whole.json = False
    if memchr(x.peer, c':', x.peer_length) != NULL:
        line_raw(&whole, b"[", 1)
        line_raw(&whole, x.peer, x.peer_length)
        line_raw(&whole, b"]:", 2)
    else:
        line_raw(&whole, x.peer, x.peer_length)
        line_raw(&whole, b":", 1)
    line_number(&whole, x.peer_port)
    line_text(line, text, whole.length)


cdef void value_local(LogLine *line, Exchange *x) noexcept nogil:
    cdef char text[ADDRESS_TEXT]
    cdef uint32_t length = x.server_ops.local_address(x, text)
    if length == 0:
        line_absent(line)
    else:
        line_text(line, text, length)


cdef void value_protocol(LogLine *line, const Exchange *x) noexcept nogil:
    if unlikely(x.flags & X_RAW):
        line_text(line, b"TCP", 3)
    elif x.version_minor == 0:
        line_text(line, b"HTTP/1.0", 8)
    elif x.version_minor == VERSION_HTTP_2:
        line_text(line, b"HTTP/2", 6)
    else:
        line_text(line, b"HTTP/1.1", 8)


# -- times ------------------------------------------------------------------------------------------------------------

cdef void value_span(LogLine *line, const Exchange *x, uint64_t until, uint64_t unit) noexcept nogil:
    if until == 0 or until < x.started:
        line_absent(line)
    else:
        line_number(line, (until - x.started) // unit)


cdef void value_time(LogLine *line, const Exchange *x, uint32_t operator) noexcept nogil:
    cdef uint64_t now = x.worker.loop.now
    if operator == LOG_DURATION:
        value_span(line, x, now, 1000000)
    elif operator == LOG_DURATION_US:
        value_span(line, x, now, 1000)
    elif operator == LOG_REQUEST_DURATION:
        value_span(line, x, x.request_ended, 1000000)
    elif operator == LOG_REQUEST_DURATION_US:
        value_span(line, x, x.request_ended, 1000)
    elif operator == LOG_RESPONSE_DURATION:
        value_span(line, x, x.first_byte, 1000000)
    elif operator == LOG_FIRST_BYTE_US:
        value_span(line, x, x.first_byte, 1000)
    elif x.connect_time == 0:
        line_absent(line)
    else:
        line_number(line, x.connect_time // 1000)


# -- all of them ------------------------------------------------------------------------------------------------------

cdef void value_end(LogLine *line, Exchange *x, uint32_t operator) noexcept nogil:
    """What only the end tells."""
    if operator == LOG_BYTES_RECEIVED:
        line_number(line, x.bytes_received)
    elif operator == LOG_BYTES_SENT:
        line_number(line, x.bytes_sent)
    elif operator == LOG_RESPONSE_CODE:
        line_number(line, x.status if x.flags & X_RESPONSE_BEGUN else 0)
    elif operator == LOG_RESPONSE_CODE_DETAILS:
        value_details(line, x)
    elif operator == LOG_RESPONSE_FLAGS:
        value_flags(line, x.response_flags)
    elif LOG_GRPC_STATUS <= operator <= LOG_GRPC_STATUS_NUMBER:
        value_grpc(line, x, operator)
    elif operator == LOG_ATTEMPTS:
        line_number(line, x.attempts + x.hedges)
    elif operator == LOG_UPSTREAM_HOST:
        if x.answered_by != NULL:
            line_text(line, x.answered_by.text, x.answered_by.text_length)
        else:
            line_absent(line)
    else:
        value_time(line, x, operator)


cdef void log_value(LogLine *line, Exchange *x, uint32_t operator, const LogItem *item) noexcept nogil:
    cdef const Message *request = x.request
    cdef char word[DETECTED_ROOM]
    cdef uint32_t length
    if log_value_is_late(operator):
        value_end(line, x, operator)
    elif operator == LOG_START_TIME:
        line_time(line, x.wall_started)
    elif operator == LOG_METHOD:
        value_part(line, x, request.method_offset, request.method_length, item)
    elif operator == LOG_PATH:
        value_path(line, x, True, item)
    elif operator == LOG_ORIGINAL_PATH:
        value_path(line, x, False, item)
    elif operator == LOG_AUTHORITY:
        value_part(line, x, request.authority, request.authority_length, item)
    elif operator == LOG_SCHEME:
        line_text(line, b"https", 5 if x.flags & X_TLS else 4)
    elif operator == LOG_PROTOCOL:
        value_protocol(line, x)
    elif operator == LOG_REQ:
        value_header(line, x, request, item)
    elif operator == LOG_RESP:
        value_header(line, x, x.response, item)
    elif operator == LOG_REQUEST_ID:
        if x.request_id_length:
            line_text(line, x.request_id, x.request_id_length)
        else:
            line_absent(line)
    elif operator == LOG_USER_AGENT:
        value_field(line, request, FIELD_USER_AGENT, item)
    elif operator == LOG_X_FORWARDED_FOR:
        value_field(line, request, FIELD_X_FORWARDED_FOR, item)
    elif operator == LOG_TRACE_ID:
        value_trace(line, request)
    elif operator == LOG_LISTENER:
        value_name(line, x, x.listener.name)
    elif operator == LOG_ROUTE_NAME and x.named != NULL:
        value_name(line, x, x.named.name)
    elif operator == LOG_UPSTREAM_CLUSTER and x.cluster != NULL:
        value_name(line, x, x.cluster_name)
    elif operator == LOG_DOWNSTREAM_REMOTE_ADDRESS:
        value_peer(line, x, True)
    elif operator == LOG_DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT:
        value_peer(line, x, False)
    elif operator == LOG_DOWNSTREAM_LOCAL_ADDRESS:
        value_local(line, x)
    elif operator == LOG_PRINCIPAL and x.principal_length != 0:
        value_limited(line, x.principal, x.principal_length, item)
    elif operator == LOG_DETECTED and x.detected != 0:
        length = detected_word(x.detected, word)
        line_text(line, word, length)
    elif operator == LOG_WORKER:
        line_number(line, x.worker.lane_index)
    elif operator == LOG_HOSTNAME:
        line_text(line, x.worker.hostname, <uint32_t>strlen(x.worker.hostname))
    else:
        line_absent(line)
