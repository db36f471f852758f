"""See `outlier.pxd`."""
from libc.math cimport sqrt

from tulle._fast.base.atomic cimport (
    atomic_compare_exchange_u32, atomic_compare_exchange_u64, atomic_fetch_add_u32, atomic_load_u32, atomic_load_u64,
    atomic_store_u32,
)
from tulle._fast.base.types cimport likely

cdef enum:
    PROBING = 1                        # bit 0 of `ejected`


# -- failures in a row ------------------------------------------------------------------------------------------------

cdef inline void run_ends(uint32_t *run) noexcept nogil:
    """Written only when it changes: while all goes well, all workers share the line."""
    if atomic_load_u32(run) != 0:
        atomic_store_u32(run, 0)


cdef inline bint run_grows(uint32_t *run, uint32_t longest) noexcept nogil:
    """True when the run is as long as it may get; it begins anew then."""
    if likely(atomic_fetch_add_u32(run, 1) + 1 < longest):
        return False
    atomic_store_u32(run, 0)
    return True


cdef int outlier_count(const OutlierPolicy *policy, EndpointHealth *health, int outcome) noexcept nogil:
    cdef bint gateway
    if outcome == OUTCOME_LOCAL and policy.split_local:
        return OUTLIER_LOCAL if run_grows(&health.run_local, policy.consecutive_local_origin_failure) else OUTLIER_NONE
    # Any answer at all ends a run of tries without one
    if policy.split_local:
        run_ends(&health.run_local)
    if likely(outcome == OUTCOME_GOOD):
        run_ends(&health.run_5xx)
        run_ends(&health.run_gateway)
        return OUTLIER_NONE
    gateway = False
    if outcome == OUTCOME_5XX:
        run_ends(&health.run_gateway)
    else:
        gateway = run_grows(&health.run_gateway, policy.consecutive_gateway_failure)
    if run_grows(&health.run_5xx, policy.consecutive_5xx):
        return OUTLIER_5XX if not gateway or policy.enforcing[<int>OUTLIER_5XX] != 0 else OUTLIER_GATEWAY
    return OUTLIER_GATEWAY if gateway else OUTLIER_NONE


# -- over an interval -------------------------------------------------------------------------------------------------

cdef void outlier_sample(
    EndpointHealth *health, uint32_t answers, uint32_t errors, uint32_t local, OutlierSample *sample
) noexcept nogil:
    sample.answers = answers - health.seen_answers
    sample.errors = errors - health.seen_errors
    sample.local = local - health.seen_local
    health.seen_answers = answers
    health.seen_errors = errors
    health.seen_local = local


cdef inline uint32_t sample_total(const OutlierPolicy *policy, const OutlierSample *sample, bint local) noexcept nogil:
    """Tries that a rate is of. Local failures told apart: of the answers; or of all tries."""
    return sample.answers if policy.split_local and not local else sample.answers + sample.local


cdef inline uint32_t sample_bad(const OutlierPolicy *policy, const OutlierSample *sample, bint local) noexcept nogil:
    if local:
        return sample.local
    return sample.errors if policy.split_local else sample.errors + sample.local


cdef void judge_success(
    const OutlierPolicy *policy, const OutlierSample *samples, uint32_t count, int32_t *verdicts, bint local
) noexcept nogil:
    """Out is who succeeds less often than the mean of all, by so many standard deviations."""
    cdef uint32_t index, total
    cdef uint32_t hosts = 0
    cdef double rate, least, mean
    cdef double rates = 0
    cdef double squares = 0
    for index in range(count):
        total = sample_total(policy, &samples[index], local)
        if total > 0 and total >= policy.success_rate_request_volume:
            rate = 100.0 * (total - sample_bad(policy, &samples[index], local)) / total
            hosts += 1
            rates += rate
            squares += rate * rate
    if hosts == 0 or hosts < policy.success_rate_minimum_hosts:
        return
    mean = rates / hosts
    # Rounding may have the variance of equal rates a little below 0
    squares = squares / hosts - mean * mean
    least = mean - (sqrt(squares) if squares > 0 else 0) * policy.success_rate_stdev_factor / 1000.0
    for index in range(count):
        total = sample_total(policy, &samples[index], local)
        if total > 0 and total >= policy.success_rate_request_volume and verdicts[index] == OUTLIER_NONE:
            rate = 100.0 * (total - sample_bad(policy, &samples[index], local)) / total
            if rate < least - 1e-6:
                verdicts[index] = OUTLIER_LOCAL_SUCCESS_RATE if local else OUTLIER_SUCCESS_RATE


cdef void judge_percentage(
    const OutlierPolicy *policy, const OutlierSample *samples, uint32_t count, int32_t *verdicts, bint local
) noexcept nogil:
    """Out is who fails in so many of hundred."""
    cdef uint32_t index, total
    cdef uint32_t hosts = 0
    for index in range(count):
        total = sample_total(policy, &samples[index], local)
        if total > 0 and total >= policy.failure_percentage_request_volume:
            hosts += 1
    if hosts < policy.failure_percentage_minimum_hosts:
        return
    for index in range(count):
        total = sample_total(policy, &samples[index], local)
        if total == 0 or total < policy.failure_percentage_request_volume or verdicts[index] != OUTLIER_NONE:
            continue
        if (
            <uint64_t>sample_bad(policy, &samples[index], local) * 100
            >= <uint64_t>policy.failure_percentage_threshold * total
        ):
            verdicts[index] = OUTLIER_LOCAL_PERCENTAGE if local else OUTLIER_PERCENTAGE


cdef void outlier_judge(
    const OutlierPolicy *policy, const OutlierSample *samples, uint32_t count, int32_t *verdicts
) noexcept nogil:
    cdef uint32_t index
    for index in range(count):
        verdicts[index] = OUTLIER_NONE
    if policy.enforcing[<int>OUTLIER_SUCCESS_RATE]:
        judge_success(policy, samples, count, verdicts, False)
    if policy.enforcing[<int>OUTLIER_PERCENTAGE]:
        judge_percentage(policy, samples, count, verdicts, False)
    if policy.split_local and policy.enforcing[<int>OUTLIER_LOCAL_SUCCESS_RATE]:
        judge_success(policy, samples, count, verdicts, True)
    if policy.split_local and policy.enforcing[<int>OUTLIER_LOCAL_PERCENTAGE]:
        judge_percentage(policy, samples, count, verdicts, True)


cdef void outlier_forgive(EndpointHealth *health, uint64_t intervals) noexcept nogil:
    cdef uint32_t ejections = atomic_load_u32(&health.ejections)
    cdef uint32_t left
    while ejections != 0 and atomic_load_u64(&health.ejected) == 0:
        left = ejections - <uint32_t>intervals if intervals < ejections else 0
        if atomic_compare_exchange_u32(&health.ejections, &ejections, left):
            return


# -- out, and back ----------------------------------------------------------------------------------------------------

cdef uint32_t outlier_most(const OutlierPolicy *policy, uint32_t hosts) noexcept nogil:
    cdef uint64_t most
    if hosts < 2 or policy.max_ejection_percent == 0:
        return 0
    most = <uint64_t>hosts * policy.max_ejection_percent // 100
    if most == 0:
        most = 1
    return <uint32_t>most if most < hosts else hosts - 1


cdef uint64_t out_until(const OutlierPolicy *policy, uint32_t ejections, uint64_t now) noexcept nogil:
    """The base time once for each ejection, up to the longest; even, for bit 0 is the probe's."""
    cdef uint64_t longest = policy.max_ejection_time
    cdef uint64_t out = longest
    if longest < policy.base_ejection_time:
        longest = policy.base_ejection_time
        out = longest
    if ejections <= longest // policy.base_ejection_time:
        out = policy.base_ejection_time * ejections
    return (now + out) & ~<uint64_t>PROBING


cdef uint64_t outlier_eject(const OutlierPolicy *policy, EndpointHealth *health, uint64_t now) noexcept nogil:
    cdef uint64_t none = 0
    cdef uint64_t until = out_until(policy, atomic_load_u32(&health.ejections) + 1, now)
    if not atomic_compare_exchange_u64(&health.ejected, &none, until):
        return 0
    atomic_fetch_add_u32(&health.ejections, 1)
    return until


cdef void outlier_undo(EndpointHealth *health, uint64_t ejected) noexcept nogil:
    if atomic_compare_exchange_u64(&health.ejected, &ejected, 0):
        atomic_fetch_add_u32(&health.ejections, <uint32_t>-1)


cdef uint64_t outlier_probe(const OutlierPolicy *policy, EndpointHealth *health, uint64_t now) noexcept nogil:
    cdef uint64_t found = atomic_load_u64(&health.ejected)
    cdef uint64_t token = (now + policy.base_ejection_time) | PROBING
    if found == 0 or found > now:
        return 0
    return token if atomic_compare_exchange_u64(&health.ejected, &found, token) else 0


cdef bint outlier_probed(
    const OutlierPolicy *policy, EndpointHealth *health, uint64_t token, bint good, uint64_t now
) noexcept nogil:
    if good:
        # Of what was counted while it was out nothing is held against it
        atomic_store_u32(&health.run_5xx, 0)
        atomic_store_u32(&health.run_gateway, 0)
        atomic_store_u32(&health.run_local, 0)
        return atomic_compare_exchange_u64(&health.ejected, &token, 0)
    if not atomic_compare_exchange_u64(
        &health.ejected, &token, out_until(policy, atomic_load_u32(&health.ejections) + 1, now)
    ):
        return False
    atomic_fetch_add_u32(&health.ejections, 1)
    return True


cdef void outlier_probe_dropped(EndpointHealth *health, uint64_t token, uint64_t now) noexcept nogil:
    atomic_compare_exchange_u64(&health.ejected, &token, now & ~<uint64_t>PROBING)
