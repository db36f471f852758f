"""Adaptive concurrency on shared memory as plain functions, for tests; built in place only."""
from tulle._fast.base.shared cimport ADAPTIVE_BUCKETS, AdaptiveState, shared_adaptive_state
from tulle._fast.base.stats cimport Stats
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.adaptive cimport AdaptivePolicy, adaptive_limit, adaptive_measuring, adaptive_record


cdef class Controller:
    """That of a cluster slot, with a policy; times are nanoseconds."""
    cdef Stats stats
    cdef AdaptiveState *state
    cdef AdaptivePolicy policy

    def __init__(
        self, Stats stats, uint32_t slot=0, *, uint32_t least=3, uint32_t most=1000, uint32_t count=50,
        double percentile=0.5, double buffer=0.25, uint64_t update=100_000_000, uint64_t measure=60_000_000_000,
        uint64_t jitter=0, uint64_t fixed=0,
    ):
        self.stats = stats
        self.state = shared_adaptive_state(stats.shared, slot)
        self.policy.enabled = 1
        self.policy.min_concurrency = least
        self.policy.max_concurrency = most
        self.policy.request_count = count
        self.policy.percentile = percentile
        self.policy.buffer = buffer
        self.policy.update_interval = update
        self.policy.measure_interval = measure
        self.policy.jitter = jitter
        self.policy.fixed_rtt = fixed

    def limit(self) -> int:
        return adaptive_limit(self.state, &self.policy)

    def measuring(self) -> bool:
        return adaptive_measuring(self.state, &self.policy)

    def record(self, uint64_t begun, uint64_t now, uint64_t draw=0) -> None:
        adaptive_record(self.state, &self.policy, begun, now - begun, now, draw)

    def min_rtt(self) -> int:
        return self.state.min_rtt

    def sampled(self) -> int:
        return self.state.sampled

    def gradient(self) -> float:
        return self.state.gradient / 1000.0

    def measure_at(self) -> int:
        return self.state.measure_at

    def turn(self) -> int:
        """When the window may be judged."""
        return self.state.turn

    def measurements(self) -> int:
        return self.state.measurements

    def recorded(self) -> int:
        """Samples that nobody has judged yet."""
        cdef uint64_t total = 0
        cdef uint32_t bucket
        for bucket in range(ADAPTIVE_BUCKETS):
            total += self.state.buckets[bucket]
        return total

    def stop_short(self, uint64_t now) -> None:
        """A worker has moved the turn on, and is killed before it judges."""
        self.state.turn = now + self.policy.update_interval

    def hammer(self, uint64_t now, uint32_t times, uint64_t step, uint64_t latency) -> None:
        """Samples as fast as can be, each `step` later, of requests that began `latency` before."""
        cdef uint32_t _time
        with nogil:
            for _time in range(times):
                now += step
                adaptive_record(self.state, &self.policy, now - latency, latency, now, 0)
