"""What the workers have learnt together about clusters and endpoints, for people. With the GIL."""
from tulle._fast.base.shared cimport BreakerState, ClusterState, EndpointHealth, breaker_used
from tulle._fast.base.stats cimport Stats, slot_after
from tulle._fast.base.types cimport uint64_t

BREAKER_KINDS = ("closed", "half_open", "open")


def cluster_breakers(Stats stats) -> dict[tuple[int, int], tuple[str, tuple[int, int, int]]]:
    """By (slot, generation): state, and how often it went into each of `BREAKER_KINDS`."""
    cdef uint64_t slot, begin, end
    cdef BreakerState *breaker
    cdef ClusterState *state = <ClusterState *>(<char *>stats.shared + stats.shared.cluster_states)
    cdef uint64_t size = stats.shared.cluster_capacity * sizeof(ClusterState)
    found = {}
    for begin, end in stats.extents(stats.shared.cluster_states, size):
        for slot in range(
            begin // sizeof(ClusterState), slot_after(end, sizeof(ClusterState), stats.shared.cluster_capacity)
        ):
            breaker = &state[slot].breaker
            if breaker_used(breaker):
                found[slot, state[slot].generation] = (
                    BREAKER_KINDS[breaker.word & 3], (breaker.closed, breaker.half_opened, breaker.opened)
                )
    return found


def endpoint_breakers(Stats stats) -> dict[tuple[int, int], tuple[str, tuple[int, int, int]]]:
    """The same, of endpoints."""
    cdef uint64_t slot, begin, end
    cdef BreakerState *breaker
    cdef EndpointHealth *health = <EndpointHealth *>(<char *>stats.shared + stats.shared.endpoint_health)
    cdef uint64_t size = stats.shared.endpoint_capacity * sizeof(EndpointHealth)
    found = {}
    for begin, end in stats.extents(stats.shared.endpoint_health, size):
        for slot in range(
            begin // sizeof(EndpointHealth), slot_after(end, sizeof(EndpointHealth), stats.shared.endpoint_capacity)
        ):
            breaker = &health[slot].breaker
            if breaker_used(breaker):
                found[slot, health[slot].generation] = (
                    BREAKER_KINDS[breaker.word & 3], (breaker.closed, breaker.half_opened, breaker.opened)
                )
    return found
