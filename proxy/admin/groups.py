"""How the endpoints of clusters are grouped, and what each group gets now."""

from collections.abc import Collection
from typing import Any

import msgspec

from tulle._fast.policy.group_view import Group, GroupView
from tulle.controlplane.table import ClusterRow, Pairs
from tulle.proxy.admin.names import Names

View = dict[str, Any]


class Groups:
    """Those of an endpoints segment, which is that of `names`."""

    def __init__(self, segment: bytes, names: Names, healthy: Collection[tuple[str, str]]) -> None:
        """`healthy` are the endpoints, by cluster and address, that may be used."""
        self.view = GroupView(segment)
        self.healthy = healthy
        # Their order is that of the segment: both are of one compile
        self.clusters = {name: number for number, name in enumerate(names.clusters.values())}

    def endpoints(self, cluster: str) -> dict[str, View]:
        """By address: priority, and zone and metadata where there are any."""
        found: dict[str, View] = {}
        for endpoint in self.view.endpoints(self.clusters[cluster]):
            place: View = {"priority": endpoint.priority}
            if endpoint.zone:
                place["zone"] = endpoint.zone
            if endpoint.metadata:
                place["metadata"] = msgspec.json.decode(endpoint.metadata)
            found[endpoint.address] = place
        return found

    def groups(self, row: ClusterRow) -> list[View]:
        """The groups of a cluster, first those of all endpoints, then those of each subset."""
        found = []
        subsets: tuple[Pairs, ...] = ((), *row.subsets)
        for subset, (falls_back, groups) in zip(subsets, self._sets(row.name), strict=False):
            shown = {"subset": dict(subset)} if subset else {}
            if falls_back or not groups:
                size = sum(len(group.members) for group in groups)
                found.append({**shown, "endpoints": size, "falls_back": falls_back})
                continue
            for group in groups:
                found.append(
                    {
                        **shown,
                        "priority": group.priority,
                        **({"zone": group.zone} if group.zone else {}),
                        "endpoints": len(group.members),
                        "share": round(group.share, 4),
                        "panic": group.panic,
                    }
                )
        return found

    def panics(self) -> dict[str, bool]:
        """By cluster, whether a priority of it, of all endpoints or of a subset, is in a panic."""
        return {
            name: any(group.panic for _, groups in self._sets(name) for group in groups)
            for name in self.clusters
        }

    def _sets(self, cluster: str) -> list[tuple[bool, list[Group]]]:
        number = self.clusters[cluster]
        available = [(cluster, endpoint.address) in self.healthy for endpoint in self.view.endpoints(number)]
        return self.view.sets(number, available)
