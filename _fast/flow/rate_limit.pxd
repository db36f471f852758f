"""Rate limits of listeners and routes, as an exchange meets them: whose bucket it is, the token, the fields that tell.

The clock is read for each request that is limited: the loop's own may be a turn behind, and then a window would hold
more than it may.
"""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.flow.types cimport Exchange
from tulle._fast.policy.image cimport Span

# A token of every rule, or of none: then False, and in `*wait` the ns until the rule that refused has one
cdef bint rate_limits_take(Exchange *x, Span rules, uint64_t *wait) noexcept nogil
# RateLimit-Policy and RateLimit, of the rules that answers are to tell of
cdef void rate_fields(Exchange *x, uint32_t *count) noexcept nogil
