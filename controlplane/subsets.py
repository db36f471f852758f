"""The clusters that routes lead to, and the subsets of their endpoints that backends ask for."""

from collections.abc import Iterable, Mapping

from tulle.controlplane.table import Pairs


def pairs(metadata: Mapping[str, str]) -> Pairs:
    """Metadata as rows hold it."""
    return tuple(sorted(metadata.items()))


class ClusterIndex(dict[str, int]):
    """The index of each cluster by its name; collects subsets while routes become rows, each one once."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__((name, index) for index, name in enumerate(names))
        self._subsets: dict[str, dict[Pairs, int]] = {}

    def subset(self, cluster: str, wanted: Mapping[str, str]) -> int:
        """What a `BackendRow` calls a subset: 0 is all endpoints, 1 the first of the cluster's `subsets`."""
        if not wanted:
            return 0
        known = self._subsets.setdefault(cluster, {})
        return known.setdefault(pairs(wanted), len(known) + 1)

    def subsets(self, cluster: str) -> tuple[Pairs, ...]:
        """Those of a cluster, in the order of their numbers."""
        return tuple(self._subsets.get(cluster, ()))
