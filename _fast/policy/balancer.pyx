"""See `balancer.pxd`."""
from libc.stdlib cimport free

from tulle._fast.base.random cimport random_next, random_scale
from tulle._fast.base.types cimport likely

cdef enum:
    DRAWS = 8


cdef void balancer_reset(
    BalancerState *state, BalancerHost *hosts, uint32_t *heap, uint32_t count, uint64_t seed
) noexcept nogil:
    cdef uint32_t index
    state.hosts = hosts
    state.heap = heap
    state.count = count
    state.seed = seed
    state.table = NULL
    state.table_kind = BALANCER_TABLE_NONE
    state.next = <uint32_t>(seed % count) if count else 0
    for index in range(count):
        hosts[index].load.weight = hosts[index].weight
    state.unit = 0
    balancer_weigh(state, 1)


cdef void balancer_free(BalancerState *state) noexcept nogil:
    free(state.hosts)
    free(state.heap)
    free(state.table)
    state.hosts = NULL
    state.heap = NULL
    state.table = NULL
    state.table_kind = BALANCER_TABLE_NONE
    state.count = 0


cdef void balancer_weigh(BalancerState *state, uint32_t unit) noexcept nogil:
    cdef uint32_t index
    cdef uint64_t total = 0
    cdef BalancerHost *host
    state.equal = True
    for index in range(state.count):
        host = &state.hosts[index]
        host.weight = host.load.weight if unit == 1 else host.load.weight * host.load.share
        total += host.weight
        host.weight_until = total
        if host.weight != state.hosts[0].weight:
            state.equal = False
    state.total_weight = total
    # Round robin's deadlines are in the old unit
    if state.unit != unit:
        state.begun = False
    state.unit = unit


cdef void balancer_take_table(BalancerState *state, void *table, uint32_t kind) noexcept nogil:
    free(state.table)
    state.table = table
    state.table_kind = kind


cdef inline uint32_t draw_any(const BalancerState *state, uint64_t word) noexcept nogil:
    """A host by weight, usable or not."""
    cdef const BalancerHost *first = state.hosts
    cdef uint64_t draw
    cdef uint32_t left = state.count
    cdef uint32_t half
    if state.equal:
        return <uint32_t>random_scale(word, state.count)
    draw = random_scale(word, state.total_weight)
    # Without a branch on what was drawn, which nobody could foretell
    while left > 1:
        half = left >> 1
        first += half * <uint32_t>(draw >= first[half - 1].weight_until)
        left -= half
    return <uint32_t>(first - state.hosts)


cdef inline uint64_t weight_of(const BalancerState *state, uint32_t index, int32_t apart) noexcept nogil:
    """0 for a host that is not to be drawn."""
    return state.hosts[index].weight if state.hosts[index].usable and <int32_t>index != apart else 0


cdef int32_t draw_exactly(const BalancerState *state, uint64_t word, int32_t apart) noexcept nogil:
    cdef uint64_t total = 0
    cdef uint64_t draw, weight
    cdef uint32_t index
    for index in range(state.count):
        total += weight_of(state, index, apart)
    if total == 0:
        return -1
    draw = random_scale(word, total)
    for index in range(state.count):
        weight = weight_of(state, index, apart)
        if draw < weight:
            return <int32_t>index
        draw -= weight
    return -1


cdef int32_t balancer_draw(const BalancerState *state, Random *random, int32_t apart) noexcept nogil:
    cdef uint32_t index
    cdef int _draw
    if state.count == 0:
        return -1
    # Drawing again keeps the weights right among those that may be drawn, and so does the count of them in the end
    for _draw in range(DRAWS):
        index = draw_any(state, random_next(random))
        if likely(state.hosts[index].usable and <int32_t>index != apart):
            return <int32_t>index
    return draw_exactly(state, random_next(random), apart)


cdef int32_t balancer_scan(const BalancerState *state, uint32_t start) noexcept nogil:
    cdef uint32_t step, index
    for step in range(state.count):
        index = start + step
        if index >= state.count:
            index -= state.count
        if state.hosts[index].usable:
            return <int32_t>index
    return -1
