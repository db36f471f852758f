"""Intrusive lists and the map of slots, against Python's own."""

from hypothesis import given
from hypothesis import strategies as st

from tests._fast.base.memory import Ids, List

NODES = 8
nodes = st.integers(0, NODES - 1)


@given(st.lists(st.tuples(st.sampled_from(["append", "prepend", "insert", "remove"]), nodes, nodes)))
def test_a_list_keeps_its_order(steps: list[tuple[str, int, int]]) -> None:
    listed, model = List(NODES), list[int]()
    for name, node, position in steps:
        listed.remove(node)  # also when it is in no list
        if node in model:
            model.remove(node)
        if name == "append":
            listed.append(node)
            model.append(node)
        elif name == "prepend":
            listed.prepend(node)
            model.insert(0, node)
        elif name == "insert" and position in model:
            listed.insert_before(position, node)
            model.insert(model.index(position), node)
        assert listed.forwards() == model
        assert listed.backwards() == model[::-1]
        assert listed.empty == (not model)


slots = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 2), st.integers(0, 2**20).map(lambda n: n << 11))


@given(st.lists(st.tuples(slots, st.integers(0, 2**48)), max_size=200), st.lists(slots))
def test_a_map_answers_what_was_put_last(entries: list[tuple[int, int]], others: list[int]) -> None:
    ids, model = Ids(), dict[int, int]()
    for key, value in entries:
        assert ids.place(key, value) == model.get(key, 0)
        model[key] = value
    assert {key: ids.find(key) for key in model} == model
    assert all(ids.find(key) == model.get(key, 0) for key in others)
    assert ids.used == len(model)


def test_a_map_grows_and_keeps_what_it_holds() -> None:
    ids = Ids()
    for key in range(50_000):
        assert ids.place(key * 64, key + 1) == 0
    assert all(ids.find(key * 64) == key + 1 for key in range(50_000))
    assert ids.find(1) == 0
