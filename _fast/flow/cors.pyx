"""See `cors.pxd`."""
from tulle._fast.flow.head_edits cimport extra_add, field_drop
from tulle._fast.flow.types cimport X_LOCAL_REPLY, X_PREFLIGHT
from tulle._fast.http.message cimport METHOD_OPTIONS, Field, Message, message_at
from tulle._fast.http.named cimport named_first
from tulle._fast.policy.cors cimport CorsEntry, cors_allows
from tulle._fast.policy.image cimport Text, image_at, image_text


cdef inline const CorsEntry *cors_of(const Exchange *x) noexcept nogil:
    return <const CorsEntry *>image_at(x.table.image, x.route.cors)


cdef inline const Field *origin_of(const Exchange *x) noexcept nogil:
    return named_first(x.request, b"origin", 6)


cdef bint origin_allowed(const Exchange *x, const CorsEntry *cors, const Field *origin) noexcept nogil:
    return origin != NULL and cors_allows(
        x.table.image, cors, message_at(x.request, origin.value), origin.value_length
    )


cdef void add_text(Exchange *x, uint32_t *count, const char *name, uint32_t length, Text value) noexcept nogil:
    if value.length > 0:
        extra_add(x.worker, count, name, length, image_text(x.table.image, value), value.length)


cdef bint cors_asks(Exchange *x) noexcept nogil:
    """An OPTIONS that names an origin and the method that is to follow."""
    return (
        x.method == METHOD_OPTIONS
        and origin_of(x) != NULL
        and named_first(x.request, b"access-control-request-method", 29) != NULL
    )


cdef bint cors_preflight(Exchange *x) noexcept nogil:
    cdef uint32_t count = 0
    if not cors_asks(x):
        return False
    x.flags |= X_LOCAL_REPLY | X_PREFLIGHT
    x.status = 204 if origin_allowed(x, cors_of(x), origin_of(x)) else 403
    cors_fields(x, &count)
    x.server_ops.reply(x, x.status, count, b"", 0)
    return True


cdef void drop_fields_of_upstream(Message *answer) noexcept nogil:
    """What an upstream says of origins does not hold here."""
    field_drop(answer, b"access-control-allow-origin", 27)
    field_drop(answer, b"access-control-allow-credentials", 32)
    field_drop(answer, b"access-control-expose-headers", 29)
    field_drop(answer, b"access-control-allow-methods", 28)
    field_drop(answer, b"access-control-allow-headers", 28)
    field_drop(answer, b"access-control-max-age", 22)


cdef void cors_fields(Exchange *x, uint32_t *count) noexcept nogil:
    cdef const CorsEntry *cors = cors_of(x)
    cdef const Field *origin = origin_of(x)
    if x.response != NULL:
        drop_fields_of_upstream(<Message *>x.response)
    if not cors.any_origin:
        # Also to answers without the others: a cache must not give them to another origin
        extra_add(x.worker, count, b"vary", 4, b"Origin", 6)
    if not origin_allowed(x, cors, origin):
        return
    if cors.any_origin:
        extra_add(x.worker, count, b"access-control-allow-origin", 27, b"*", 1)
    else:
        extra_add(
            x.worker, count, b"access-control-allow-origin", 27,
            message_at(x.request, origin.value), origin.value_length,
        )
    if cors.credentials:
        extra_add(x.worker, count, b"access-control-allow-credentials", 32, b"true", 4)
    if x.flags & X_PREFLIGHT:
        add_text(x, count, b"access-control-allow-methods", 28, cors.methods)
        add_text(x, count, b"access-control-allow-headers", 28, cors.headers)
        add_text(x, count, b"access-control-max-age", 22, cors.max_age)
    else:
        add_text(x, count, b"access-control-expose-headers", 29, cors.exposed)
