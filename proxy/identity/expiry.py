"""Says in time that certificates in use expire. Pure: the time is passed in, in seconds since 1970."""

from collections.abc import Iterable
from typing import Any

WARN = "warn"
EXPIRED = "expired"
DAY = 86400.0
SOONEST_WARNING = 30 * DAY


class Expiry:
    """Remembers what has been said: each thing once for each certificate."""

    def __init__(self) -> None:
        self.told: set[tuple[str, str]] = set()

    def lines(self, uses: Iterable[dict[str, Any]], now: float) -> list[tuple[bool, str]]:
        """What is to be said now: whether it has happened already, and the line.

        `uses` are `CertificateUse` as builtins. Of a bundle nothing is said as long as another member lives.
        """
        found = []
        current = set()
        for use in uses:
            facts = first_to_count(use)
            if facts is None:
                continue
            for stage in (WARN, EXPIRED):
                current.add((facts["fingerprint"], stage))
            left = facts["not_after"] - now
            life = facts["not_after"] - facts["not_before"]
            stage = EXPIRED if left <= 0 else WARN
            if left > min(life / 3, SOONEST_WARNING) or (facts["fingerprint"], stage) in self.told:
                continue
            self.told.add((facts["fingerprint"], stage))
            found.append((left <= 0, f"{use['file']}: {facts['subject'] or name(facts)} {_when(left)}"))
        self.told &= current
        return found


def first_to_count(use: dict[str, Any]) -> dict[str, Any] | None:
    """Of a chain the one that expires first, of a bundle the one that expires last."""
    of_all: list[dict[str, Any]] = list(use["certificates"])
    if not of_all:
        return None
    choose = min if use["role"] == "certificate" else max
    return choose(of_all, key=lambda facts: float(facts["not_after"]))


def name(facts: dict[str, Any]) -> str:
    """The first name of a certificate, without its kind."""
    names = facts["names"]
    return names[0].partition(":")[2] if names else f"serial {facts['serial']}"


def _when(left: float) -> str:
    if left <= 0:
        return "has expired, and peers refuse it; put a new certificate in place, it is taken by itself"
    unit, size = (
        ("days", DAY) if left >= 2 * DAY else ("hours", 3600.0) if left >= 7200 else ("minutes", 60.0)
    )
    return f"expires in {int(left // size)} {unit}; put a new certificate in place, it is taken by itself"
