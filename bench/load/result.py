"""What a load says of itself, whoever made it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LoadResult:
    """Counts and bytes of the answers; latencies in microseconds."""

    requests: int
    seconds: float
    bytes: int
    failed: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds if self.seconds else 0.0
