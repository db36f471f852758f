"""What the numbers in shared memory are called, from the names and the routing table of the last compile."""

from typing import NamedTuple

from tulle.controlplane.names import NameTable, Slot, decode_names
from tulle.controlplane.table import RoutingTable, decode_table
from tulle.proxy.descriptors import content


class Key(NamedTuple):
    """A series, by number: 0 is none; `cluster` is a slot + 1."""

    listener: int
    route: int
    cluster: int
    generation: int


class Labels(NamedTuple):
    """A series, by name; "" is none."""

    listener: str
    route: str
    cluster: str


class Names:
    """Numbers to names, of what the configuration in use holds."""

    def __init__(self, table: NameTable) -> None:
        self.listeners = {number: name for name, number in table.listeners.live.items()}
        self.routes = {number: name for name, number in table.routes.live.items()}
        self.clusters = {slot: name for name, slot in table.clusters.live.items()}
        self.endpoints: dict[Slot, tuple[str, str]] = {}
        for name, slot in table.endpoints.live.items():
            cluster, _, address = name.partition(" ")
            self.endpoints[slot] = (cluster, address)

    def labels(self, key: Key) -> Labels | None:
        """The names of a series; None when the configuration does not have one of them any more."""
        listener = self.listeners.get(key.listener) if key.listener else ""
        route = self.routes.get(key.route) if key.route else ""
        cluster = self.clusters.get(Slot(key.cluster - 1, key.generation)) if key.cluster else ""
        if listener is None or route is None or cluster is None:
            return None
        return Labels(listener, route.rpartition(" ")[2], cluster)


def read_names(descriptor: int) -> Names:
    return Names(decode_names(content(descriptor)))


def read_table(descriptor: int) -> RoutingTable:
    return decode_table(content(descriptor))
