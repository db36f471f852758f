"""See `zone.pxd`."""
from tulle._fast.policy.priority cimport overprovisioned


cdef inline double spare(double part, double sent) noexcept nogil:
    return overprovisioned(part) - sent if overprovisioned(part) > sent else 0


cdef void zone_spread(const double *usable, uint32_t count, double *share) noexcept nogil:
    cdef double sent = <double>1 / count       # by the callers of one zone
    cdef double total = 0
    cdef double spared = 0
    cdef uint32_t index
    for index in range(count):
        total += usable[index]
        share[index] = 0
    if total == 0:
        return
    share[0] = overprovisioned(usable[0] / total) / sent
    if share[0] >= 1:
        share[0] = 1
        return
    for index in range(1, count):
        spared += spare(usable[index] / total, sent)
    for index in range(1, count):
        share[index] = (1 - share[0]) * spare(usable[index] / total, sent) / spared
