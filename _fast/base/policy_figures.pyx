"""What policies have decided, added up over the lanes. With the GIL."""
from tulle._fast.base.shared cimport POLICY_SLOTS, Lane, shared_lane
from tulle._fast.base.stats cimport Stats
from tulle._fast.base.types cimport uint32_t

OUTCOMES = ("allowed", "denied", "audited", "shadow_allowed", "shadow_denied")     # PolicyOutcome, in its order
MOST_POLICIES = POLICY_SLOTS


def policies(Stats stats) -> dict[int, dict[str, int]]:
    """By the id of a policy: how often it came to each of `OUTCOMES`."""
    cdef uint32_t slot
    cdef int outcome
    cdef Lane *lane
    sums: dict[int, dict[str, int]] = {}
    for index in range(stats.shared.lanes_used):
        lane = shared_lane(stats.shared, index)
        for slot in range(POLICY_SLOTS):
            if lane.policies[slot].policy == 0:
                continue
            counted = sums.setdefault(lane.policies[slot].policy, dict.fromkeys(OUTCOMES, 0))
            for outcome in range(len(OUTCOMES)):
                counted[OUTCOMES[outcome]] += lane.policies[slot].outcomes[outcome]
    return sums
