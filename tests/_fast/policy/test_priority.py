"""Priorities and panic: Envoy's published examples, exact parts, and what must hold of all of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests._fast.policy.grouping import priorities

THRESHOLD = 50


def loads(healths: list[int], threshold: int = THRESHOLD) -> list[int]:
    """Per cent of the requests to each priority, of which so many per cent are usable."""
    return [round(100 * load) for load, _ in priorities([(health, 100) for health in healths], threshold)]


def panics(healths: list[int], threshold: int = THRESHOLD) -> list[bool]:
    return [panic for _, panic in priorities([(health, 100) for health in healths], threshold)]


@pytest.mark.parametrize(
    ("healths", "expected"),
    [
        ([100, 100], [100, 0]),
        ([72, 100], [100, 0]),
        ([71, 100], [99, 1]),
        ([50, 100], [70, 30]),
        ([25, 100], [35, 65]),
        ([0, 100], [0, 100]),
        ([72, 72, 100], [100, 0, 0]),
        ([71, 71, 100], [99, 1, 0]),
        ([50, 50, 100], [70, 30, 0]),
        ([25, 100, 100], [35, 65, 0]),
        ([25, 25, 100], [35, 35, 30]),
        ([5, 65], [7, 93]),
        ([0, 0, 60], [0, 0, 100]),
    ],
    ids=str,
)
def test_envoys_examples_of_loads(healths: list[int], expected: list[int]) -> None:
    assert loads(healths) == expected


@pytest.mark.parametrize(
    ("healths", "expected"),
    [
        ([100], [False]),
        ([50], [False]),
        ([49], [True]),
        ([72, 72], [False, False]),
        ([71, 71], [False, False]),
        ([50, 60], [False, False]),
        ([25, 100], [False, False]),
        ([0, 72], [False, False]),
        ([25, 25], [True, True]),
        ([5, 65], [True, False]),
        ([0, 0], [True, True]),
    ],
    ids=str,
)
def test_envoys_examples_of_panic(healths: list[int], expected: list[bool]) -> None:
    assert panics(healths) == expected


def test_one_priority_that_is_enough_is_never_in_a_panic() -> None:
    """As long as all priorities together carry everything, even one without any usable host is not."""
    assert panics([0, 100], 100) == [False, False]
    assert panics([71], 100) == [True]
    assert panics([72], 100) == [False]


def test_when_all_are_in_a_panic_size_counts() -> None:
    found = priorities([(10, 100), (0, 300)], THRESHOLD)
    assert [load for load, _ in found] == [0.25, 0.75]
    assert all(panic for _, panic in found)
    assert [load for load, _ in priorities([(0, 0), (0, 5)], THRESHOLD)] == [0, 1]


def test_without_a_threshold_there_is_no_panic() -> None:
    assert panics([10, 0], 0) == [False, False]
    assert loads([10, 0], 0) == [100, 0]
    assert loads([0, 0], 0) == [0, 0]


def test_without_hosts_nothing_gets_anything() -> None:
    assert priorities([], THRESHOLD) == []
    assert [load for load, _ in priorities([(0, 0), (0, 0)], THRESHOLD)] == [0, 0]


@settings(max_examples=500)
@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=8),
    st.integers(0, 100),
)
def test_what_holds_of_every_spread(parts: list[tuple[int, int]], threshold: int) -> None:
    levels: list[tuple[float, float]] = [(min(pair), max(pair)) for pair in parts]
    found = priorities(levels, threshold)
    total = sum(load for load, _ in found)
    reachable = any(usable for usable, _ in levels) or (threshold > 0 and any(size for _, size in levels))
    assert total == pytest.approx(1 if reachable else 0)
    carried = [min(1.0, 1.4 * usable / size) if size else 0.0 for usable, size in levels]
    for (load, panic), (usable, size), health in zip(found, levels, carried, strict=True):
        assert load >= 0
        if sum(carried) >= 1:
            assert not panic
            assert load <= health + 1e-9
        if usable == 0 and not panic and not all(panicking for _, panicking in found):
            assert load == 0
        if panic:
            assert usable * 100 < size * threshold or size == 0
    if sum(carried) >= 1:
        # all before the last that gets anything are full
        last = max(index for index, (load, _) in enumerate(found) if load > 0)
        for (load, _), health in zip(found[:last], carried, strict=False):
            assert load == pytest.approx(health)
