"""See `reply.pxd`. The exchange calls it once it has decided; the server side writes the answer in its protocol."""
from libc.stdio cimport snprintf
from libc.string cimport memcpy, strlen

from tulle._fast.base.shared cimport (
    FLAG_DPE, FLAG_DR, FLAG_DT, FLAG_FI, FLAG_NR, FLAG_OM, FLAG_PT, FLAG_RBAC, FLAG_RL, FLAG_SI, FLAG_UC, FLAG_UF,
    FLAG_UH, FLAG_UO, FLAG_UPE, FLAG_UR, FLAG_UT,
)
from tulle._fast.base.types cimport likely, uint32_t, unlikely
from tulle._fast.flow.answer_fields cimport answer_fields
from tulle._fast.flow.grpc cimport GRPC_REPLY_ROOM, grpc_reply_fields
from tulle._fast.flow.head_edits cimport extra_add
from tulle._fast.flow.json_reply cimport (
    JSON_MESSAGE, JSON_NOT, JSON_REPLY_ROOM, json_reply_kind, json_reply_type, json_reply_write,
)
from tulle._fast.flow.types cimport X_ANSWER_FIELDS, X_GRPC, X_LOCAL_REPLY, X_TLS
from tulle._fast.http.grpc cimport GRPC_NONE, grpc_message_read, grpc_to_http
from tulle._fast.http.message cimport message_at
from tulle._fast.net.tls cimport TLS_FAILED_ALERT, TLS_FAILED_CERTIFICATE, TLS_FAILED_NAME, TLS_FAILED_NOT
from tulle._fast.policy.image cimport (
    FIELD_EDIT_REMOVE, PATH_EDIT_FULL, PATH_EDIT_PREFIX, FieldEdit, RouteEntry, image_at, image_text,
)

cdef enum:
    LINE_SIZE = 256
    REASON_SIZE = 160
    LOCATION_SIZE = 16384


cdef const char *flag_detail(int flag) noexcept nogil:
    if flag == FLAG_NR:
        return b"no route matches this host and path"
    if flag == FLAG_UH:
        return b"no healthy upstream host"
    if flag == FLAG_UF:
        return b"upstream connection failed"
    if flag == FLAG_UO:
        return b"upstream overflow: a circuit breaker limit is reached"
    if flag == FLAG_PT:
        return b"waited too long for an upstream connection"
    if flag == FLAG_UC or flag == FLAG_UR:
        return b"upstream connection ended before the response"
    if flag == FLAG_UT:
        return b"upstream request timed out"
    if flag == FLAG_UPE:
        return b"upstream sent a malformed response"
    if flag == FLAG_FI:
        return b"a fault was injected"
    if flag == FLAG_RL:
        return b"too many requests: a rate limit is reached"
    if flag == FLAG_DT:
        return b"the request did not arrive in time"
    if flag == FLAG_SI:
        return b"the stream was idle for too long"
    if flag == FLAG_OM:
        return b"overloaded"
    if flag == FLAG_RBAC:
        return b"access denied"
    if flag == FLAG_DR:
        return b"the proxy has left before there was an answer"
    return b"the request was refused"


cdef const char *flag_error(int flag, uint16_t status) noexcept nogil:
    """The error type of RFC 9209 section 2.3."""
    if flag == FLAG_UH:
        return b"destination_unavailable"
    if flag == FLAG_UF:
        return b"connection_refused"
    if flag == FLAG_UO or flag == FLAG_PT:
        return b"connection_limit_reached"
    if flag == FLAG_UC or flag == FLAG_UR:
        return b"connection_terminated"
    if flag == FLAG_UT:
        return b"http_response_timeout"
    if flag == FLAG_UPE:
        return b"http_protocol_error"
    if flag == FLAG_NR:
        return b"destination_not_found"
    if flag == FLAG_DPE or status == 400:
        return b"http_request_error"
    return b"http_request_denied"


cdef const char *reply_error_type(const Exchange *x, int flag, uint16_t status) noexcept nogil:
    """The same, where TLS may have told more (RFC 9209 sections 2.3.13 to 2.3.15)."""
    if likely(flag != FLAG_UF or x.tls_failure == TLS_FAILED_NOT):
        return flag_error(flag, status)
    if x.tls_failure == TLS_FAILED_ALERT:
        return b"tls_alert_received"
    if x.tls_failure == TLS_FAILED_CERTIFICATE or x.tls_failure == TLS_FAILED_NAME:
        return b"tls_certificate_error"
    return b"tls_protocol_error"


cdef void reply_error(Exchange *x, uint16_t status, int flag, const char *detail) noexcept nogil:
    reply_error_with(x, status, flag, detail, 0)


cdef void reply_error_with(
    Exchange *x, uint16_t status, int flag, const char *detail, uint32_t count
) noexcept nogil:
    cdef char line[LINE_SIZE]
    cdef char proxy_status[LINE_SIZE]
    cdef char reason[REASON_SIZE]
    cdef int length, status_length, length_after, kind
    cdef char after[16]
    cdef char grpc_text[GRPC_REPLY_ROOM]
    cdef char json[JSON_REPLY_ROOM]
    cdef const char *body = line
    if flag >= 0:
        x.response_flags |= <uint32_t>1 << flag
    if detail == NULL:
        detail = flag_detail(flag)
        if flag == FLAG_UF and x.detail != NULL:
            snprintf(reason, REASON_SIZE, b"upstream connection failed: TLS: %s", x.detail)
            detail = reason
    length = snprintf(line, LINE_SIZE, b"%s\n", detail)
    if status == 503 and flag == FLAG_OM:
        x.retry_after = 1
    status_length = snprintf(
        proxy_status, LINE_SIZE, b"tulle; error=%s; details=\"%s\"", reply_error_type(x, flag, status), detail
    )
    if unlikely(x.flags & X_GRPC):
        status = grpc_reply_fields(x, status, detail, <uint32_t>strlen(detail), grpc_text, &count)
        length = 0
    else:
        kind = json_reply_kind(x)
        if kind == JSON_NOT:
            extra_add(x.worker, &count, b"content-type", 12, b"text/plain; charset=utf-8", 25)
        else:
            body = json
            length = <int>json_reply_write(x, kind, status, GRPC_NONE, detail, <uint32_t>strlen(detail), json)
            json_reply_type(x, kind, &count)
    extra_add(x.worker, &count, b"proxy-status", 12, proxy_status, <uint32_t>status_length)
    if unlikely(x.retry_after != 0):
        length_after = snprintf(after, sizeof(after), b"%u", <unsigned int>x.retry_after)
        extra_add(x.worker, &count, b"retry-after", 11, after, <uint32_t>length_after)
    if unlikely(x.flags & X_ANSWER_FIELDS):
        answer_fields(x, &count)
    x.flags |= X_LOCAL_REPLY
    x.status = status
    x.server_ops.reply(x, status, count, body, <size_t>length)


cdef void add_route_edits(Exchange *x, uint32_t *count) noexcept nogil:
    cdef const FieldEdit *edit = <const FieldEdit *>image_at(x.table.image, x.route.response_edits.offset)
    cdef uint32_t _index
    for _index in range(x.route.response_edits.count):
        if edit.kind != FIELD_EDIT_REMOVE:
            extra_add(
                x.worker, count, image_text(x.table.image, edit.name), edit.name.length,
                image_text(x.table.image, edit.value), edit.value.length,
            )
        edit += 1
    if unlikely(x.flags & X_ANSWER_FIELDS):
        answer_fields(x, count)


cdef void reply_grpc_error(Exchange *x, const Message *answer) noexcept nogil:
    cdef int code = x.grpc_status - 1
    cdef uint16_t status = grpc_to_http(code)
    cdef char message[JSON_MESSAGE]
    cdef char json[JSON_REPLY_ROOM]
    cdef uint32_t length = grpc_message_read(answer, message, JSON_MESSAGE)
    cdef int kind = json_reply_kind(x)
    cdef uint32_t count = 0
    length = json_reply_write(x, kind, status, code, message, length, json)
    json_reply_type(x, kind, &count)
    add_route_edits(x, &count)
    x.response = NULL
    x.status = status
    x.server_ops.reply(x, status, count, json, length)


cdef void reply_fixed(Exchange *x) noexcept nogil:
    cdef const RouteEntry *route = x.route
    cdef const char *body = image_text(x.table.image, route.body)
    cdef uint32_t length = route.body.length
    cdef uint16_t status = route.status
    cdef uint32_t count = 0
    cdef char grpc_text[GRPC_REPLY_ROOM]
    if unlikely(x.flags & X_GRPC) and status >= 400:
        # What is an error to others is one to a gRPC client too, with the body for its message
        status = grpc_reply_fields(x, status, body, length, grpc_text, &count)
        length = 0
    elif route.body.length:
        extra_add(
            x.worker, &count, b"content-type", 12,
            image_text(x.table.image, route.content_type), route.content_type.length,
        )
    add_route_edits(x, &count)
    x.flags |= X_LOCAL_REPLY
    x.status = status
    x.server_ops.reply(x, status, count, body, length)


cdef struct Location:
    char *end
    char *limit
    bint overflow


cdef void location_add(Location *location, const char *text, uint32_t length) noexcept nogil:
    if location.end + length > location.limit:
        location.overflow = True
        return
    memcpy(location.end, text, length)
    location.end += length


cdef uint32_t authority_host_length(const char *authority, uint32_t length) noexcept nogil:
    """Without the port: up to the last colon that is not inside [...]."""
    cdef uint32_t index = length
    while index > 0 and authority[index - 1] != c']':
        index -= 1
        if authority[index] == c':':
            return index
    return length


cdef void reply_redirect(Exchange *x) noexcept nogil:
    """Location is what the route says, and what it does not say stays as it was asked for."""
    cdef const RouteEntry *route = x.route
    cdef const char *image = <const char *>x.table.image
    cdef const char *authority = message_at(x.request, x.request.authority)
    cdef char text[LOCATION_SIZE]
    cdef char port[16]
    cdef Location location
    cdef uint32_t count = 0
    cdef uint32_t host_length
    cdef int port_length
    cdef bint https
    location.end = text
    location.limit = text + LOCATION_SIZE
    location.overflow = False
    https = route.scheme_value.length == 5
    if route.scheme_value.length:
        location_add(&location, image_text(image, route.scheme_value), route.scheme_value.length)
    else:
        https = x.flags & X_TLS != 0
        location_add(&location, b"https", 5 if https else 4)
    location_add(&location, b"://", 3)
    host_length = authority_host_length(authority, x.request.authority_length)
    if route.host_value.length:
        location_add(&location, image_text(image, route.host_value), route.host_value.length)
    else:
        location_add(&location, authority, host_length)
    if route.port_value:
        # A port that the scheme implies is left out (Gateway API, HTTPRequestRedirectFilter)
        if not (route.port_value == 443 and https) and not (route.port_value == 80 and not https):
            port_length = snprintf(port, sizeof(port), b":%u", <unsigned int>route.port_value)
            location_add(&location, port, <uint32_t>port_length)
    elif not route.scheme_value.length and x.request.authority_length > host_length:
        location_add(&location, authority + host_length, x.request.authority_length - host_length)
    if route.path_edit == PATH_EDIT_FULL:
        location_add(&location, image_text(image, route.path_value), route.path_value.length)
    elif route.path_edit == PATH_EDIT_PREFIX:
        add_replaced_prefix(&location, x)
    else:
        location_add(&location, x.path, x.path_length)
    if x.request.query_length:
        location_add(&location, b"?", 1)
        location_add(&location, message_at(x.request, x.request.query), x.request.query_length)
    if location.overflow:
        reply_error(x, 414, -1, b"the redirect's location would be too long")
        return
    extra_add(x.worker, &count, b"location", 8, text, <uint32_t>(location.end - text))
    add_route_edits(x, &count)
    x.flags |= X_LOCAL_REPLY
    x.status = route.status
    x.server_ops.reply(x, route.status, count, b"", 0)


cdef void add_replaced_prefix(Location *location, Exchange *x) noexcept nogil:
    cdef const char *value = image_text(x.table.image, x.route.path_value)
    cdef uint32_t length = x.route.path_value.length
    cdef const char *rest = x.path + x.prefix_length
    cdef uint32_t rest_length = x.path_length - x.prefix_length
    if length > 0 and value[length - 1] == c'/':
        length -= 1
    location_add(location, value, length)
    if (rest_length == 0 and length == 0) or (rest_length > 0 and rest[0] != c'/'):
        location_add(location, b"/", 1)
    location_add(location, rest, rest_length)
