"""See `rate_limit.pxd`."""
from tulle._fast.base.atomic cimport atomic_load_u64
from tulle._fast.base.pair cimport pair_exchange
from tulle._fast.base.shared cimport RATE_WAYS
from tulle._fast.base.types cimport int32_t, likely, unlikely
from tulle._fast.policy.gcra cimport gcra_reset, gcra_take, gcra_tokens

cdef enum:
    TRIALS = 10000                     # each that fails is another's success; then rather refused than counted wrong
    CLAIM_TIME = 1000000000            # ns after which whoever made a claim must have been killed


cdef inline uint64_t tentative() noexcept nogil:
    """The bit of a time that makes it a claim's mark."""
    return <uint64_t>1 << 63


cdef inline RateBucket *set_of(const RateTable *table, uint64_t key) noexcept nogil:
    return table.buckets + (key & table.mask) * RATE_WAYS


cdef int32_t bucket_find(const RateBucket *ways, uint64_t key, uint64_t *arrival) noexcept nogil:
    cdef int32_t way
    for way in range(RATE_WAYS):
        if atomic_load_u64(&ways[way].key) != key:
            continue
        arrival[0] = atomic_load_u64(&ways[way].arrival)
        # Of this key, and not of one that came between the two loads
        if not arrival[0] & tentative() and atomic_load_u64(&ways[way].key) == key:
            return way
    return -1


cdef inline bint claim_is_left(uint64_t arrival, uint64_t now) noexcept nogil:
    return arrival & tentative() != 0 and ((arrival & ~tentative()) >> 8) + CLAIM_TIME < now


cdef int32_t bucket_victim(const RateBucket *ways, uint64_t now, uint64_t *key, uint64_t *arrival) noexcept nogil:
    """A free way, or else the one whose time is the longest ago; claims come last, for their time is the largest."""
    cdef uint64_t found_key, found, rank
    cdef uint64_t lowest = 0
    cdef int32_t way
    cdef int32_t victim = -1
    for way in range(RATE_WAYS):
        found_key = atomic_load_u64(&ways[way].key)
        found = atomic_load_u64(&ways[way].arrival)
        rank = 0 if found_key == 0 or claim_is_left(found, now) else found
        if victim < 0 or rank < lowest:
            victim = way
            lowest = rank
            key[0] = found_key
            arrival[0] = found
        if rank == 0:
            break
    return victim


cdef bint claim_is_alone(RateBucket *ways, int32_t own, uint64_t key) noexcept nogil:
    """Whether no other way has the key; claims of others are taken away from them, and they will notice."""
    cdef uint64_t arrival
    cdef int32_t way = 0
    while way < RATE_WAYS:
        if way != own and atomic_load_u64(&ways[way].key) == key:
            arrival = atomic_load_u64(&ways[way].arrival)
            if not arrival & tentative():
                return False
            pair_exchange(&ways[way], key, arrival, 0, 0)
            continue                   # look again: it may have become a bucket meanwhile
        way += 1
    return True


cdef bint bucket_make(
    RateBucket *ways, const RateTable *table, uint64_t key, uint64_t arrival, uint64_t now, uint64_t *evictions
) noexcept nogil:
    """A bucket of the key with that time. False: others were at work in the set, look anew."""
    cdef uint64_t mark = tentative() | (now << 8 | (table.lane & 0xFF)) & (tentative() - 1)
    cdef uint64_t old_key = 0
    cdef uint64_t old_arrival = 0
    cdef int32_t way = bucket_victim(ways, now, &old_key, &old_arrival)
    if not pair_exchange(&ways[way], old_key, old_arrival, key, mark):
        return False
    if unlikely(old_key != 0 and not old_arrival & tentative() and old_arrival > now):
        evictions[0] += 1
    if not claim_is_alone(ways, way, key):
        pair_exchange(&ways[way], key, mark, 0, 0)
        return False
    return pair_exchange(&ways[way], key, mark, key, arrival)


cdef bint rate_take(
    const RateTable *table, uint64_t key, const RateRule *rule, uint64_t now, uint64_t *wait, uint64_t *evictions
) noexcept nogil:
    cdef RateBucket *ways = set_of(table, key)
    cdef uint64_t arrival = 0
    cdef uint64_t following = 0
    cdef int32_t way
    cdef int _trial
    for _trial in range(TRIALS):
        way = bucket_find(ways, key, &arrival)
        if likely(way >= 0):
            if not gcra_take(arrival, now, rule.interval, rule.tolerance, &following, wait):
                return False
            if likely(pair_exchange(&ways[way], key, arrival, key, following)):
                return True
        elif bucket_make(ways, table, key, now + rule.interval, now, evictions):
            return True
    wait[0] = rule.interval
    return False


cdef void rate_give_back(const RateTable *table, uint64_t key, const RateRule *rule) noexcept nogil:
    cdef RateBucket *ways = set_of(table, key)
    cdef uint64_t arrival = 0
    cdef int32_t way
    cdef int _trial
    for _trial in range(TRIALS):
        way = bucket_find(ways, key, &arrival)
        if way < 0 or pair_exchange(&ways[way], key, arrival, key, arrival - rule.interval):
            return


cdef RateState rate_look(const RateTable *table, uint64_t key, const RateRule *rule, uint64_t now) noexcept nogil:
    cdef RateState state
    cdef uint64_t arrival = 0
    if bucket_find(set_of(table, key), key, &arrival) < 0:
        arrival = 0
    state.tokens = gcra_tokens(arrival, now, rule.interval, rule.tolerance)
    state.reset = gcra_reset(arrival, now, rule.tolerance)
    return state
