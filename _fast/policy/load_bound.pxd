"""The bound of consistent hashing: no host gets more than a multiple of its share of what is in flight.

After Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads". With a bound above 1 there is
always a host below it. Counted within a worker: of N workers each keeps it, so a host is at most N requests above it in
all.
"""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.balancer cimport BalancerHost, BalancerState

cdef struct LoadBound:
    double factor                      # of the mean; 0: there is no bound
    uint32_t in_flight                 # from this worker to all hosts, with the request that is being placed

cdef inline bint load_bound_fits(
    const LoadBound *bound, const BalancerState *state, const BalancerHost *host
) noexcept nogil:
    """Whether one more leaves it at or below the bound, rounded up."""
    if bound.factor == 0:
        return True
    return (
        <double>host.load.active * <double>state.total_weight
        < bound.factor * <double>bound.in_flight * <double>host.weight
    )
