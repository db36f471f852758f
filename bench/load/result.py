"""What a load says of itself, whoever made it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LoadResult:
    """Counts and bytes of the answers; latencies in microseconds."""

    requests: int
    seconds: float
    bytes: int
    failed: int
    p50: float
    p99: float
    kinds: dict[str, int] = field(default_factory=dict)
    """The failures by kind, which add up to `failed`; kinds that did not occur are absent."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds if self.seconds else 0.0
