"""When a burst of changes is taken: once it is still for a while, and after a second in any case. Pure."""

STILL = 0.1  # seconds
LONGEST = 1.0


class Burst:
    """Changes that have come and have not been taken yet. Times are seconds of any one clock."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.last = 0.0

    def changed(self, now: float) -> None:
        if self.first is None:
            self.first = now
        self.last = now

    def due(self) -> float | None:
        """When to take them; None when there are none."""
        return None if self.first is None else min(self.last + STILL, self.first + LONGEST)

    def taken(self) -> None:
        self.first = None
