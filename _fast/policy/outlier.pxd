"""Outlier detection: which hosts are taken out for what came of requests to them, for how long, and how they return.

The names and defaults of the policy are Envoy's. What is learnt of a host is in its `EndpointHealth`, shared by all
workers, so that failures in a row are counted over all of them. `ejected` there is 0 while the host takes part; else
the time (monotonic ns) until which it is out, and with bit 0 set a probe is under way, which is waited for until then.
It changes by compare-and-exchange alone, so that of many workers one ejects, one probes, and only the outcome of the
very probe that was begun counts. No state needs a second step to be right: a worker may be killed anywhere.

How many hosts are out is never kept but counted, by `flow/ejection.pyx`, which calls all of this. Pure: the time is
passed in.
"""
from tulle._fast.base.shared cimport EndpointHealth
from tulle._fast.base.types cimport int32_t, uint32_t, uint64_t

cdef struct OutlierPolicy:             # percentages are whole numbers up to 100; durations ns
    uint32_t enabled                   # 0: all else means nothing
    uint32_t consecutive_5xx
    uint32_t consecutive_gateway_failure
    uint32_t consecutive_local_origin_failure
    uint32_t split_local               # local failures are told apart from answers with 5xx
    uint32_t max_ejection_percent
    uint32_t enforcing[8]              # by OutlierReason, percent
    uint64_t interval
    uint64_t base_ejection_time
    uint64_t max_ejection_time
    uint32_t success_rate_minimum_hosts
    uint32_t success_rate_request_volume
    uint32_t success_rate_stdev_factor     # thousandths
    uint32_t failure_percentage_threshold
    uint32_t failure_percentage_minimum_hosts
    uint32_t failure_percentage_request_volume

cdef enum OutlierReason:               # of an ejection; indexes ClusterStats.ejections
    OUTLIER_5XX = 0
    OUTLIER_GATEWAY
    OUTLIER_LOCAL
    OUTLIER_SUCCESS_RATE
    OUTLIER_LOCAL_SUCCESS_RATE
    OUTLIER_PERCENTAGE
    OUTLIER_LOCAL_PERCENTAGE
    OUTLIER_PROBE                      # ejected again: the probe failed
    OUTLIER_NONE = -1

cdef enum OutlierOutcome:
    OUTCOME_GOOD = 0                   # an answer below 500
    OUTCOME_5XX
    OUTCOME_GATEWAY                    # 502, 503, 504: also a 5xx
    OUTCOME_LOCAL                      # no answer: it could not be reached, broke off, or took too long

cdef struct OutlierSample:             # of one host in one interval
    uint32_t answers
    uint32_t errors                    # answers with 5xx
    uint32_t local                     # tries without an answer

# -- failures in a row ------------------------------------------------------------------------------------------------

cdef inline int outlier_status(uint32_t status) noexcept nogil:
    """The OutlierOutcome of an answer."""
    if status < 500:
        return OUTCOME_GOOD
    return OUTCOME_GATEWAY if 502 <= status <= 504 else OUTCOME_5XX

# Count one outcome; the OutlierReason for which the host is to be ejected now, or OUTLIER_NONE
cdef int outlier_count(const OutlierPolicy *policy, EndpointHealth *health, int outcome) noexcept nogil

# -- over an interval -------------------------------------------------------------------------------------------------

# Take over how much more there is now than at the last call
cdef void outlier_sample(
    EndpointHealth *health, uint32_t answers, uint32_t errors, uint32_t local, OutlierSample *sample
) noexcept nogil
# For each host the OutlierReason for which its rates have it ejected, or OUTLIER_NONE
cdef void outlier_judge(
    const OutlierPolicy *policy, const OutlierSample *samples, uint32_t count, int32_t *verdicts
) noexcept nogil
# So many intervals have passed without an ejection: the next one is shorter by as many base times
cdef void outlier_forgive(EndpointHealth *health, uint64_t intervals) noexcept nogil

# -- out, and back ----------------------------------------------------------------------------------------------------

# How many of so many hosts may be out at a time: the share, but one at least, and never the last host
cdef uint32_t outlier_most(const OutlierPolicy *policy, uint32_t hosts) noexcept nogil
# Take a host out. What `ejected` is then, or 0: it was out already
cdef uint64_t outlier_eject(const OutlierPolicy *policy, EndpointHealth *health, uint64_t now) noexcept nogil
# Take back an ejection that would have been one too many
cdef void outlier_undo(EndpointHealth *health, uint64_t ejected) noexcept nogil
# Its time is up: the next request may be the probe, if this call wins it. What `ejected` is then, or 0
cdef uint64_t outlier_probe(const OutlierPolicy *policy, EndpointHealth *health, uint64_t now) noexcept nogil
# The probe that `outlier_probe` gave as `token` has come to its end. False: it had been given up before
cdef bint outlier_probed(
    const OutlierPolicy *policy, EndpointHealth *health, uint64_t token, bint good, uint64_t now
) noexcept nogil
# It was broken off without an outcome: another request may be the probe at once
cdef void outlier_probe_dropped(EndpointHealth *health, uint64_t token, uint64_t now) noexcept nogil
