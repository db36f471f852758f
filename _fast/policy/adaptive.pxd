"""Adaptive concurrency: a limit of the requests under way that finds itself, by how long answers take.

    limit' = limit x gradient + sqrt(limit x gradient),   gradient = minRTT x (1 + buffer) / RTT, within 0.5 and 2

RTT is a percentile of the answers of a window, minRTT the same percentile of a few answers while hardly anything is
under way, measured now and again. As long as answers take no longer than minRTT and the buffer, the limit rises; when
requests queue up in front of a server that cannot do more, it falls. It comes to rest where RTT is minRTT x
(1 + buffer) / (1 - 1 / sqrt(limit)). The gradient controller of Envoy's adaptive_concurrency filter, by its names.

All workers share one state, that of the cluster. A sample is one atomic addition to a histogram, log-linear with 16
steps an octave. Whoever has a sample when a window is over and moves `turn` on by compare-and-exchange, judges: there
is no lock, and a worker that is killed over it costs the samples that it had taken. A state of zeros is a valid
beginning: minRTT is being measured.

A window takes in only requests that began in it or the one before, and lasts at least two minRTT, so that what a limit
brings about shows before it is changed again; a measurement only those that began in it.

Times are monotonic nanoseconds; pure. Called by `flow/adapting`.
"""
from tulle._fast.base.atomic cimport atomic_load_acquire_u32, atomic_load_u32
from tulle._fast.base.shared cimport AdaptiveState
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef enum:
    ADAPTIVE_LOW_WINDOWS = 5           # in a row at the least limit, after which minRTT is measured anew

cdef struct AdaptivePolicy:
    uint32_t enabled
    uint32_t min_concurrency           # while minRTT is measured, and the least limit ever
    uint32_t max_concurrency
    uint32_t request_count             # samples of a measurement
    double percentile                  # a share: 0.5 is the median
    double buffer                      # a share of minRTT
    uint64_t update_interval           # of windows
    uint64_t measure_interval
    uint64_t jitter                    # at most so much on top of that
    uint64_t fixed_rtt                 # minRTT is not measured but this; 0: it is

cdef inline bint adaptive_measuring(const AdaptiveState *state, const AdaptivePolicy *policy) noexcept nogil:
    return policy.fixed_rtt == 0 and not atomic_load_acquire_u32(&state.running)

cdef inline uint32_t adaptive_limit(const AdaptiveState *state, const AdaptivePolicy *policy) noexcept nogil:
    """How many requests may be under way."""
    cdef uint32_t limit
    if adaptive_measuring(state, policy):
        return policy.min_concurrency
    limit = atomic_load_u32(&state.limit)
    if limit < policy.min_concurrency:
        return policy.min_concurrency
    return limit if limit < policy.max_concurrency else policy.max_concurrency

# A request that began then had its answer after so long; `draw` is a random word, for the jitter
cdef void adaptive_record(
    AdaptiveState *state, const AdaptivePolicy *policy, uint64_t begun, uint64_t latency, uint64_t now, uint64_t draw
) noexcept nogil
