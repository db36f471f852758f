"""What a proxied head gains and loses, whatever protocol writes it: forwarding fields, route edits, the new target.

Lines to leave out are marked FIELD_DROP in the message; lines to add go to `Worker.extras`, which holds one head's.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport Attempt, Exchange, Worker
from tulle._fast.http.h1_write cimport HeadEdits
from tulle._fast.http.message cimport Message

cdef void extra_add(
    Worker *worker, uint32_t *count, const char *name, uint32_t name_length, const char *value, uint32_t value_length
) noexcept nogil
# Repeatable: every try of an exchange asks anew. False: the new target has no room
cdef bint request_edits(Attempt *attempt, HeadEdits *edits) noexcept nogil
# The number of extras
cdef uint32_t response_edits(Exchange *x) noexcept nogil
# Makes x.request_id, or takes the client's when it is trusted
cdef void request_id_choose(Exchange *x) noexcept nogil
# Leave out all fields of that name
cdef void field_drop(Message *message, const char *name, uint32_t length) noexcept nogil
