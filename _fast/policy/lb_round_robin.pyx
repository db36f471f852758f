"""See `lb_round_robin.pxd`."""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.balancer cimport BalancerHost, balancer_scan

cdef enum:
    TURN_SHIFT = 40                    # virtual time of a turn at weight 1 is 2^40


cdef inline bint due_before(const BalancerState *state, uint32_t left, uint32_t right) noexcept nogil:
    cdef uint64_t left_due = state.hosts[left].deadline
    cdef uint64_t right_due = state.hosts[right].deadline
    return left_due < right_due or (left_due == right_due and left < right)


cdef void sink_top(BalancerState *state) noexcept nogil:
    cdef uint32_t *heap = state.heap
    cdef uint32_t moving = heap[0]
    cdef uint32_t hole = 0
    cdef uint32_t child = 1
    while child < state.count:
        if child + 1 < state.count and due_before(state, heap[child + 1], heap[child]):
            child += 1
        if not due_before(state, heap[child], moving):
            break
        heap[hole] = heap[child]
        hole = child
        child = 2 * hole + 1
    heap[hole] = moving


cdef int32_t lb_round_robin_pick(BalancerState *state) noexcept nogil:
    cdef BalancerHost *host
    cdef uint32_t _turn, top
    cdef int32_t index
    if state.count == 0:
        return -1
    if state.equal:
        index = balancer_scan(state, state.next)
        if index >= 0:
            state.next = <uint32_t>index + 1 if <uint32_t>index + 1 < state.count else 0
        return index
    for _turn in range(2 * state.count):
        top = state.heap[0]
        host = &state.hosts[top]
        # The first turn falls half a period in, so that a light host does not lead every round
        if host.deadline == 0:
            host.deadline = (<uint64_t>1 << (TURN_SHIFT - 1)) // host.weight + 1
            sink_top(state)
            continue
        host.deadline += (<uint64_t>1 << TURN_SHIFT) // host.weight
        sink_top(state)
        if host.usable:
            return <int32_t>top
    return balancer_scan(state, 0)
