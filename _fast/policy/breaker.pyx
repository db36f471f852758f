"""See `breaker.pxd`. The word, from the lowest bit:

    2 kind | 6 openings in a row | 8 requests let through | 8 of them succeeded | 40 time, in ticks

The time is that of `breaker_until`, which also names a round; closed, it is when the openings in a row are forgotten.

The window is a ring of buckets, each a word: 22 bits of requests, 22 of failures, 20 that tell which slice of time the
bucket is of. Whoever finds it of another slice begins it anew.
"""
from tulle._fast.base.atomic cimport (
    atomic_compare_exchange_u64, atomic_fetch_add_u32, atomic_fetch_add_u64, atomic_load_acquire_u64, atomic_load_u64,
    atomic_store_u64,
)
from tulle._fast.base.shared cimport BREAKER_BUCKETS
from tulle._fast.base.types cimport likely, unlikely

cdef enum:
    STREAK_MAX = 63
    COUNT_BITS = 22
    SLICE_BITS = 20

cdef enum:
    COUNT_MASK = (1 << COUNT_BITS) - 1
    SLICE_MASK = (1 << SLICE_BITS) - 1


cdef inline uint64_t word_of(
    uint32_t kind, uint32_t streak, uint32_t taken, uint32_t good, uint64_t tick
) noexcept nogil:
    return tick << 24 | <uint64_t>good << 16 | <uint64_t>taken << 8 | <uint64_t>streak << 2 | <uint64_t>kind


cdef inline uint32_t streak_of(uint64_t word) noexcept nogil:
    return (word >> 2) & STREAK_MAX


cdef inline uint32_t taken_of(uint64_t word) noexcept nogil:
    return (word >> 8) & 0xFF


cdef inline uint32_t good_of(uint64_t word) noexcept nogil:
    return (word >> 16) & 0xFF


cdef uint64_t open_ticks(const BreakerPolicy *policy, uint32_t streak) noexcept nogil:
    """For how long the n-th opening in a row is."""
    cdef uint64_t span = policy.open
    cdef uint32_t _doubling
    for _doubling in range(1, streak):
        if span >= policy.open_max:
            break
        span *= 2
    if span > policy.open_max:
        span = policy.open_max
    return (span >> BREAKER_TICK_BITS) + 1


# -- the window -------------------------------------------------------------------------------------------------------

cdef inline uint64_t slice_at(const BreakerPolicy *policy, uint64_t now) noexcept nogil:
    return now // (policy.window // BREAKER_BUCKETS + 1)


cdef void window_add(BreakerState *state, uint64_t slice_now, bint failed) noexcept nogil:
    cdef uint64_t *bucket = &state.window[slice_now % BREAKER_BUCKETS]
    cdef uint64_t word = atomic_load_u64(bucket)
    cdef uint64_t one = <uint64_t>1 << COUNT_BITS | 1 if failed else 1
    # Another worker's clock may be a little ahead of ours: what is newer than we are stays
    while word == 0 or ((slice_now - (word >> 2 * COUNT_BITS)) & SLICE_MASK) - 1 < SLICE_MASK // 2:
        if atomic_compare_exchange_u64(bucket, &word, (slice_now & SLICE_MASK) << 2 * COUNT_BITS | one):
            return
    if likely((word & COUNT_MASK) < COUNT_MASK // 2):
        atomic_fetch_add_u64(bucket, one)


cdef void breaker_window(
    const BreakerState *state, const BreakerPolicy *policy, uint64_t now, uint64_t *requests, uint64_t *failures
) noexcept nogil:
    cdef uint64_t slice_now = slice_at(policy, now)
    cdef uint64_t word
    cdef int index
    requests[0] = 0
    failures[0] = 0
    for index in range(BREAKER_BUCKETS):
        word = atomic_load_u64(&state.window[index])
        if ((slice_now - (word >> 2 * COUNT_BITS)) & SLICE_MASK) < BREAKER_BUCKETS:
            requests[0] += word & COUNT_MASK
            failures[0] += (word >> COUNT_BITS) & COUNT_MASK


cdef void window_clear(BreakerState *state) noexcept nogil:
    cdef int index
    for index in range(BREAKER_BUCKETS):
        atomic_store_u64(&state.window[index], 0)


# -- the machine ------------------------------------------------------------------------------------------------------

cdef bint breaker_admit(
    BreakerState *state, const BreakerPolicy *policy, uint64_t now, uint64_t *token, bint *changed
) noexcept nogil:
    cdef uint64_t tick = now >> BREAKER_TICK_BITS
    cdef uint64_t word = atomic_load_acquire_u64(&state.word)
    cdef uint64_t following
    token[0] = 0
    while unlikely(breaker_kind(word) != BREAKER_CLOSED):
        if tick >= word >> 24:
            following = word_of(
                BREAKER_HALF_OPEN, streak_of(word), 1, 0, tick + open_ticks(policy, streak_of(word))
            )
        elif breaker_kind(word) == BREAKER_HALF_OPEN and taken_of(word) < policy.probes:
            following = word + ((<uint64_t>1) << 8)
        else:
            return False
        if atomic_compare_exchange_u64(&state.word, &word, following):
            if breaker_kind(word) == BREAKER_OPEN:
                atomic_fetch_add_u32(&state.half_opened, 1)
            changed[0] = taken_of(following) >= policy.probes
            token[0] = following >> 24
            return True
    return True


cdef bint probe_record(
    BreakerState *state, const BreakerPolicy *policy, uint64_t tick, uint64_t token, bint failed
) noexcept nogil:
    cdef uint64_t word = atomic_load_u64(&state.word)
    cdef uint64_t following
    cdef uint32_t streak
    while breaker_kind(word) == BREAKER_HALF_OPEN and word >> 24 == token:
        streak = streak_of(word)
        # Clocks of workers differ a little. Never from before the round began: so no two rounds have one name
        if tick < token - open_ticks(policy, streak):
            tick = token - open_ticks(policy, streak)
        if failed:
            streak = streak + 1 if streak < STREAK_MAX else streak
            following = word_of(BREAKER_OPEN, streak, 0, 0, tick + open_ticks(policy, streak))
        elif good_of(word) + 1 >= policy.probes:
            following = word_of(BREAKER_CLOSED, streak, 0, 0, tick + open_ticks(policy, streak))
            # Before anybody is let in: the first failure is not to meet those from before
            window_clear(state)
        else:
            following = word + (<uint64_t>1 << 16)
        if atomic_compare_exchange_u64(&state.word, &word, following):
            if failed:
                atomic_fetch_add_u32(&state.opened, 1)
            elif breaker_kind(following) == BREAKER_CLOSED:
                atomic_fetch_add_u32(&state.closed, 1)
            return breaker_kind(following) != BREAKER_HALF_OPEN
    return False


cdef bint breaker_record(
    BreakerState *state, const BreakerPolicy *policy, uint64_t now, uint64_t token, bint failed
) noexcept nogil:
    cdef uint64_t tick = now >> BREAKER_TICK_BITS
    cdef uint64_t word, requests, failures
    cdef uint32_t streak
    if unlikely(token != 0):
        return probe_record(state, policy, tick, token, failed)
    word = atomic_load_u64(&state.word)
    if unlikely(breaker_kind(word) != BREAKER_CLOSED):
        return False
    window_add(state, slice_at(policy, now), failed)
    if likely(not failed):
        return False
    breaker_window(state, policy, now, &requests, &failures)
    if requests < policy.minimum or failures * 100 < requests * policy.threshold:
        return False
    streak = streak_of(word) if tick < word >> 24 else 0
    streak = streak + 1 if streak < STREAK_MAX else streak
    # Somebody else may have opened it on the same grounds
    if not atomic_compare_exchange_u64(
        &state.word, &word, word_of(BREAKER_OPEN, streak, 0, 0, tick + open_ticks(policy, streak))
    ):
        return False
    atomic_fetch_add_u32(&state.opened, 1)
    return True


cdef bint breaker_drop(BreakerState *state, uint64_t token) noexcept nogil:
    cdef uint64_t word = atomic_load_u64(&state.word)
    while breaker_kind(word) == BREAKER_HALF_OPEN and word >> 24 == token and taken_of(word) > 0:
        if atomic_compare_exchange_u64(&state.word, &word, word - (<uint64_t>1 << 8)):
            return True
    return False


cdef bint breaker_is_shut(
    const BreakerState *state, const BreakerPolicy *policy, uint64_t now, uint64_t *look_at
) noexcept nogil:
    cdef uint64_t word = atomic_load_acquire_u64(&state.word)
    if likely(breaker_kind(word) == BREAKER_CLOSED) or now >> BREAKER_TICK_BITS >= word >> 24:
        return False
    if breaker_kind(word) == BREAKER_HALF_OPEN and taken_of(word) < policy.probes:
        return False
    if breaker_until(word) < look_at[0]:
        look_at[0] = breaker_until(word)
    return True
