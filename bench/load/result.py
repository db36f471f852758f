"""What a load says of itself, whoever made it."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Stamp(NamedTuple):
    """When a request was written and when its good answer was whole, in seconds of the monotonic clock."""

    written: float
    answered: float


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
    stamps: tuple[Stamp, ...] = ()
    """Of the good answers in the order in which they came, if they were asked for."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds if self.seconds else 0.0
