"""Names keep their numbers, and a slot has one owner at a time."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tulle.controlplane.names import IdTable, NameTable, Slot, SlotTable, decode_names, encode_names

NAMES = st.lists(st.sampled_from("abcdefgh"), unique=True)


class Slots(RuleBasedStateMachine):
    """Compiles and releases in any order, against what may never be."""

    def __init__(self) -> None:
        super().__init__()
        self.table = SlotTable()
        self.serial = 0
        self.released = 0
        self.owner: dict[Slot, str] = {}
        self.seen: dict[int, dict[str, Slot]] = {}

    @rule(names=NAMES)
    def compile(self, names: list[str]) -> None:
        self.serial += 1
        before = dict(self.table.live)
        slots = self.table.assign(names, self.serial)
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
        self.table.release(self.released)

    @invariant()
    def no_two_owners(self) -> None:
        """Whatever a worker may still hold, no slot in it has two owners."""
        held: dict[int, str] = {}
        for serial, assigned in self.seen.items():
            if serial >= max(self.released, 1) or serial == self.serial:
                for name, slot in assigned.items():
                    assert held.setdefault(slot.slot, name) == name

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


def test_names_survive_the_wire() -> None:
    names = NameTable(serial=3)
    names.routes.assign(["a b"])
    names.clusters.assign(["a", "b"], 3)
    names.clusters.assign(["b"], 4)
    assert decode_names(encode_names(names)) == names
    assert decode_names(None) == NameTable()
