from tulle._fast.base.stats import Stats

OUTCOMES: tuple[str, ...]
MOST_POLICIES: int

def policies(stats: Stats) -> dict[int, dict[str, int]]: ...
