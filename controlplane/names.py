"""Names to numbers: what shared memory calls listeners, routes, clusters and endpoints.

A name keeps its number for as long as it is in the config, from one reload to the next, so its counters go
on. Listeners and routes have ids that are never used for another name. Clusters and endpoints have slots,
which are dense and used again, and a generation that tells two owners of a slot apart.

Every compile makes a new `NameTable` from the last and raises `serial`. A slot whose name has gone is
*retiring*: it is free for others only after `release(serial)` has said that no worker holds anything compiled
before. A name that comes back before that gets its slot back.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec import Struct

# At a time: for so many there is room to count connections in shared memory, by their ids modulo this
MOST_LISTENERS = 512


class Slot(NamedTuple):
    slot: int
    generation: int


class Retiring(NamedTuple):
    slot: int
    generation: int
    serial: int  # of the first compile without the name


class SlotTable(Struct):
    """The slots of one kind."""

    live: dict[str, Slot] = {}
    retiring: dict[str, Retiring] = {}
    free: list[int] = []
    slots: int = 0  # that were ever handed out: all numbers are below
    generations: int = 0

    def assign(self, names: Iterable[str], serial: int) -> list[Slot]:
        """Slots in the order of `names`, which are all that live from now on and hold none twice."""
        assigned: dict[str, Slot] = {}
        live = self.live
        for name in names:
            slot = live.pop(name, None)
            assigned[name] = slot if slot is not None else self._take(name)
        for name, slot in live.items():
            self.retiring[name] = Retiring(slot.slot, slot.generation, serial)
        self.live = assigned
        return list(assigned.values())

    def release(self, serial: int) -> None:
        """Free what has retired up to and with this serial."""
        for name in [name for name, gone in self.retiring.items() if gone.serial <= serial]:
            self.free.append(self.retiring.pop(name).slot)
        self.free.sort(reverse=True)

    def _take(self, name: str) -> Slot:
        returning = self.retiring.pop(name, None)
        if returning is not None:
            return Slot(returning.slot, returning.generation)
        self.generations += 1
        if self.free:
            return Slot(self.free.pop(), self.generations)
        self.slots += 1
        return Slot(self.slots - 1, self.generations)


class IdTable(Struct):
    """The ids of one kind; the first is 1."""

    live: dict[str, int] = {}
    last: int = 0

    def assign(self, names: Iterable[str], apart: int = 0) -> list[int]:
        """Ids in the order of `names`, which hold none twice.

        No two that live at a time are the same modulo `apart`; there must be no more than so many then.
        """
        assigned: dict[str, int] = {}
        live = self.live
        wanted = list(names)
        taken = {live[name] % apart for name in wanted if name in live} if apart else set()
        for name in wanted:
            identity = live.get(name)
            if identity is None:
                identity = self._next(apart, taken)
            assigned[name] = identity
        self.live = assigned
        return list(assigned.values())

    def _next(self, apart: int, taken: set[int]) -> int:
        self.last += 1
        if apart:
            while self.last % apart in taken:
                self.last += 1
            taken.add(self.last % apart)
        return self.last


class NameTable(Struct):
    """All names of a proxy. Routes are called `table route`, endpoints `cluster address`, with a space."""

    serial: int = 0
    listeners: IdTable = msgspec.field(default_factory=IdTable)
    routes: IdTable = msgspec.field(default_factory=IdTable)
    clusters: SlotTable = msgspec.field(default_factory=SlotTable)
    endpoints: SlotTable = msgspec.field(default_factory=SlotTable)

    def release(self, serial: int) -> None:
        """No worker holds anything any more that was compiled before `serial`."""
        self.clusters.release(serial)
        self.endpoints.release(serial)


def encode_names(names: NameTable) -> bytes:
    return msgspec.msgpack.encode(names)


def decode_names(encoded: bytes | None) -> NameTable:
    """The table of these bytes, or an empty one; ValueError (msgspec's) when they are something else."""
    return NameTable() if encoded is None else msgspec.msgpack.decode(encoded, type=NameTable)
