"""A circuit breaker on shared memory as plain functions, for tests; built in place only."""
from tulle._fast.base.atomic cimport atomic_fetch_add_i32
from tulle._fast.base.shared cimport BreakerState, shared_cluster_state
from tulle._fast.base.stats cimport Stats
from tulle._fast.base.types cimport int32_t, uint32_t, uint64_t
from tulle._fast.policy.breaker cimport (
    BREAKER_OF_CLUSTER, BREAKER_OF_ENDPOINT, BreakerPolicy, breaker_admit, breaker_drop, breaker_is_shut, breaker_kind,
    breaker_record, breaker_until, breaker_window,
)

KINDS = ("closed", "half-open", "open")


cdef class Breaker:
    """The breaker of a cluster slot, with a policy; times are nanoseconds."""
    cdef Stats stats
    cdef BreakerState *state
    cdef BreakerPolicy policy

    def __init__(
        self, Stats stats, uint32_t slot=0, *, uint32_t threshold=50, uint32_t minimum=20, uint32_t probes=1,
        uint64_t window=10_000_000_000, uint64_t open=5_000_000_000, uint64_t open_max=60_000_000_000,
    ):
        self.stats = stats
        self.state = &shared_cluster_state(stats.shared, slot).breaker
        self.policy.scope = BREAKER_OF_ENDPOINT | BREAKER_OF_CLUSTER
        self.policy.threshold = threshold
        self.policy.minimum = minimum
        self.policy.probes = probes
        self.policy.window = window
        self.policy.open = open
        self.policy.open_max = open_max

    def kind(self) -> str:
        return KINDS[breaker_kind(self.state.word)]

    def until(self) -> int:
        return breaker_until(self.state.word)

    def admit(self, uint64_t now) -> int | None:
        """The token of a request that may pass, else None."""
        cdef uint64_t token
        cdef bint changed = False
        if not breaker_admit(self.state, &self.policy, now, &token, &changed):
            return None
        return token

    def record(self, uint64_t now, bint failed, uint64_t token=0) -> bool:
        return breaker_record(self.state, &self.policy, now, token, failed)

    def drop(self, uint64_t token) -> bool:
        return breaker_drop(self.state, token)

    def shut_until(self, uint64_t now) -> int | None:
        """None: something may pass."""
        cdef uint64_t look_at = <uint64_t>-1
        return look_at if breaker_is_shut(self.state, &self.policy, now, &look_at) else None

    def window(self, uint64_t now) -> tuple[int, int]:
        """Requests and failures."""
        cdef uint64_t requests, failures
        breaker_window(self.state, &self.policy, now, &requests, &failures)
        return requests, failures

    def transitions(self) -> tuple[int, int, int]:
        """How often it was opened, half-opened and closed."""
        return self.state.opened, self.state.half_opened, self.state.closed

    def record_often(self, uint64_t now, uint32_t times, uint32_t failed_of_ten) -> None:
        cdef uint32_t index
        with nogil:
            for index in range(times):
                breaker_record(self.state, &self.policy, now, 0, index % 10 < failed_of_ten)

    def hammer(self, uint64_t now, uint64_t step, uint32_t times, unsigned int[:] words) -> None:
        """Pass as fast as can be, each time `step` later; the requests that passed while it was not closed all fail.

        Each is counted in the word of its round.
        """
        cdef uint64_t token
        cdef bint changed
        cdef uint32_t _time
        with nogil:
            for _time in range(times):
                now += step
                if breaker_admit(self.state, &self.policy, now, &token, &changed) and token != 0:
                    atomic_fetch_add_i32(<int32_t *>&words[<uint32_t>(token & 0xFFFF)], 1)
                    breaker_record(self.state, &self.policy, now, token, True)
