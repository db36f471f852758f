"""What adaptive concurrency has found out about clusters, for people. With the GIL."""
from typing import NamedTuple

from tulle._fast.base.shared cimport AdaptiveState
from tulle._fast.base.stats cimport Stats, slot_after
from tulle._fast.base.types cimport uint64_t


class Adaptive(NamedTuple):
    """`limit` is what was found last, whether it holds or minRTT is being measured; times are nanoseconds, 0: none."""

    measuring: bool
    limit: int
    min_rtt: int
    sampled: int
    gradient: float
    measurements: int


def adaptive(Stats stats) -> dict[tuple[int, int], Adaptive]:
    """By (slot, generation), of clusters whose limit is or was adaptive."""
    cdef uint64_t slot, begin, end
    cdef AdaptiveState *state = <AdaptiveState *>(<char *>stats.shared + stats.shared.adaptive_states)
    cdef uint64_t size = stats.shared.cluster_capacity * sizeof(AdaptiveState)
    found = {}
    for begin, end in stats.extents(stats.shared.adaptive_states, size):
        for slot in range(
            begin // sizeof(AdaptiveState), slot_after(end, sizeof(AdaptiveState), stats.shared.cluster_capacity)
        ):
            if state[slot].generation != 0:
                found[slot, state[slot].generation] = Adaptive(
                    not state[slot].running, state[slot].limit, state[slot].min_rtt, state[slot].sampled,
                    state[slot].gradient / 1000.0, state[slot].measurements,
                )
    return found
