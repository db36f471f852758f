from collections.abc import Collection
from typing import Any

from tulle._fast.base.stats import Stats

def export(stats: Stats, without: Collection[int] = ()) -> dict[str, Any]: ...
