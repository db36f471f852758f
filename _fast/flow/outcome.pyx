"""See `outcome.pxd`."""
from tulle._fast.base.shared cimport FLAG_UC, FLAG_UR, FLAG_UT
from tulle._fast.base.types cimport likely, unlikely
from tulle._fast.flow.adapting cimport adapting_learn
from tulle._fast.flow.breaking cimport breaking_learn
from tulle._fast.flow.ejection cimport ejection_learn
from tulle._fast.flow.grpc cimport grpc_said
from tulle._fast.flow.hedge cimport hedge_learn
from tulle._fast.flow.latency cimport latency_answered, latency_failed
from tulle._fast.flow.step_back cimport step_back_heed
from tulle._fast.flow.types cimport X_GRPC, Host
from tulle._fast.http.grpc cimport GRPC_NONE, grpc_to_http
from tulle._fast.policy.image cimport BALANCER_PEAK_EWMA
from tulle._fast.policy.outlier cimport OUTCOME_GOOD, OUTCOME_LOCAL, outlier_status


cdef uint32_t grpc_judged(Attempt *attempt, const Message *message) noexcept nogil:
    """The status that stands for a grpc-status; where the head has none, its trailers will tell."""
    cdef int status = grpc_said(attempt.exchange, message)
    if status != GRPC_NONE:
        return grpc_to_http(status)
    attempt.judged_late = message.status == 200
    return message.status


cdef void judge(Attempt *attempt, uint32_t status) noexcept nogil:
    cdef Host *host = attempt.host
    host.stats.responses[status // 100 if status < 600 else 0] += 1
    if unlikely(host.cluster.config.breaker.scope != 0):
        breaking_learn(attempt, status >= 500)
    if unlikely(host.cluster.config.outlier.enabled):
        ejection_learn(attempt, outlier_status(status))


cdef void outcome_head(Attempt *attempt, const Message *message) noexcept nogil:
    cdef Host *host = attempt.host
    cdef uint32_t status = message.status
    if unlikely(attempt.exchange.flags & X_GRPC):
        status = grpc_judged(attempt, message)
    host.stats.latency_sum += attempt.first_byte - attempt.sent
    if unlikely(host.cluster.config.balancer == BALANCER_PEAK_EWMA):
        latency_answered(attempt, status)
    if unlikely(host.cluster.recent != NULL):
        hedge_learn(attempt)
    # What fails at once tells nothing of how long work takes
    if unlikely(host.cluster.config.adaptive.enabled) and status < 500:
        adapting_learn(attempt)
    if unlikely(status == 429 or status == 503):
        step_back_heed(host, message)
    if likely(not attempt.judged_late):
        judge(attempt, status)
        return
    # A stream may go on for hours: a probe, and a round of a circuit breaker, do not wait for its end
    if host.probe == attempt:
        ejection_learn(attempt, OUTCOME_GOOD)
    if attempt.cluster_token | attempt.host_token:
        breaking_learn(attempt, False)


cdef void outcome_trailers(Attempt *attempt, uint32_t status) noexcept nogil:
    attempt.judged_late = 0
    judge(attempt, status)


cdef void outcome_broken(Attempt *attempt) noexcept nogil:
    cdef Host *host = attempt.host
    attempt.judged_late = 0
    host.stats.resets += 1
    host.stats.local_failures += 1
    if unlikely(host.cluster.config.outlier.enabled):
        ejection_learn(attempt, OUTCOME_LOCAL)
    if unlikely(host.cluster.config.breaker.scope != 0):
        breaking_learn(attempt, True)


cdef void outcome_failure(Attempt *attempt, int flag) noexcept nogil:
    cdef Host *host = attempt.host
    if flag == FLAG_UC or flag == FLAG_UR:
        host.stats.resets += 1
    elif flag == FLAG_UT:
        host.stats.timeouts += 1
        if unlikely(host.cluster.recent != NULL):
            hedge_learn(attempt)
    host.stats.local_failures += 1
    if unlikely(host.cluster.config.balancer == BALANCER_PEAK_EWMA):
        latency_failed(attempt)
    if unlikely(host.cluster.config.outlier.enabled):
        ejection_learn(attempt, OUTCOME_LOCAL)
    if unlikely(host.cluster.config.breaker.scope != 0):
        breaking_learn(attempt, True)
    if unlikely(host.cluster.config.adaptive.enabled) and flag == FLAG_UT:
        adapting_learn(attempt)
