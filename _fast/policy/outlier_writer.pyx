"""See `outlier_writer.pxd`."""
from libc.string cimport memset

_OUTLIER_REASONS = (
    "consecutive_5xx", "consecutive_gateway_failure", "consecutive_local_origin_failure", "success_rate",
    "local_origin_success_rate", "failure_percentage", "failure_percentage_local_origin",
)                                               # in the order of OutlierReason


cdef OutlierPolicy outlier_policy(row) except *:
    cdef OutlierPolicy policy
    cdef Py_ssize_t reason
    memset(&policy, 0, sizeof(OutlierPolicy))
    if row is None:
        return policy
    policy.enabled = 1
    policy.consecutive_5xx = row.consecutive_5xx
    policy.consecutive_gateway_failure = row.consecutive_gateway_failure
    policy.consecutive_local_origin_failure = row.consecutive_local_origin_failure
    policy.split_local = row.split_external_local_origin_errors
    policy.max_ejection_percent = row.max_ejection_percent
    for reason, name in enumerate(_OUTLIER_REASONS):
        policy.enforcing[reason] = getattr(row, f"enforcing_{name}")
    policy.interval = row.interval
    policy.base_ejection_time = row.base_ejection_time
    policy.max_ejection_time = row.max_ejection_time
    policy.success_rate_minimum_hosts = row.success_rate_minimum_hosts
    policy.success_rate_request_volume = row.success_rate_request_volume
    policy.success_rate_stdev_factor = row.success_rate_stdev_factor
    policy.failure_percentage_threshold = row.failure_percentage_threshold
    policy.failure_percentage_minimum_hosts = row.failure_percentage_minimum_hosts
    policy.failure_percentage_request_volume = row.failure_percentage_request_volume
    return policy
