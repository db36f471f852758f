"""What the traffic has seen of one service: the last seconds for rates and times, everything for sums."""

from collections import Counter, deque
from typing import NamedTuple

WINDOW = 5.0  # seconds that rates and times are taken over


class Sample(NamedTuple):
    """One finished request. Times in seconds; `status` 0: no answer."""

    at: float
    took: float
    status: int
    server: str
    turned_away: bool

    @property
    def failed(self) -> bool:
        """Neither answered well nor turned away by the circuit breaker."""
        return not 200 <= self.status < 400 and not self.turned_away


class Recent(NamedTuple):
    """Figures of the last `WINDOW` seconds: rates a second, times in seconds."""

    rate: float
    median: float
    p99: float
    turned_away: float
    failed: float
    shares: dict[str, float]  # of answers, by the server that gave them

    def share(self, server: str) -> float:
        return self.shares.get(server, 0.0)


class Figures:
    """All samples of one service. `began` is the moment of the first, in the clock of the samples."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.window: deque[Sample] = deque()
        self.total = 0
        self.failed = 0
        self.turned_away = 0

    def record(self, sample: Sample) -> None:
        self.window.append(sample)
        self.total += 1
        self.failed += sample.failed
        self.turned_away += sample.turned_away

    def recent(self, now: float, span: float = WINDOW) -> Recent:
        """The last `span` seconds, at most `WINDOW`."""
        while self.window and self.window[0].at < now - WINDOW:
            self.window.popleft()
        samples = [sample for sample in self.window if sample.at >= now - span]
        seconds = max(min(span, now - self.began), 0.1)
        times = sorted(sample.took for sample in samples)
        servers = Counter(sample.server for sample in samples if sample.server)
        answered = max(servers.total(), 1)
        return Recent(
            rate=len(samples) / seconds,
            median=quantile(times, 0.5),
            p99=quantile(times, 0.99),
            turned_away=sum(sample.turned_away for sample in samples) / seconds,
            failed=sum(sample.failed for sample in samples) / seconds,
            shares={server: count / answered for server, count in servers.items()},
        )


def quantile(ordered: list[float], share: float) -> float:
    """Of an ordered list, by the nearest rank; 0 when it is empty."""
    if not ordered:
        return 0.0
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
