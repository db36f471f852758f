"""See `outcome.pxd`."""
from tulle._fast.base.shared cimport FLAG_UC, FLAG_UR, FLAG_UT
from tulle._fast.flow.types cimport Host


cdef void outcome_head(Attempt *attempt, const Message *message) noexcept nogil:
    cdef Host *host = attempt.host
    host.stats.responses[message.status // 100 if message.status < 600 else 0] += 1
    host.stats.latency_sum += attempt.first_byte - attempt.sent


cdef void outcome_failure(Attempt *attempt, int flag) noexcept nogil:
    cdef Host *host = attempt.host
    if flag == FLAG_UC or flag == FLAG_UR:
        host.stats.resets += 1
    elif flag == FLAG_UT:
        host.stats.timeouts += 1
