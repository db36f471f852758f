"""See `answer_fields.pxd`."""
from tulle._fast.flow.affinity cimport affinity_field
from tulle._fast.flow.cors cimport cors_fields
from tulle._fast.flow.hash_on cimport hash_cookie_field
from tulle._fast.flow.rate_limit cimport rate_fields


cdef void answer_fields(Exchange *x, uint32_t *count) noexcept nogil:
    if x.listener == NULL:
        return
    rate_fields(x, count)
    if x.route != NULL and x.route.cors != 0:
        cors_fields(x, count)
    hash_cookie_field(x, count)
    affinity_field(x, count)
