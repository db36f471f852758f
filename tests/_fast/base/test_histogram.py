"""Histograms: where the buckets lie, and that what is counted is in one of them, come what may."""

import pytest

from tests._fast.base import shared_writer as writer
from tulle._fast.base import figures
from tulle._fast.base.stats import Stats

OCTAVES, STEPS = 34, 32
NARROW_MOST = 65535


def test_buckets_touch_and_are_a_thirty_second_of_their_octave_wide() -> None:
    lower = 0
    for bucket in range(OCTAVES * STEPS):
        octave = bucket // STEPS
        width = 32 if octave == 0 else 1 << (octave + 4)
        assert writer.fine_bucket(lower) == bucket
        assert writer.fine_bucket(lower + width - 1) == bucket
        assert figures.middle(bucket) == lower + width // 2
        lower += width
    assert lower == 1 << (OCTAVES + 9)


@pytest.mark.parametrize("nanoseconds", [1 << 43, 1 << 50, (1 << 64) - 1])
def test_what_is_longer_than_the_last_bucket_is_counted_in_it(nanoseconds: int) -> None:
    assert writer.fine_bucket(nanoseconds) == OCTAVES * STEPS - 1


def test_counters_become_wide_before_they_run_over(stats: Stats) -> None:
    writer.record(stats, 0, 1, 1, 1, 1, 200, 1_000_000, 1_900_000)
    writer.record_same(stats, 0, 1, 1, 1, 1, 1_000_000, NARROW_MOST + 4464)
    fine = figures.durations(stats, upstream=False, by_cluster=False)[1, 0]
    assert fine[writer.fine_bucket(1_000_000)] == NARROW_MOST + 4465
    assert sum(fine) == NARROW_MOST + 4465
    writer.record(stats, 0, 1, 1, 1, 1, 200, 1_900_000, 1)  # its neighbour, in what is wide by now
    fine = figures.durations(stats, upstream=False, by_cluster=False)[1, 0]
    assert fine[writer.fine_bucket(1_900_000)] == 1
    assert sum(fine) == NARROW_MOST + 4466


def test_what_finds_no_room_to_become_wide_is_not_counted(stats: Stats) -> None:
    writer.record_same(stats, 0, 1, 1, 1, 1, 1_000_000, NARROW_MOST)
    writer.fill_arena(stats, 0)
    writer.record_same(stats, 0, 1, 1, 1, 1, 1_000_000, 3)
    words = list(figures.series(stats, ())[1, 1, 1, 1])[figures.SERIES_HEAD :]
    assert words[:3] == [NARROW_MOST, NARROW_MOST * 1_000_000, NARROW_MOST]


def test_an_octave_without_room_leaves_the_totals_as_the_buckets_have_them(stats: Stats) -> None:
    """A total above the sum of its parts would never come right again."""
    writer.record(stats, 0, 1, 1, 1, 1, 200, 1_000_000, 1_000_000)
    writer.fill_arena(stats, 0)
    writer.record(stats, 0, 1, 1, 1, 1, 200, 1_000_000_000, 1_000_100)
    bounds = (2_000_000,)
    words = list(figures.series(stats, bounds)[1, 1, 1, 1])
    assert words[2] == 2
    duration, upstream = words[figures.SERIES_HEAD :][:4], words[figures.SERIES_HEAD :][4:]
    assert duration == [1, 1_000_000, 1, 0]
    assert upstream == [2, 2_000_100, 2, 0]
