"""When a second try goes out beside the first, and which answer may win. Pure: the time is passed in."""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.http.message cimport Message
from tulle._fast.policy.image cimport Image, RouteEntry
from tulle._fast.policy.latency_window cimport LatencyWindow, window_quantile
from tulle._fast.policy.retry cimport retry_wants_answer

cdef struct HedgePolicy:
    uint64_t delay                     # ns; 0: that quantile of the cluster's latency
    uint64_t min_delay                 # ns, of the quantile
    double quantile

cdef inline uint64_t hedge_delay(const HedgePolicy *policy, LatencyWindow *window, uint64_t now) noexcept nogil:
    """How long the first try has for itself, ns; 0: nobody knows yet. `window` may be NULL where `delay` is given."""
    cdef uint64_t usual
    if policy.delay != 0:
        return policy.delay
    usual = window_quantile(window, policy.quantile, now)
    return usual if usual == 0 or usual > policy.min_delay else policy.min_delay

cdef inline bint hedge_accepts(const Image *image, const RouteEntry *route, const Message *answer) noexcept nogil:
    """Whether an answer wins while the other try is under way: not if it is an error of the server, nor if it would be
    tried again."""
    return answer.status < 500 and not (route.retry_on != 0 and retry_wants_answer(image, route, answer))
