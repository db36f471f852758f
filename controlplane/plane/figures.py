"""What a control plane counts of itself. Plain numbers, of which `metrics` makes a page when it is asked."""

import time
from bisect import bisect_left
from collections import Counter

from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.tokens import TokenError
from tulle.controlplane.plane.sources.base import SourceError

# seconds from a change to the answer of a sidecar; a burst is taken after 0.1 s at the earliest
BOUNDS = (0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)


class Figures:
    """Since the control plane began."""

    def __init__(self) -> None:
        self.began = time.time()
        self.loads: Counter[str] = Counter()  # by outcome: success, unchanged, refused
        self.loaded_at = 0.0  # when a mesh of the sources was last found right; since 1970
        self.updates: Counter[str] = Counter()  # by outcome: sent, success, refused
        self.active = [0] * (len(BOUNDS) + 1)  # updates by the time that they took, see BOUNDS
        self.active_seconds = 0.0
        self.issued: Counter[str] = Counter()  # certificates by kind: enrol, renew
        self.refused: Counter[tuple[str, str]] = Counter()  # those that were not, by kind and reason
        self.turned_away: Counter[str] = Counter()  # connections by reason: unknown, max_sidecars

    def took(self, seconds: float) -> None:
        """A change has become active in a sidecar, so long after it came."""
        self.active[bisect_left(BOUNDS, seconds)] += 1
        self.active_seconds += seconds

    def loaded(self, outcome: str) -> None:
        """What the sources have was looked at."""
        self.loads[outcome] += 1
        if outcome != "refused":
            self.loaded_at = time.time()

    def refuse(self, kind: str, error: Exception) -> None:
        """A certificate was asked for and not issued."""
        self.refused[kind, reason_of(error)] += 1


def reason_of(error: Exception) -> str:
    """One of a few words: `token-used` and the other codes of tokens, `identity`, `source`, `malformed`."""
    if isinstance(error, TokenError):
        return f"token-{error.code}"
    if isinstance(error, IdentityError):
        return "identity"
    return "source" if isinstance(error, SourceError) else "malformed"
