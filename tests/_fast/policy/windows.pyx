"""Windows of latencies and delays of hedges as plain functions, for tests; built in place only."""
from libc.string cimport memset

from tulle._fast.base.types cimport uint64_t
from tulle._fast.policy.hedge cimport HedgePolicy, hedge_delay
from tulle._fast.policy.latency_window cimport LatencyWindow, window_quantile, window_record


cdef class Window:
    cdef LatencyWindow window

    def __cinit__(self) -> None:
        memset(&self.window, 0, sizeof(self.window))

    def record(self, latencies: list[int], uint64_t now) -> None:
        """Durations in nanoseconds, at a time in nanoseconds."""
        cdef uint64_t latency
        for latency in latencies:
            window_record(&self.window, latency, now)

    def quantile(self, double quantile, uint64_t now) -> int:
        """Nanoseconds; 0: too few are known."""
        return window_quantile(&self.window, quantile, now)

    def delay(self, uint64_t delay, double quantile, uint64_t min_delay, uint64_t now) -> int:
        """Of a hedge, in nanoseconds; 0: none."""
        cdef HedgePolicy policy
        policy.delay = delay
        policy.quantile = quantile
        policy.min_delay = min_delay
        return hedge_delay(&policy, &self.window, now)
