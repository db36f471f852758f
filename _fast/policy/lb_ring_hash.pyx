"""See `lb_ring_hash.pxd`."""
from libc.math cimport ceil
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from tulle._fast.base.random cimport random_split
from tulle._fast.base.types cimport likely, unlikely
from tulle._fast.policy.balancer cimport BALANCER_TABLE_RING, balancer_take_table
from tulle._fast.policy.load_bound cimport load_bound_fits


cdef inline uint64_t place_of(uint64_t key, uint32_t number) noexcept nogil:
    cdef uint64_t seed = key + number * <uint64_t>0xD1B54A32D192ED03
    return random_split(&seed)


cdef double points_each(const BalancerState *state, const RingPolicy *policy) noexcept nogil:
    """How many for a weight of 1: so many that the lightest host has a whole number, if there may be so many."""
    cdef double total = 0
    cdef double lightest = <double>state.hosts[0].load.weight
    cdef double each
    cdef uint32_t index
    for index in range(state.count):
        total += state.hosts[index].load.weight
        if state.hosts[index].load.weight < lightest:
            lightest = state.hosts[index].load.weight
    each = ceil(lightest * policy.smallest / total) / lightest
    return each if each * total < policy.largest else policy.largest / total


cdef inline uint32_t points_of(const BalancerState *state, uint32_t index, double each) noexcept nogil:
    """Of a host; one at least, so that what it has does not depend on the others' order."""
    cdef double points = each * state.hosts[index].load.weight + 0.5
    return <uint32_t>points if points > 1 else 1


cdef Ring *ring_reserve(uint32_t count, const RingPolicy *policy) noexcept nogil:
    cdef uint32_t bits = 1
    cdef size_t starts
    cdef Ring *ring
    while bits < 31 and <uint32_t>1 << bits < count:
        bits += 1
    starts = (<size_t>1 << bits) + 2
    ring = <Ring *>calloc(1, sizeof(Ring) + starts * sizeof(uint32_t) + count * sizeof(RingPoint))
    if ring == NULL:
        return NULL
    ring.policy = policy[0]
    ring.count = count
    ring.shift = 64 - bits
    ring.points = <RingPoint *>(ring + 1)
    ring.starts = <uint32_t *>(ring.points + count)
    return ring


cdef void ring_put(Ring *ring, uint32_t *next_free, uint64_t place, uint32_t host) noexcept nogil:
    """Into its bucket, in order: by place, and between equal places the first host first."""
    cdef uint64_t bucket = place >> ring.shift
    cdef uint32_t hole = next_free[bucket]
    next_free[bucket] += 1
    while hole > ring.starts[bucket] and ring.points[hole - 1].place > place:
        ring.points[hole] = ring.points[hole - 1]
        hole -= 1
    ring.points[hole].place = place
    ring.points[hole].host = host


cdef void ring_count(Ring *ring, const BalancerState *state, double each) noexcept nogil:
    """Makes `starts` of how many points each bucket has."""
    cdef uint32_t index, number
    for index in range(state.count):
        for number in range(points_of(state, index, each)):
            ring.starts[(place_of(state.hosts[index].load.key, number) >> ring.shift) + 1] += 1
    for index in range(<uint32_t>1 << (64 - ring.shift)):
        ring.starts[index + 1] += ring.starts[index]


cdef bint ring_make(BalancerState *state, const RingPolicy *policy) noexcept nogil:
    cdef double each = points_each(state, policy)
    cdef uint32_t count = 0
    cdef uint32_t index, number
    cdef size_t buckets
    cdef uint32_t *next_free
    cdef Ring *ring
    for index in range(state.count):
        count += points_of(state, index, each)
    ring = ring_reserve(count, policy)
    if ring == NULL:
        return False
    buckets = <size_t>1 << (64 - ring.shift)
    next_free = <uint32_t *>calloc(buckets, sizeof(uint32_t))
    if next_free == NULL:
        free(ring)
        return False
    ring_count(ring, state, each)
    memcpy(next_free, ring.starts, buckets * sizeof(uint32_t))
    for index in range(state.count):
        for number in range(points_of(state, index, each)):
            ring_put(ring, next_free, place_of(state.hosts[index].load.key, number), index)
    free(next_free)
    balancer_take_table(state, ring, BALANCER_TABLE_RING)
    return True


cdef int32_t lb_ring_hash_pick(
    BalancerState *state, uint64_t hash, const RingPolicy *policy, const LoadBound *bound
) noexcept nogil:
    cdef Ring *ring = <Ring *>state.table
    cdef int32_t fallback = -1
    cdef uint32_t at, host, _step
    if state.count == 0:
        return -1
    if unlikely(
        state.table_kind != BALANCER_TABLE_RING
        or ring.policy.smallest != policy.smallest or ring.policy.largest != policy.largest
    ):
        if not ring_make(state, policy):
            return -1
        ring = <Ring *>state.table
    at = ring.starts[hash >> ring.shift]
    while at < ring.count and ring.points[at].place < hash:
        at += 1
    for _step in range(ring.count):
        if at >= ring.count:
            at = 0
        host = ring.points[at].host
        if likely(state.hosts[host].usable):
            if load_bound_fits(bound, state, &state.hosts[host]):
                return <int32_t>host
            if fallback < 0:
                fallback = <int32_t>host
        at += 1
    # All hosts of this group are at the bound, for others of the cluster have less than their share
    return fallback
