"""The beginning of an exchange: normalise, match, decide, send on; and what its server side tells it later.

    exchange_new -> exchange_run -> reply_* | attempt_start -> ... -> exchange_finish
"""
from tulle._fast.base.buf cimport Buf
from tulle._fast.base.types cimport uint16_t, uint32_t, uint64_t
from tulle._fast.flow.types cimport Exchange, ServerOps, Table, Worker
from tulle._fast.http.message cimport Message
from tulle._fast.policy.image cimport ListenerEntry

# The settings of a listener in the newest table that has it; NULL when none has. `*table` is not counted for the caller
cdef const ListenerEntry *listener_find(Worker *worker, uint32_t listener_id, Table **table) noexcept nogil
# Takes over the message and a reference to `buf`. NULL without memory, and then nothing was taken over
cdef Exchange *exchange_new(
    Worker *worker, void *server, const ServerOps *ops, uint32_t listener_id, Message *message, Buf *buf,
    uint64_t started
) noexcept nogil
cdef void exchange_run(Exchange *x) noexcept nogil
# The request's head could not be accepted: answer and close. `status` 0: no answer can be given (it sent nothing)
cdef void exchange_refuse(Exchange *x, uint16_t status, int flag, const char *detail) noexcept nogil
# The server side can take more again
cdef void exchange_server_drained(Exchange *x) noexcept nogil
cdef void exchange_install(Worker *worker) noexcept nogil
