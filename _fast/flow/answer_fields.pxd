"""Fields that policies of a listener or a route put into answers, whether they came from upstream or are our own.

Asked for when X_ANSWER_FIELDS is set, by whoever writes a head, before the table is let go.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport Exchange

cdef void answer_fields(Exchange *x, uint32_t *count) noexcept nogil
