"""See `lb_round_robin.pxd`. Virtual time wraps; all deadlines lie within one turn of weight 1 of each other."""
from tulle._fast.base.random cimport random_scale
from tulle._fast.base.types cimport int64_t, likely, uint32_t, uint64_t, unlikely
from tulle._fast.policy.balancer cimport balancer_scan

cdef enum:
    TURN_SHIFT = 62                    # virtual time of a turn at weight 1 is 2^62
    TURNS = 16                         # of hosts that are down, before all of them are passed over at once


cdef inline uint64_t period(const BalancerState *state, uint32_t index) noexcept nogil:
    return (<uint64_t>1 << TURN_SHIFT) // state.hosts[index].weight


cdef inline bint due_before(const BalancerState *state, uint32_t left, uint32_t right) noexcept nogil:
    cdef int64_t ahead = <int64_t>(state.hosts[left].deadline - state.hosts[right].deadline)
    return ahead < 0 or (ahead == 0 and left < right)


cdef void sink(BalancerState *state, uint32_t hole) noexcept nogil:
    """Let what is at `hole` in the heap down to its place."""
    cdef uint32_t *heap = state.heap
    cdef uint32_t moving = heap[hole]
    cdef uint32_t child = 2 * hole + 1
    while child < state.count:
        if child + 1 < state.count and due_before(state, heap[child + 1], heap[child]):
            child += 1
        if not due_before(state, heap[child], moving):
            break
        heap[hole] = heap[child]
        hole = child
        child = 2 * hole + 1
    heap[hole] = moving


cdef void order(BalancerState *state) noexcept nogil:
    cdef uint32_t hole = state.count // 2
    while hole > 0:
        hole -= 1
        sink(state, hole)


cdef void begin(BalancerState *state) noexcept nogil:
    """Multiples of the golden ratio spread any number of first turns evenly; the seed says where the spiral begins."""
    cdef uint64_t phase = state.seed
    cdef uint32_t index
    for index in range(state.count):
        state.hosts[index].deadline = random_scale(phase, period(state, index))
        state.heap[index] = index
        phase += <uint64_t>0x9E3779B97F4A7C15
    order(state)
    state.begun = True


cdef int32_t pass_over(BalancerState *state) noexcept nogil:
    """The turn of the first host that is usable; what the others have before it is forfeited."""
    cdef int32_t first = -1
    cdef uint32_t index
    cdef uint64_t missed
    for index in range(state.count):
        if state.hosts[index].usable and (first < 0 or due_before(state, index, <uint32_t>first)):
            first = <int32_t>index
    if first < 0:
        return -1
    for index in range(state.count):
        if not state.hosts[index].usable and due_before(state, index, <uint32_t>first):
            missed = (state.hosts[first].deadline - state.hosts[index].deadline) // period(state, index) + 1
            state.hosts[index].deadline += missed * period(state, index)
    state.hosts[first].deadline += period(state, <uint32_t>first)
    order(state)
    return first


cdef int32_t lb_round_robin_pick(BalancerState *state) noexcept nogil:
    cdef int32_t index
    cdef uint32_t top
    cdef int _turn
    if state.count == 0:
        return -1
    if state.equal:
        index = balancer_scan(state, state.next)
        if index >= 0:
            state.next = <uint32_t>index + 1 if <uint32_t>index + 1 < state.count else 0
        return index
    if unlikely(not state.begun):
        begin(state)
    for _turn in range(TURNS):
        top = state.heap[0]
        state.hosts[top].deadline += period(state, top)
        sink(state, 0)
        if likely(state.hosts[top].usable):
            return <int32_t>top
    return pass_over(state)
