"""See `head_edits.pxd`. RFC 9110 section 7.6 (forwarding), section 7.6.3 (Via)."""
from libc.string cimport memcpy

from tulle._fast.base.buf cimport buf_get
from tulle._fast.base.random cimport random_next
from tulle._fast.base.types cimport likely, uint8_t, uint16_t, uint64_t, unlikely
from tulle._fast.flow.grpc cimport grpc_timeout_field
from tulle._fast.flow.grpc_web cimport grpc_web_request_fields
from tulle._fast.flow.types cimport EXTRAS_MAX, FIELD_TEXT, X_GRPC_WEB, X_MIRROR, X_TLS, X_UPGRADE, Host, Mirror
from tulle._fast.http.field cimport field_id as id_of_name
from tulle._fast.http.h1_write cimport Extra
from tulle._fast.http.message cimport (
    FIELD_DROP, FIELD_HOST, FIELD_OTHER, FIELD_UPGRADE, FIELD_X_FORWARDED_CLIENT_CERT, FIELD_X_FORWARDED_FOR,
    FIELD_X_FORWARDED_HOST, FIELD_X_FORWARDED_PROTO, FIELD_X_REQUEST_ID, MESSAGE_TE_TRAILERS, TARGET_ABSOLUTE,
    TARGET_ASTERISK, TARGET_AUTHORITY, TARGET_ORIGIN, Field, Message, field_bit, message_at, message_field,
)
from tulle._fast.http.octet cimport octet_lower
from tulle._fast.net.system cimport AF_UNIX, sockaddr
from tulle._fast.policy.claims cimport CLAIM_FIELD, ClaimRecord, claim_next
from tulle._fast.policy.image cimport (
    FIELD_EDIT_ADD, FIELD_EDIT_REMOVE, LISTENER_ADD_FORWARDED_FOR, LISTENER_ADD_REQUEST_ID, LISTENER_ADD_VIA,
    LISTENER_KEEP_CERTIFICATE, LISTENER_KEEP_CERTIFICATE_ALWAYS, LISTENER_SET_CERTIFICATE, PATH_EDIT_FULL,
    PATH_EDIT_PREFIX, ROUTE_REWRITE_HOST, FieldEdit, RouteEntry, Span, Text, image_at, image_text,
)

cdef enum:
    REQUEST_ID_LENGTH = 36


cdef void extra_add(
    Worker *worker, uint32_t *count, const char *name, uint32_t name_length, const char *value, uint32_t value_length
) noexcept nogil:
    cdef Extra *extra = &worker.extras[count[0]]
    if count[0] >= EXTRAS_MAX:
        return
    extra.name = name
    extra.name_length = name_length
    extra.value = value
    extra.value_length = value_length
    count[0] += 1


# -- dropping ---------------------------------------------------------------------------------------------------------

cdef bint same_name(const char *left, const char *right, uint32_t length) noexcept nogil:
    cdef uint32_t index
    for index in range(length):
        if octet_lower(<uint8_t>left[index]) != octet_lower(<uint8_t>right[index]):
            return False
    return True


cdef void drop_named(Message *message, uint32_t field_id, const char *name, uint32_t length) noexcept nogil:
    cdef uint16_t index
    cdef Field *field
    for index in range(message.field_count):
        field = &message.fields[index]
        if field.id == field_id and (
            field_id != FIELD_OTHER
            or (field.name_length == length and same_name(message_at(message, field.name), name, length))
        ):
            field.flags |= FIELD_DROP


cdef void drop_id(Message *message, int field_id) noexcept nogil:
    if message_field(message, field_id) != NULL:
        drop_named(message, field_id, NULL, 0)


cdef void field_drop(Message *message, const char *name, uint32_t length) noexcept nogil:
    drop_named(message, id_of_name(name, length), name, length)


cdef void drop_extra(Worker *worker, uint32_t *count, const char *name, uint32_t length) noexcept nogil:
    """A field that we had added before the route's edits took it away."""
    cdef uint32_t index
    cdef uint32_t kept = 0
    for index in range(count[0]):
        if worker.extras[index].name_length == length and same_name(worker.extras[index].name, name, length):
            continue
        worker.extras[kept] = worker.extras[index]
        kept += 1
    count[0] = kept


cdef void apply_edits(
    Worker *worker, Message *message, const void *image, Span edits, uint32_t *count
) noexcept nogil:
    cdef const FieldEdit *edit = <const FieldEdit *>image_at(image, edits.offset)
    cdef const char *name
    cdef uint32_t _index
    for _index in range(edits.count):
        name = image_text(image, edit.name)
        if edit.kind != FIELD_EDIT_ADD:
            drop_named(message, edit.id, name, edit.name.length)
            drop_extra(worker, count, name, edit.name.length)
        if edit.kind != FIELD_EDIT_REMOVE:
            extra_add(worker, count, name, edit.name.length, image_text(image, edit.value), edit.value.length)
        edit += 1


# -- the target -------------------------------------------------------------------------------------------------------

cdef char *append(char *out, const char *data, uint32_t length) noexcept nogil:
    memcpy(out, data, length)
    return out + length


cdef bint target_edit(Exchange *x, HeadEdits *edits) noexcept nogil:
    """The target to send: NULL (as it came), the normalised path, or the route's rewrite of it, with the query.

    False when there is no room for it.
    """
    cdef const Message *message = x.request
    cdef const RouteEntry *route = x.route
    cdef const char *head = b""
    cdef const char *rest = x.path
    cdef uint32_t head_length = 0
    cdef uint32_t rest_length = x.path_length
    cdef char *out
    cdef char *begin
    edits.target = NULL
    edits.target_length = 0
    if message.target_form == TARGET_AUTHORITY or message.target_form == TARGET_ASTERISK:
        return True
    if route.path_edit == PATH_EDIT_FULL:
        head = image_text(x.table.image, route.path_value)
        head_length = route.path_value.length
        rest_length = 0
    elif route.path_edit == PATH_EDIT_PREFIX:
        head = image_text(x.table.image, route.path_value)
        head_length = route.path_value.length
        rest += x.prefix_length
        rest_length -= x.prefix_length
        # Between the new prefix and the rest stands exactly one slash
        if rest_length > 0 and rest[0] == c'/':
            if head_length > 0 and head[head_length - 1] == c'/':
                head_length -= 1
        elif rest_length > 0 and (head_length == 0 or head[head_length - 1] != c'/'):
            rest -= 1
            rest_length += 1
        if head_length + rest_length == 0:
            head = b"/"
            head_length = 1
    elif likely(x.path_buf == NULL and message.target_form == TARGET_ORIGIN):
        return True
    elif rest_length == 0:
        head = b"*"
        head_length = 1
    begin = target_room(x, head_length + rest_length + message.query_length + 1)
    if begin == NULL:
        return False
    out = append(begin, head, head_length)
    out = append(out, rest, rest_length)
    if message.query != 0:
        out = append(out, b"?", 1)
        out = append(out, message_at(message, message.query), message.query_length)
    edits.target = begin
    edits.target_length = <uint32_t>(out - begin)
    return True


cdef char *target_room(Exchange *x, uint32_t length) noexcept nogil:
    """Room behind the normalised path, in the buffer that is the exchange's own, or in one for the target alone."""
    if x.path_buf == NULL:
        x.path_buf = buf_get(&x.worker.bufs, length > 8192)
        if x.path_buf == NULL:
            return NULL
    if likely(x.path_buf.end + length <= x.path_buf.capacity):
        return x.path_buf.data + x.path_buf.end
    if x.target_buf == NULL:
        x.target_buf = buf_get(&x.worker.bufs, True)
    if x.target_buf == NULL or length > x.target_buf.capacity:
        return NULL
    return x.target_buf.data


# -- forwarding fields ------------------------------------------------------------------------------------------------

cdef inline void hex_digits(char *out, uint64_t bits) noexcept nogil:
    """Eight digits of 32 bits, in an order that does not matter to who has drawn them."""
    bits &= <uint64_t>0xffffffff
    bits = (bits | bits << 16) & <uint64_t>0x0000ffff0000ffff
    bits = (bits | bits << 8) & <uint64_t>0x00ff00ff00ff00ff
    bits = (bits | bits << 4) & <uint64_t>0x0f0f0f0f0f0f0f0f
    # From 10 on a letter, which lies 39 behind where the next digit would be
    bits += <uint64_t>0x3030303030303030 + (
        (bits + <uint64_t>0x0606060606060606) >> 4 & <uint64_t>0x0101010101010101
    ) * 39
    memcpy(out, &bits, 8)


cdef void request_id_choose(Exchange *x) noexcept nogil:
    cdef const Field *field
    cdef const char *variants = b"89ab"
    cdef char digits[32]
    cdef uint64_t bits
    if x.listener.trusted_hops > 0:
        field = message_field(x.request, FIELD_X_REQUEST_ID)
        if field != NULL and 0 < field.value_length <= sizeof(x.request_id):
            memcpy(x.request_id, message_at(x.request, field.value), field.value_length)
            x.request_id_length = field.value_length
            return
    # A version 4 UUID (RFC 9562 section 5.4)
    bits = random_next(&x.worker.random)
    hex_digits(digits, bits)
    hex_digits(digits + 8, bits >> 32)
    bits = random_next(&x.worker.random)
    hex_digits(digits + 16, bits)
    hex_digits(digits + 24, bits >> 32)
    memcpy(x.request_id, digits, 8)
    memcpy(x.request_id + 9, digits + 8, 4)
    memcpy(x.request_id + 14, digits + 12, 4)
    memcpy(x.request_id + 19, digits + 16, 4)
    memcpy(x.request_id + 24, digits + 20, 12)
    x.request_id[8] = c'-'
    x.request_id[13] = c'-'
    x.request_id[14] = c'4'
    x.request_id[18] = c'-'
    x.request_id[19] = variants[random_next(&x.worker.random) & 3]
    x.request_id[23] = c'-'
    x.request_id_length = REQUEST_ID_LENGTH


cdef void certificate_field(Exchange *x, uint32_t *count) noexcept nogil:
    """x-forwarded-client-cert: of clients that are believed it is kept, of others nothing is left."""
    cdef uint32_t flags = x.listener.flags
    if unlikely(x.request.known & field_bit(FIELD_X_FORWARDED_CLIENT_CERT)) and not (
        flags & LISTENER_KEEP_CERTIFICATE_ALWAYS or (flags & LISTENER_KEEP_CERTIFICATE and x.certificate != NULL)
    ):
        drop_id(x.request, FIELD_X_FORWARDED_CLIENT_CERT)
    if unlikely(x.certificate != NULL) and flags & LISTENER_SET_CERTIFICATE:
        extra_add(x.worker, count, b"x-forwarded-client-cert", 23, x.certificate, x.certificate_length)


cdef void forwarding_fields(Exchange *x, uint32_t *count) noexcept nogil:
    """x-forwarded-*: a client's own are believed, and kept, only as far as `trusted_hops` says."""
    cdef Worker *worker = x.worker
    cdef Message *message = x.request
    cdef bint trusted = x.listener.trusted_hops > 0
    certificate_field(x, count)
    if x.listener.flags & LISTENER_ADD_FORWARDED_FOR:
        if not trusted:
            drop_id(message, FIELD_X_FORWARDED_FOR)
            drop_id(message, FIELD_X_FORWARDED_PROTO)
            drop_id(message, FIELD_X_FORWARDED_HOST)
        # One line more is the same list (RFC 9110 section 5.3)
        extra_add(worker, count, b"x-forwarded-for", 15, x.peer, x.peer_length)
        if not trusted or message_field(message, FIELD_X_FORWARDED_PROTO) == NULL:
            extra_add(worker, count, b"x-forwarded-proto", 17, b"https", 5 if x.flags & X_TLS else 4)
    if x.listener.flags & LISTENER_ADD_REQUEST_ID:
        drop_id(message, FIELD_X_REQUEST_ID)
        extra_add(worker, count, b"x-request-id", 12, x.request_id, x.request_id_length)


cdef void via_field(Exchange *x, const Message *message, uint32_t *count) noexcept nogil:
    """With the version in which the message has come (RFC 9110 section 7.6.3)."""
    cdef uint32_t length
    if x.listener.flags & LISTENER_ADD_VIA:
        length = x.listener.via.length // 3
        extra_add(
            x.worker, count, b"via", 3,
            image_text(x.table.image, x.listener.via) + message.version_minor * length, length
        )


cdef void claim_fields(Exchange *x, uint32_t *count) noexcept nogil:
    """What upstream is told of the token; what came under these names was dropped when the token was looked for."""
    cdef const Text *name = <const Text *>image_at(x.table.image, x.token_entry.fields.offset)
    cdef ClaimRecord record
    cdef uint32_t position = 0
    while claim_next(x.token.claims, x.token.claims_length, &position, &record):
        if record.kind == CLAIM_FIELD and record.index < x.token_entry.fields.count:
            extra_add(
                x.worker, count, image_text(x.table.image, name[record.index]), name[record.index].length,
                record.text, record.length,
            )


cdef void host_of_endpoint(const Attempt *attempt, uint32_t *count) noexcept nogil:
    """For a request of HTTP/1.0 that names none."""
    cdef Worker *worker = attempt.exchange.worker
    cdef const Host *host = attempt.host
    if (<const sockaddr *>host.address).sa_family == AF_UNIX:
        extra_add(worker, count, b"host", 4, b"localhost", 9)
    else:
        extra_add(worker, count, b"host", 4, host.text, host.text_length)


cdef void shadow_host(const Attempt *attempt, uint32_t *count) noexcept nogil:
    """The host that the original would name, with "-shadow" behind its name: so a mirror tells its requests apart."""
    cdef Exchange *x = attempt.exchange
    cdef const char *host = message_at(x.request, x.request.authority)
    cdef uint32_t length = x.request.authority_length
    cdef char *out = x.worker.field_text[0]
    cdef uint32_t name
    cdef uint32_t suffix = 7
    if x.route.flags & ROUTE_REWRITE_HOST:
        host = image_text(x.table.image, x.route.host_value)
        length = x.route.host_value.length
    elif length == 0:
        if message_field(x.request, FIELD_HOST) == NULL:
            host_of_endpoint(attempt, count)
        return
    if length > FIELD_TEXT - 8:
        length = FIELD_TEXT - 8
    name = length
    while name > 0 and c'0' <= host[name - 1] <= c'9':
        name -= 1
    name = name - 1 if name > 0 and host[name - 1] == c':' else length
    memcpy(out, host, name)
    if length > 0 and host[0] == c'[':
        suffix = 0                     # an address in brackets takes no name
    memcpy(out + name, b"-shadow", suffix)
    memcpy(out + name + suffix, host + name, length - name)
    drop_id(x.request, FIELD_HOST)
    extra_add(x.worker, count, b"host", 4, out, length + suffix)


# -- whole heads ------------------------------------------------------------------------------------------------------

cdef bint request_edits(Attempt *attempt, HeadEdits *edits) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    cdef Worker *worker = x.worker
    cdef Message *message = x.request
    cdef const RouteEntry *route = x.route
    cdef const Field *upgrade
    cdef uint32_t count = 0
    if not target_edit(x, edits):
        return False
    x.target = edits.target
    x.target_length = edits.target_length
    if unlikely(x.flags & X_MIRROR) and (<Mirror *>x.server).suffix:
        shadow_host(attempt, &count)
    elif route.flags & ROUTE_REWRITE_HOST:
        drop_id(message, FIELD_HOST)
        extra_add(worker, &count, b"host", 4, image_text(x.table.image, route.host_value), route.host_value.length)
    elif message.target_form == TARGET_ABSOLUTE or message.target_form == TARGET_AUTHORITY:
        extra_add(worker, &count, b"host", 4, message_at(message, message.authority), message.authority_length)
    elif message_field(message, FIELD_HOST) == NULL:
        host_of_endpoint(attempt, &count)
    forwarding_fields(x, &count)
    via_field(x, message, &count)
    if message.flags & MESSAGE_TE_TRAILERS:
        extra_add(worker, &count, b"te", 2, b"trailers", 8)
    if unlikely(x.flags & X_GRPC_WEB):
        grpc_web_request_fields(x, &count)
    if unlikely(x.grpc_deadline != 0):
        grpc_timeout_field(x, &count)
    if x.flags & X_UPGRADE:
        upgrade = message_field(message, FIELD_UPGRADE)
        extra_add(worker, &count, b"connection", 10, b"upgrade", 7)
        extra_add(worker, &count, b"upgrade", 7, message_at(message, upgrade.value), upgrade.value_length)
    if unlikely(x.token != NULL):
        claim_fields(x, &count)
    if route.request_edits.count:
        apply_edits(worker, message, x.table.image, route.request_edits, &count)
    edits.extra_count = count
    edits.extras = worker.extras
    return True


cdef uint32_t response_edits(Exchange *x) noexcept nogil:
    cdef uint32_t count = 0
    if x.listener == NULL:
        return 0
    via_field(x, x.response, &count)
    if x.route != NULL and x.route.response_edits.count:
        apply_edits(x.worker, <Message *>x.response, x.table.image, x.route.response_edits, &count)
    return count
