"""How requests are spread over priorities: to the first that has enough health, and what it cannot carry to the next.

Envoy's rules. A priority can carry its usable part times the overprovisioning factor of 1.4, at most all: requests go
elsewhere only when less than 1/1.4 of it may be used. When all priorities together cannot carry everything, each gets
by what it has. Then, and only then, one whose usable part is below the panic threshold is in a panic: its hosts are
used whatever is thought of them, for too few must not take the load of all. When all are in a panic, each gets by its
size. Unlike Envoy, parts are of weight and not of the number of hosts, and are not rounded to whole per cents.
"""
from tulle._fast.base.types cimport uint32_t

cdef struct PriorityLevel:             # the first is preferred
    double usable                      # weight of the hosts that may be used
    double resting                     # weight of those that are well but take no requests: no sign of a panic
    double total                       # weight of all hosts
    double load                        # found: its part of the requests; all add up to 1, or to 0 without any host
    bint panic                         # found

cdef inline double overprovisioned(double part) noexcept nogil:
    """The part of all requests that hosts with this part of all weight can carry."""
    return part * 1.4

# `threshold` is in per cent, 0: there is never a panic
cdef void priority_spread(PriorityLevel *levels, uint32_t count, uint32_t threshold) noexcept nogil
