"""See `balancer.pxd`."""
from tulle._fast.base.random cimport random_scale


cdef void balancer_reset(
    BalancerState *state, BalancerHost *hosts, uint32_t *heap, uint32_t count, uint64_t seed
) noexcept nogil:
    cdef uint32_t index
    cdef uint64_t total = 0
    state.hosts = hosts
    state.heap = heap
    state.count = count
    state.equal = True
    for index in range(count):
        total += hosts[index].weight
        hosts[index].weight_until = total
        hosts[index].deadline = 0
        if hosts[index].weight != hosts[0].weight:
            state.equal = False
        heap[index] = index
    state.total_weight = total
    state.next = <uint32_t>(seed % count) if count else 0


cdef uint32_t balancer_draw(const BalancerState *state, uint64_t random) noexcept nogil:
    cdef uint64_t draw
    cdef uint32_t low = 0
    cdef uint32_t high = state.count - 1
    cdef uint32_t middle
    if state.equal:
        return <uint32_t>random_scale(random, state.count)
    draw = random_scale(random, state.total_weight)
    while low < high:
        middle = (low + high) // 2
        if draw < state.hosts[middle].weight_until:
            high = middle
        else:
            low = middle + 1
    return low


cdef int32_t balancer_scan(const BalancerState *state, uint32_t start) noexcept nogil:
    cdef uint32_t step, index
    for step in range(state.count):
        index = start + step
        if index >= state.count:
            index -= state.count
        if state.hosts[index].usable:
            return <int32_t>index
    return -1
