"""Names to numbers: what shared memory calls listeners, routes, clusters and endpoints.

A name keeps its number for as long as it is in the config, from one reload to the next, so its counters go
on. Listeners and routes have ids that are never used for another name. Clusters and endpoints have slots,
which are dense and used again, and a generation that tells two owners of a slot apart.

Every compile makes a new `NameTable` from the last and raises `serial`. A slot whose name has gone is
*retiring*: it is free for others only after `release(serial)` has said that no worker holds anything compiled
before. A name that comes back before that gets its slot back.

What was counted of listeners, routes and clusters that have gone is still shown for a while: their names keep
their numbers until that is over, too. All numbers that some name has are those that live (`live_numbers`):
workers free what they have counted under others.
"""

from array import array
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec import Struct

# At a time: for so many there is room to count connections in shared memory, by their ids modulo this
MOST_LISTENERS = 512
# At a time, likewise: for so many there is room to count what they decide
MOST_POLICIES = 256
# Names of a kind that have gone and are still shown; of more the first to go are forgotten at once
MOST_SHOWN = 16_384


class Slot(NamedTuple):
    slot: int
    generation: int


class Retiring(NamedTuple):
    slot: int
    generation: int
    serial: int  # of the first compile without the name


class Gone(NamedTuple):
    """A name of an id, when no configuration has it any more."""

    name: str
    serial: int  # of the first compile without it
    shown_until: float  # monotonic seconds


class SlotTable(Struct):
    """The slots of one kind."""

    live: dict[str, Slot] = {}
    retiring: dict[str, Retiring] = {}
    free: list[int] = []
    slots: int = 0  # that were ever handed out: all numbers are below
    generations: int = 0
    shown_until: dict[str, float] = {}  # monotonic seconds, of those retiring that are shown

    def assign(self, names: Iterable[str], serial: int, shown_until: float | None = None) -> list[Slot]:
        """Slots in the order of `names`, which are all that live from now on and hold none twice.

        Names that go are shown until then; None: they are not shown at all.
        """
        assigned: dict[str, Slot] = {}
        live = self.live
        for name in names:
            slot = live.pop(name, None)
            assigned[name] = slot if slot is not None else self._take(name)
        for name, slot in live.items():
            self.retiring[name] = Retiring(slot.slot, slot.generation, serial)
            if shown_until is not None:
                self.shown_until[name] = shown_until
        for name in list(self.shown_until)[:-MOST_SHOWN]:
            self.shown_until[name] = 0.0
        self.live = assigned
        return list(assigned.values())

    def release(self, serial: int, now: float) -> None:
        """Free what has retired up to and with this serial, unless it is shown at this moment."""
        shown = self.shown_until
        for name in [name for name, gone in self.retiring.items() if gone.serial <= serial]:
            if shown.get(name, 0.0) <= now:
                self.free.append(self.retiring.pop(name).slot)
                shown.pop(name, None)
        self.free.sort(reverse=True)

    def numbers(self) -> list[int]:
        """The generations that live, rising."""
        going = [slot.generation for slot in self.retiring.values()]
        return sorted([*(slot.generation for slot in self.live.values()), *going])

    def _take(self, name: str) -> Slot:
        returning = self.retiring.pop(name, None)
        if returning is not None:
            self.shown_until.pop(name, None)
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
    gone: dict[int, Gone] = {}  # by id

    def assign(
        self, names: Iterable[str], apart: int = 0, serial: int = 0, shown_until: float | None = None
    ) -> list[int]:
        """Ids in the order of `names`, which hold none twice.

        No two that live at a time are the same modulo `apart`; there must be no more than so many then.
        Names that go with this serial are shown until then; None: they are forgotten at once.
        """
        assigned: dict[str, int] = {}
        live = self.live
        wanted = list(names)
        taken = {live[name] % apart for name in wanted if name in live} if apart else set()
        former = {gone.name: number for number, gone in self.gone.items()}
        for name in wanted:
            identity = live.get(name)
            if identity is None:
                identity = self._take_back(former.get(name), apart, taken) or self._next(apart, taken)
            assigned[name] = identity
        if shown_until is not None:
            for name, identity in live.items():
                if name not in assigned:
                    self.gone[identity] = Gone(name, serial, shown_until)
            for identity in list(self.gone)[:-MOST_SHOWN]:
                self.gone[identity] = self.gone[identity]._replace(shown_until=0.0)
        self.live = assigned
        return list(assigned.values())

    def release(self, serial: int, now: float) -> None:
        """Forget what has gone up to and with this serial, unless it is shown at this moment."""
        self.gone = {
            number: gone
            for number, gone in self.gone.items()
            if gone.serial > serial or gone.shown_until > now
        }

    def numbers(self) -> list[int]:
        """The ids that live, rising."""
        return sorted((*self.live.values(), *self.gone))

    def shown(self, now: float) -> dict[int, str]:
        """What ids are called at this moment, those of names that have gone too; none twice."""
        called = {gone.name: number for number, gone in self.gone.items() if gone.shown_until > now}
        return {number: name for name, number in (called | self.live).items()}

    def _take_back(self, former: int | None, apart: int, taken: set[int]) -> int | None:
        """The id that a name had, if it can have it again."""
        if former is None or (apart and former % apart in taken):
            return None
        del self.gone[former]
        if apart:
            taken.add(former % apart)
        return former

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
    policies: IdTable = msgspec.field(default_factory=IdTable)
    unswept: bool = False  # names were forgotten since workers were last told which numbers live

    def release(self, serial: int, now: float) -> None:
        """No worker holds anything any more that was compiled before `serial`; `now` is monotonic seconds."""
        before = self._remembered()
        self.clusters.release(serial, now)
        self.endpoints.release(serial, now)
        self.listeners.release(serial, now)
        self.routes.release(serial, now)
        self.unswept = self.unswept or self._remembered() < before

    def _remembered(self) -> int:
        return len(self.clusters.retiring) + len(self.listeners.gone) + len(self.routes.gone)

    def next_sweep(self) -> float:
        """When workers may have something to free, in monotonic seconds; 0: when no more names go, never."""
        times = [
            *([0.0] if self.unswept else []),
            *(gone.shown_until for gone in self.listeners.gone.values()),
            *(gone.shown_until for gone in self.routes.gone.values()),
            *self.clusters.shown_until.values(),
        ]
        return max(min(times), 1e-9) if times else 0.0

    def shown_clusters(self, now: float) -> dict[Slot, str]:
        """What slots are called at this moment, those of names that have gone too."""
        table = self.clusters
        called = {slot: name for name, slot in table.live.items()}
        for name, until in table.shown_until.items():
            if until > now:
                gone = table.retiring[name]
                called[Slot(gone.slot, gone.generation)] = name
        return called


def live_numbers(names: NameTable) -> bytes:
    """The numbers that live, as workers read them: see `_fast/base/sweep.pxd`."""
    kinds = (
        (names.listeners.numbers(), names.listeners.last),
        (names.routes.numbers(), names.routes.last),
        (names.clusters.numbers(), names.clusters.generations),
    )
    words = array("I")
    for numbers, horizon in kinds:
        words.extend((len(numbers), horizon))
    for numbers, _ in kinds:
        words.extend(numbers)
    return words.tobytes()


def encode_names(names: NameTable) -> bytes:
    return msgspec.msgpack.encode(names)


def decode_names(encoded: bytes | None) -> NameTable:
    """The table of these bytes, or an empty one; ValueError (msgspec's) when they are something else."""
    return NameTable() if encoded is None else msgspec.msgpack.decode(encoded, type=NameTable)
