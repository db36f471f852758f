"""What the numbers in shared memory are called, from the names and the routing table of the last compile."""

import time
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


class Shown:
    """Numbers to the names that series are shown by at this moment, of what has just gone too.

    To be made after the series were read: what workers had freed by then is not shown.
    """

    def __init__(self, table: NameTable) -> None:
        now = time.monotonic()
        self.listeners = table.listeners.shown(now)
        self.routes = table.routes.shown(now)
        self.clusters = table.shown_clusters(now)

    def labels(self, key: Key) -> Labels | None:
        """The names of a series; None when one of them has gone."""
        listener = self.listeners.get(key.listener) if key.listener else ""
        route = self.routes.get(key.route) if key.route else ""
        cluster = self.clusters.get(Slot(key.cluster - 1, key.generation)) if key.cluster else ""
        if listener is None or route is None or cluster is None:
            return None
        return Labels(listener, route.rpartition(" ")[2], cluster)


class Names:
    """Numbers to names, of what the configuration in use holds."""

    def __init__(self, table: NameTable) -> None:
        self.table = table
        self.listeners = {number: name for name, number in table.listeners.live.items()}
        self.routes = {number: name for name, number in table.routes.live.items()}
        self.policies = {number: name for name, number in table.policies.live.items()}
        self.clusters = {slot: name for name, slot in table.clusters.live.items()}
        self.endpoints: dict[Slot, tuple[str, str]] = {}
        for name, slot in table.endpoints.live.items():
            cluster, _, address = name.partition(" ")
            self.endpoints[slot] = (cluster, address)

    def shown(self) -> Shown:
        """The names of series, which have been read."""
        return Shown(self.table)


def read_names(descriptor: int) -> Names:
    return Names(decode_names(content(descriptor)))


def read_table(descriptor: int) -> RoutingTable:
    return decode_table(content(descriptor))
