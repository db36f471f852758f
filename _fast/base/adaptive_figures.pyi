from typing import NamedTuple

from tulle._fast.base.stats import Stats

class Adaptive(NamedTuple):
    measuring: bool
    limit: int
    min_rtt: int
    sampled: int
    gradient: float
    measurements: int

def adaptive(stats: Stats) -> dict[tuple[int, int], Adaptive]: ...
