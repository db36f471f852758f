"""How long to wait before the control plane is asked again. Pure but for chance."""

import random
from collections.abc import Callable

FIRST = 0.5  # seconds
LONGEST = 30.0


class Backoff:
    """Each pause is a random part of twice the one before, so that thousands do not come back as one."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self.chance = chance
        self.failures = 0

    def pause(self) -> float:
        """Seconds until the next try, after another failure."""
        most = min(LONGEST, FIRST * float(2**self.failures))
        self.failures = min(self.failures + 1, 16)
        return most * (0.5 + self.chance() / 2)

    def worked(self) -> None:
        self.failures = 0
