from tulle._fast.base.stats import Stats

BREAKER_KINDS: tuple[str, ...]
Breakers = dict[tuple[int, int], tuple[str, tuple[int, int, int]]]

def cluster_breakers(stats: Stats) -> Breakers: ...
def endpoint_breakers(stats: Stats) -> Breakers: ...
