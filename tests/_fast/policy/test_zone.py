"""Zones: what stays in the own zone, where the rest goes, and that no zone gets too much."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests._fast.policy.grouping import zones

FACTOR = 1.4  # overprovisioning


def received(capacities: list[float]) -> list[float]:
    """What each zone gets of all requests when all have equally many callers, who choose as we do."""
    count = len(capacities)
    total = [0.0] * count
    for caller in range(count):
        others = [zone for zone in range(count) if zone != caller]
        shares = zones([capacities[caller], *[capacities[zone] for zone in others]])
        for zone, share in zip([caller, *others], shares, strict=True):
            total[zone] += share / count
    return total


def test_equal_zones_keep_to_themselves() -> None:
    assert zones([5, 5, 5]) == [1, 0, 0]
    assert received([5, 5, 5]) == pytest.approx([1 / 3] * 3)


def test_a_zone_that_is_small_but_enough_keeps_to_itself() -> None:
    """A third of the callers needs a third of 1/1.4 of the capacity."""
    assert zones([24, 38, 38]) == [1, 0, 0]
    assert zones([23, 38.5, 38.5])[0] == pytest.approx(FACTOR * 0.23 * 3)


def test_what_the_own_zone_lacks_goes_where_there_is_more() -> None:
    own, small, large = zones([1, 1, 4])
    assert own == pytest.approx(FACTOR * 3 / 6)
    assert small == 0, "it cannot carry even its own callers"
    assert large == pytest.approx(1 - own)


def test_without_a_local_host_all_goes_to_the_others_by_what_they_can_spare() -> None:
    assert zones([0, 5, 5]) == pytest.approx([0, 0.5, 0.5])
    first, second, third = zones([0, 2, 4, 6][:4])[1:]
    spare = [FACTOR * part / 12 - 1 / 4 for part in (2, 4, 6)]
    assert first == pytest.approx(0)
    assert second / third == pytest.approx(spare[1] / spare[2])


def test_nothing_usable_is_nothing_for_anyone() -> None:
    assert zones([0, 0, 0]) == [0, 0, 0]


def test_spill_is_gradual_as_local_hosts_fail() -> None:
    """10 hosts a zone in 3 zones: the first failures move nothing, then each moves about as much."""
    kept = [zones([left, 10, 10])[0] for left in range(10, -1, -1)]
    assert kept[:5] == [1, 1, 1, pytest.approx(1), pytest.approx(FACTOR * 6 * 3 / 26)]
    steps = [before - after for before, after in pairwise(kept[4:])]
    assert all(0 < step < 0.21 for step in steps)
    assert kept[-1] == 0


def test_all_zones_stay_level_as_hosts_of_one_fail() -> None:
    """No host gets more than 1.4 times the mean while those of one zone fail one by one."""
    for left in range(10, -1, -1):
        capacities = [float(left), 10.0, 10.0]
        for load, capacity in zip(received(capacities), capacities, strict=True):
            assert load <= FACTOR * capacity / sum(capacities) + 1e-9


@settings(max_examples=500)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12).filter(any))
@example([1, 1, 4])
@example([0, 0, 1])
@example([1000, 1, 1, 1])
def test_no_zone_gets_more_than_the_factor_times_its_part(weights: list[int]) -> None:
    capacities = [float(weight) for weight in weights]
    loads = received(capacities)
    assert sum(loads) == pytest.approx(1)
    for load, capacity in zip(loads, capacities, strict=True):
        assert load <= FACTOR * capacity / sum(capacities) + 1e-9
