"""Names keep their numbers, and a slot has one owner at a time."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tulle.controlplane.names import (
    MOST_SHOWN,
    IdTable,
    NameTable,
    Slot,
    SlotTable,
    decode_names,
    encode_names,
    live_numbers,
)

NAMES = st.lists(st.sampled_from("abcdefgh"), unique=True)


class Slots(RuleBasedStateMachine):
    """Compiles and releases in any order, against what may never be."""

    def __init__(self) -> None:
        super().__init__()
        self.table = SlotTable()
        self.serial = 0
        self.released = 0
        self.now = 1.0
        self.owner: dict[Slot, str] = {}
        self.seen: dict[int, dict[str, Slot]] = {}

    @rule(names=NAMES)
    def compile(self, names: list[str]) -> None:
        self.serial += 1
        before = dict(self.table.live)
        self.now += 1
        slots = self.table.assign(names, self.serial, self.now + 2 if self.serial % 3 else None)
        assigned = dict(zip(names, slots, strict=True))
        assert self.table.live == assigned
        for name, slot in assigned.items():
            assert before.get(name, slot) == slot, "a name that stays keeps its slot"
            assert self.owner.setdefault(slot, name) == name, (
                "slot and generation belong to one name for ever"
            )
        self.seen[self.serial] = assigned

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.released = data.draw(st.integers(self.released, self.serial))
        self.table.release(self.released, self.now)

    @rule()
    def wait(self) -> None:
        self.now += 1

    @invariant()
    def no_two_owners(self) -> None:
        """Whatever a worker may still hold, no slot in it has two owners."""
        held: dict[int, str] = {}
        for serial, assigned in self.seen.items():
            if serial >= max(self.released, 1) or serial == self.serial:
                for name, slot in assigned.items():
                    assert held.setdefault(slot.slot, name) == name

    @invariant()
    def numbers_of_what_may_be_in_use_live(self) -> None:
        numbers = self.table.numbers()
        assert numbers == sorted(set(numbers))
        for serial, assigned in self.seen.items():
            if serial >= max(self.released, 1) or serial == self.serial:
                assert {slot.generation for slot in assigned.values()} <= set(numbers)

    @invariant()
    def only_those_are_shown_that_keep_their_slot(self) -> None:
        assert self.table.shown_until.keys() <= self.table.retiring.keys()

    @invariant()
    def slots_are_dense(self) -> None:
        used = [slot.slot for slot in self.table.live.values()]
        used += [gone.slot for gone in self.table.retiring.values()]
        assert sorted(used + self.table.free) == list(range(self.table.slots))


TestSlots = Slots.TestCase


@given(st.lists(NAMES, max_size=6))
def test_ids_are_never_used_twice(compiles: list[list[str]]) -> None:
    table = IdTable()
    owners: dict[int, str] = {}
    for names in compiles:
        before = dict(table.live)
        for name, identity in zip(names, table.assign(names), strict=True):
            assert before.get(name, identity) == identity
            assert owners.setdefault(identity, name) == name


@given(st.lists(NAMES, max_size=12), st.integers(min_value=1, max_value=9))
def test_ids_that_live_at_a_time_are_apart(compiles: list[list[str]], apart: int) -> None:
    table = IdTable()
    for names in compiles:
        ids = table.assign(names[:apart], apart)
        assert len({identity % apart for identity in ids}) == len(ids)


class Ids(RuleBasedStateMachine):
    """Ids of names that go and are shown for a while, against what may never be."""

    def __init__(self) -> None:
        super().__init__()
        self.table = IdTable()
        self.serial = 0
        self.released = 0
        self.now = 1.0
        self.seen: dict[int, dict[str, int]] = {}
        self.forgotten: set[int] = set()

    @rule(names=NAMES, apart=st.sampled_from([0, 8]))
    def compile(self, names: list[str], apart: int) -> None:
        self.serial += 1
        if self.serial > 1:
            apart = self.apart
        self.apart = apart
        ids = self.table.assign(names, apart, self.serial, self.now + 2)
        assert not apart or len({identity % apart for identity in ids}) == len(ids)
        self.seen[self.serial] = dict(zip(names, ids, strict=True))

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.released = data.draw(st.integers(self.released, self.serial))
        before = set(self.table.numbers())
        self.table.release(self.released, self.now)
        self.forgotten |= before - set(self.table.numbers())

    @rule()
    def wait(self) -> None:
        self.now += 1

    @invariant()
    def what_is_forgotten_is_never_used_again(self) -> None:
        assert not self.forgotten & set(self.table.numbers())

    @invariant()
    def what_may_be_in_use_lives(self) -> None:
        numbers = self.table.numbers()
        assert numbers == sorted(set(numbers))
        for serial, assigned in self.seen.items():
            if serial >= max(self.released, 1) or serial == self.serial:
                assert set(assigned.values()) <= set(numbers)

    @invariant()
    def a_name_is_shown_by_one_id(self) -> None:
        shown = self.table.shown(self.now)
        assert len(set(shown.values())) == len(shown)
        assert {name: number for number, name in shown.items()} | self.table.live == {
            name: number for number, name in shown.items()
        }


TestIds = Ids.TestCase


def test_a_route_that_comes_back_in_time_goes_on() -> None:
    table = IdTable()
    table.assign(["a", "b"], serial=1, shown_until=10.0)
    table.assign(["b"], serial=2, shown_until=20.0)
    table.release(2, 19.0)
    assert table.shown(19.0) == {1: "a", 2: "b"}
    assert table.assign(["a", "b"], serial=3, shown_until=30.0) == [1, 2]
    table.assign(["b"], serial=4, shown_until=40.0)
    assert table.shown(40.0) == {2: "b"}
    table.release(3, 50.0)
    assert table.numbers() == [1, 2], "somebody may still hold the table of serial 3"
    table.release(4, 50.0)
    assert table.numbers() == [2]
    assert table.assign(["a", "b"], serial=5, shown_until=60.0) == [3, 2]


def test_of_too_many_the_first_to_go_are_forgotten() -> None:
    names = NameTable()
    names.routes.assign((str(number) for number in range(MOST_SHOWN + 5)), serial=1, shown_until=9.0)
    names.clusters.assign([str(number) for number in range(MOST_SHOWN + 5)], 1, 9.0)
    names.routes.assign([], serial=2, shown_until=10.0)
    names.clusters.assign([], 2, 10.0)
    assert 0 < names.next_sweep() < 1
    names.release(2, 1.0)
    assert names.routes.numbers() == names.clusters.numbers() == list(range(6, MOST_SHOWN + 6))
    assert 0 < names.next_sweep() < 1, "workers have not been told"
    names.unswept = False
    assert names.next_sweep() == 10.0
    names.release(2, 10.0)
    assert names.routes.numbers() == names.clusters.numbers() == []
    names.unswept = False
    assert names.next_sweep() == 0.0


def test_the_numbers_that_live_are_words() -> None:
    names = NameTable()
    names.listeners.assign(["web"], 512, 1, 5.0)
    names.routes.assign(["r a", "r b"], serial=1, shown_until=5.0)
    names.clusters.assign(["a", "b", "c"], 1, 5.0)
    names.routes.assign(["r b"], serial=2, shown_until=5.0)
    names.clusters.assign(["a", "c"], 2, 5.0)
    names.release(2, 5.0)
    words = memoryview(live_numbers(names)).cast("I").tolist()
    assert words == [1, 1, 1, 2, 2, 3, *[1], *[2], *[1, 3]]


def test_names_survive_the_wire() -> None:
    names = NameTable(serial=3)
    names.routes.assign(["a b", "a c"], serial=3, shown_until=1.5)
    names.routes.assign(["a b"], serial=4, shown_until=2.5)
    names.clusters.assign(["a", "b"], 3, 1.5)
    names.clusters.assign(["b"], 4, 2.5)
    assert decode_names(encode_names(names)) == names
    assert decode_names(None) == NameTable()
