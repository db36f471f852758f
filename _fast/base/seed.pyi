from typing import Any

from tulle._fast.base.stats import Stats

OWN: frozenset[str]

def seed(stats: Stats, lane: int, exported: dict[str, Any]) -> None: ...
