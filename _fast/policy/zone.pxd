"""How requests are spread over zones: to hosts of the own zone as long as these can carry what the zone's callers send.

How many callers the zones have is not known; they are taken to have equally many, so of n zones each sends 1/n of all
requests. A zone can carry its part of the usable weight times the overprovisioning factor of 1.4. While that is at
least 1/n, all requests of the zone stay in it; when it is less, as many stay as it can carry. The others go to zones
that can carry more than 1/n, by how much more. So if callers are spread evenly, no host gets more than 1.4 times what
it would get if zones meant nothing: the spare capacity of all zones is never less than what the others lack.
"""
from tulle._fast.base.types cimport uint32_t

# `usable`: weight of the hosts that may be used, of each zone, the own one first. `share`: the parts of the requests,
# which add up to 1, or are 0 when nothing is usable
cdef void zone_spread(const double *usable, uint32_t count, double *share) noexcept nogil
