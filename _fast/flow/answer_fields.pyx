"""See `answer_fields.pxd`."""
from tulle._fast.base.types cimport unlikely
from tulle._fast.flow.affinity cimport affinity_field
from tulle._fast.flow.cors cimport cors_fields
from tulle._fast.flow.grpc_web cimport grpc_web_answer_fields
from tulle._fast.flow.hash_on cimport hash_cookie_field
from tulle._fast.flow.rate_limit cimport rate_fields
from tulle._fast.flow.types cimport X_GRPC_WEB


cdef void answer_fields(Exchange *x, uint32_t *count) noexcept nogil:
    if unlikely(x.flags & X_GRPC_WEB):
        grpc_web_answer_fields(x, count)
    if x.listener == NULL:
        return
    rate_fields(x, count)
    if x.route != NULL and x.route.cors != 0:
        cors_fields(x, count)
    hash_cookie_field(x, count)
    affinity_field(x, count)
