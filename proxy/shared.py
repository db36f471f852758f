"""What master and workers share: the block of figures, an eventfd for each lane, one for the logger."""

import os
from collections.abc import Iterable
from contextlib import suppress

from tulle._fast.base import stats

CLUSTER_CAPACITY = 65_536
ENDPOINT_CAPACITY = 262_144
FEWEST_LANES = 32
MOST_LANES = 240  # so many eventfds go beside a worker's other descriptors in one message


class Shared:
    """Owns the descriptors."""

    def __init__(self, memory: int, wakes: list[int], log: int) -> None:
        """From descriptors that there are. ValueError when the memory has another layout."""
        self.stats = stats.Stats(memory)
        self.wakes = wakes  # by lane
        self.log = log

    @classmethod
    def create(cls, workers: int) -> "Shared":
        """For so many workers, or twice as many after a reload, with as many again that drain beside them."""
        lanes = min(max(FEWEST_LANES, 4 * len(os.sched_getaffinity(0)), 4 * workers), MOST_LANES)
        return cls(
            stats.create(lanes, CLUSTER_CAPACITY, ENDPOINT_CAPACITY),
            [_eventfd() for _ in range(lanes)],
            _eventfd(),
        )

    def descriptors(self, control: int) -> list[int]:
        """What a worker gets, see `spawner`."""
        return [self.stats.descriptor, control, self.log, *self.wakes]

    def wake(self, lanes: Iterable[int]) -> None:
        """Have the workers of these lanes look at who waits."""
        for lane in lanes:
            with suppress(BlockingIOError):  # it has been told so often that it will look anyway
                os.eventfd_write(self.wakes[lane], 1)

    @property
    def most_workers(self) -> int:
        return self.stats.lane_capacity // 2


def _eventfd() -> int:
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
