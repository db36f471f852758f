"""See `outcome.pxd`."""
from tulle._fast.base.shared cimport FLAG_UC, FLAG_UR, FLAG_UT
from tulle._fast.base.types cimport unlikely
from tulle._fast.flow.breaking cimport breaking_learn
from tulle._fast.flow.ejection cimport ejection_learn
from tulle._fast.flow.latency cimport latency_answered, latency_failed
from tulle._fast.flow.step_back cimport step_back_heed
from tulle._fast.flow.types cimport Host
from tulle._fast.policy.image cimport BALANCER_PEAK_EWMA
from tulle._fast.policy.outlier cimport OUTCOME_LOCAL, outlier_status


cdef void outcome_head(Attempt *attempt, const Message *message) noexcept nogil:
    cdef Host *host = attempt.host
    host.stats.responses[message.status // 100 if message.status < 600 else 0] += 1
    host.stats.latency_sum += attempt.first_byte - attempt.sent
    if unlikely(host.cluster.config.balancer == BALANCER_PEAK_EWMA):
        latency_answered(attempt, message.status)
    if unlikely(host.cluster.config.breaker.scope != 0):
        breaking_learn(attempt, message.status >= 500)
    if unlikely(message.status == 429 or message.status == 503):
        step_back_heed(host, message)
    if unlikely(host.cluster.config.outlier.enabled):
        ejection_learn(attempt, outlier_status(message.status))


cdef void outcome_failure(Attempt *attempt, int flag) noexcept nogil:
    cdef Host *host = attempt.host
    if flag == FLAG_UC or flag == FLAG_UR:
        host.stats.resets += 1
    elif flag == FLAG_UT:
        host.stats.timeouts += 1
    host.stats.local_failures += 1
    if unlikely(host.cluster.config.balancer == BALANCER_PEAK_EWMA):
        latency_failed(attempt)
    if unlikely(host.cluster.config.outlier.enabled):
        ejection_learn(attempt, OUTCOME_LOCAL)
    if unlikely(host.cluster.config.breaker.scope != 0):
        breaking_learn(attempt, True)
