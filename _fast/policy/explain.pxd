"""What `explain.pyx` notes down while a request is matched."""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.image cimport MatchEntry

cdef enum:
    MOST_CANDIDATES = 256              # that are noted down

cdef struct Candidate:
    const MatchEntry *match
    int verdict                        # RouteVerdict

cdef struct Trace:
    uint32_t count
    Candidate candidates[256]

cdef void trace_candidate(void *argument, const MatchEntry *candidate, int verdict) noexcept nogil
