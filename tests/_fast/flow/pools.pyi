from collections.abc import Sequence

from tulle._fast.base.stats import Stats

OPEN: int
DONE: int
WORDS_A_LANE: int
NONE: int
WAITING: int
CONNECTING: int
RUNNING: int
GUESTS_OF_A_WORKER: int
HOSTS_OF_THE_CLUSTER: int

def hammer(
    stats: Stats,
    lane: int,
    wakes: Sequence[int],
    most_connections: int,
    most_pending: int,
    rounds: int,
    requests: int,
    words: memoryview,
) -> None: ...

class Workers:
    def __init__(
        self, stats: Stats, wakes: Sequence[int], most_connections: int, most_pending: int, words: memoryview
    ) -> None: ...
    def start(self, lane: int, guest: int, host: int, fresh: bool) -> None: ...
    def step(self, lane: int, guest: int, well: bool) -> None: ...
    def heed(self, lane: int) -> bool: ...
    def states(self, lane: int) -> list[int]: ...
    def idle(self, lane: int) -> int: ...
    def drain(self, lane: int) -> None: ...
