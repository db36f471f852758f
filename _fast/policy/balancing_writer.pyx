"""See `balancing_writer.pxd`."""
from tulle._fast.policy.ewma cimport EwmaPolicy
from tulle._fast.policy.image cimport *

_BALANCERS = {
    "round_robin": BALANCER_ROUND_ROBIN, "least_request": BALANCER_LEAST_REQUEST, "random": BALANCER_RANDOM,
    "peak_ewma": BALANCER_PEAK_EWMA,
}


cdef int write_balancing(ImageBuffer out, ClusterEntry *entry, row) except -1:
    entry.balancer = _BALANCERS[row.balancer]
    entry.choices = row.choices
    entry.max_step_back = row.max_step_back
    if row.peak_ewma is not None:
        entry.ewma = EwmaPolicy(row.peak_ewma.default_rtt, row.peak_ewma.decay, row.peak_ewma.failure_penalty)
    return 0
