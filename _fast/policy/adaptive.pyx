"""See `adaptive.pxd`."""
from libc.math cimport sqrt

from tulle._fast.base.atomic cimport (
    atomic_compare_exchange_u64, atomic_exchange_u32, atomic_fetch_add_u32, atomic_load_u64, atomic_store_release_u32,
    atomic_store_u32, atomic_store_u64,
)
from tulle._fast.base.histogram cimport clz64
from tulle._fast.base.random cimport random_scale
from tulle._fast.base.shared cimport ADAPTIVE_BUCKETS, ADAPTIVE_STEPS
from tulle._fast.base.types cimport likely, unlikely

cdef enum:
    UNIT_BITS = 10                     # of a nanosecond: the finest step is about a microsecond
    STEP_BITS = 4                      # ADAPTIVE_STEPS
    LAST_BUCKET = ADAPTIVE_BUCKETS - 1


# -- the histogram ----------------------------------------------------------------------------------------------------

cdef inline uint32_t bucket_of(uint64_t latency) noexcept nogil:
    cdef uint64_t units = latency >> UNIT_BITS
    cdef uint32_t octave, bucket
    if units < ADAPTIVE_STEPS:
        return <uint32_t>units
    octave = 63 - STEP_BITS - clz64(units)
    bucket = (octave + 1) * ADAPTIVE_STEPS + <uint32_t>((units >> octave) & (ADAPTIVE_STEPS - 1))
    return bucket if bucket < LAST_BUCKET else LAST_BUCKET


cdef inline double bucket_start(uint32_t bucket) noexcept nogil:
    """Nanoseconds at which it begins."""
    cdef uint64_t steps = bucket % ADAPTIVE_STEPS
    cdef uint32_t octave = bucket // ADAPTIVE_STEPS
    if octave == 0:
        return <double>(steps << UNIT_BITS)
    return <double>((ADAPTIVE_STEPS + steps) << (octave - 1 + UNIT_BITS))


cdef double samples_take(AdaptiveState *state, double share) noexcept nogil:
    """That percentile of what was recorded, which begins anew; 0 when there is nothing."""
    cdef uint32_t counts[ADAPTIVE_BUCKETS]
    cdef uint64_t total = 0
    cdef double rank, before = 0
    cdef uint32_t bucket
    for bucket in range(<uint32_t>ADAPTIVE_BUCKETS):
        counts[bucket] = 0
        if atomic_load_u32(&state.buckets[bucket]) != 0:
            counts[bucket] = atomic_exchange_u32(&state.buckets[bucket], 0)
        total += counts[bucket]
    atomic_store_u32(&state.samples, 0)
    if total == 0:
        return 0
    rank = share * <double>total
    bucket = 0
    while before + counts[bucket] < rank or counts[bucket] == 0:
        before += counts[bucket]
        bucket += 1
    if bucket == LAST_BUCKET:
        return bucket_start(bucket)
    return bucket_start(bucket) + (
        (bucket_start(bucket + 1) - bucket_start(bucket)) * (rank - before) / <double>counts[bucket]
    )


# -- the controller ---------------------------------------------------------------------------------------------------

cdef inline double within(double value, double least, double most) noexcept nogil:
    if value < least:
        return least
    return value if value < most else most


cdef void window_begin(
    AdaptiveState *state, const AdaptivePolicy *policy, uint64_t since, uint64_t now
) noexcept nogil:
    """The next one; it takes requests that began since then."""
    cdef uint64_t span = 2 * (policy.fixed_rtt if policy.fixed_rtt != 0 else state.min_rtt)
    atomic_store_u64(&state.since, since)
    atomic_store_u64(&state.window, now)
    atomic_store_u64(&state.turn, now + (span if span > policy.update_interval else policy.update_interval))


cdef void measured(
    AdaptiveState *state, const AdaptivePolicy *policy, uint64_t now, uint64_t draw
) noexcept nogil:
    """Enough samples of minRTT are there: the limit from before holds again."""
    cdef double sampled = samples_take(state, policy.percentile)
    if unlikely(sampled == 0):
        return
    atomic_store_u64(&state.min_rtt, <uint64_t>sampled)
    atomic_store_u64(&state.measure_at, now + policy.measure_interval + random_scale(draw, policy.jitter + 1))
    atomic_store_u32(&state.lowest, 0)
    atomic_fetch_add_u32(&state.measurements, 1)
    window_begin(state, policy, now, now)
    atomic_store_release_u32(&state.running, 1)


cdef void judge(AdaptiveState *state, const AdaptivePolicy *policy, uint64_t now) noexcept nogil:
    cdef uint32_t before = adaptive_limit(state, policy)
    cdef double least = <double>policy.min_concurrency
    cdef double sampled = samples_take(state, policy.percentile)
    cdef uint64_t min_rtt = policy.fixed_rtt if policy.fixed_rtt != 0 else state.min_rtt
    cdef double gradient, limit
    if unlikely(sampled == 0):
        return
    gradient = within(<double>min_rtt * (1 + policy.buffer) / sampled, 0.5, 2)
    limit = <double>before * gradient
    limit = within(limit + sqrt(limit), least, <double>policy.max_concurrency)
    atomic_store_u64(&state.sampled, <uint64_t>sampled)
    atomic_store_u32(&state.gradient, <uint32_t>(gradient * 1000))
    atomic_store_u32(&state.limit, <uint32_t>limit)
    atomic_store_u32(&state.lowest, state.lowest + 1 if limit <= least else 0)
    if policy.fixed_rtt == 0 and (now >= state.measure_at or state.lowest >= ADAPTIVE_LOW_WINDOWS):
        window_begin(state, policy, now, now)
        atomic_store_release_u32(&state.running, 0)
    else:
        window_begin(state, policy, state.window, now)


cdef void adaptive_record(
    AdaptiveState *state, const AdaptivePolicy *policy, uint64_t begun, uint64_t latency, uint64_t now, uint64_t draw
) noexcept nogil:
    cdef bint measuring = adaptive_measuring(state, policy)
    cdef uint64_t turn
    cdef uint32_t samples
    if unlikely(begun < atomic_load_u64(&state.since)):
        return
    atomic_fetch_add_u32(&state.buckets[bucket_of(latency)], 1)
    turn = atomic_load_u64(&state.turn)
    if unlikely(measuring):
        # The last sample judges at once; one behind it when it did not, as its worker was killed
        samples = atomic_fetch_add_u32(&state.samples, 1) + 1
        if samples < policy.request_count or (samples > policy.request_count and now < turn):
            return
    elif likely(now < turn):
        return
    # Whoever moves it on has until then to judge alone
    if not atomic_compare_exchange_u64(&state.turn, &turn, now + policy.update_interval):
        return
    if measuring:
        measured(state, policy, now, draw)
    else:
        judge(state, policy, now)
