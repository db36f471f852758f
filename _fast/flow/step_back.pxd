"""Hosts that ask to be left alone, by Retry-After in an answer with 429 or 503 (RFC 9110 section 10.2.3).

They are passed over for that long, by all workers, while others are available; see `cluster_look`. At most the
`max_step_back` of the cluster, for a host must not be able to take itself out for good.
"""
from tulle._fast.base.atomic cimport atomic_load_u64
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.types cimport Host
from tulle._fast.http.message cimport Message

cdef void step_back_heed(Host *host, const Message *message) noexcept nogil

cdef inline uint64_t step_back_until(Host *host) noexcept nogil:
    """Monotonic ns; not later than now: it may be asked."""
    return atomic_load_u64(&host.health.stepped_back)
