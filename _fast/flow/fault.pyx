"""See `fault.pxd`."""
from tulle._fast.base.random cimport random_next
from tulle._fast.base.shared cimport FLAG_DI, FLAG_FI
from tulle._fast.base.timer cimport timer_set
from tulle._fast.base.types cimport uint16_t, uint32_t
from tulle._fast.flow.reply cimport reply_error
from tulle._fast.flow.types cimport X_BACKOFF, X_HELD
from tulle._fast.policy.fault cimport FaultEntry, fault_hits
from tulle._fast.policy.image cimport image_at


cdef bint fault_delay(Exchange *x) noexcept nogil:
    cdef const FaultEntry *fault = <const FaultEntry *>image_at(x.table.image, x.route.fault)
    if fault.delay == 0 or not fault_hits(
        x.table.image, x.request, fault.delay_share, fault.delay_headers, random_next(&x.worker.random)
    ):
        return False
    x.response_flags |= <uint32_t>1 << FLAG_DI
    x.flags |= X_HELD | X_BACKOFF
    x.backoff_until = x.worker.loop.now + fault.delay
    timer_set(&x.worker.loop.timers, &x.timer, x.backoff_until)
    return True


cdef bint fault_abort(Exchange *x) noexcept nogil:
    cdef const FaultEntry *fault = <const FaultEntry *>image_at(x.table.image, x.route.fault)
    if fault.abort_status == 0 or not fault_hits(
        x.table.image, x.request, fault.abort_share, fault.abort_headers, random_next(&x.worker.random)
    ):
        return False
    reply_error(x, <uint16_t>fault.abort_status, FLAG_FI, NULL)
    return True
