"""What workers count is what readers see, named by id and added up over the lanes."""

import itertools
import math
import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests._fast.base import shared_writer as writer
from tulle._fast.base import figures
from tulle._fast.base.stats import Stats, create

BOUNDS = (1_000_000, 5_000_000, 25_000_000)


@given(st.integers(min_value=1024, max_value=(1 << 42) - 1))
def test_a_duration_is_at_most_two_percent_from_the_middle_of_its_bucket(nanoseconds: int) -> None:
    middle = figures.middle(writer.fine_bucket(nanoseconds))
    assert abs(middle - nanoseconds) <= 0.016 * nanoseconds


@given(st.lists(st.integers(min_value=0, max_value=1 << 50), min_size=2, max_size=2))
def test_buckets_keep_the_order_of_durations(pair: list[int]) -> None:
    small, large = sorted(pair)
    assert writer.fine_bucket(small) <= writer.fine_bucket(large) < figures.FINE


def test_a_quantile_is_at_most_two_percent_off(stats: Stats) -> None:
    draw = random.Random(7)
    durations = sorted(round(draw.lognormvariate(14, 1.2)) for _ in range(20_000))
    for lane, duration in zip(itertools.cycle(range(4)), durations, strict=False):
        writer.record(stats, lane, 1, 1, 1, 1, 200, duration, 1)
    fine = figures.durations(stats, upstream=False, by_cluster=False)[1, 0]
    for share in (0.5, 0.9, 0.99):
        rank = math.ceil(share * len(durations))
        seen = list(itertools.accumulate(fine))
        bucket = next(bucket for bucket, count in enumerate(seen) if count >= rank)
        assert figures.middle(bucket) == pytest.approx(durations[rank - 1], rel=0.02)


def test_series_add_up_over_lanes(stats: Stats) -> None:
    for lane in range(4):
        writer.record(stats, lane, 1, 2, 3, 9, 200, 2_000_000, 500_000)
    writer.record(stats, 0, 1, 2, 3, 9, 503, 30_000_000, 30_000_000)
    writer.record(stats, 0, 1, 2, 3, 8, 200, 1, 1)  # another owner of the cluster's slot
    found = figures.series(stats, BOUNDS)
    assert set(found) == {(1, 2, 3, 9), (1, 2, 3, 8)}
    words = list(found[1, 2, 3, 9])
    assert words[:6] == [0, 0, 4, 0, 0, 1]
    duration, upstream = words[figures.SERIES_HEAD :][:6], words[figures.SERIES_HEAD :][6:]
    assert duration == [5, 38_000_000, 0, 4, 0, 1]
    assert upstream == [5, 32_000_000, 4, 0, 0, 1]


def test_flags_and_bytes(stats: Stats) -> None:
    writer.flag(stats, 1, 5, figures.FLAGS.index("NR"), 10, 20)
    writer.flag(stats, 2, 5, figures.FLAGS.index("NR"), 1, 2)
    words = figures.series(stats, BOUNDS)[5, 0, 0, 0]
    assert words[6 + figures.FLAGS.index("NR")] == 2
    assert list(words[figures.SERIES_HEAD - 2 : figures.SERIES_HEAD]) == [11, 22]


def test_many_series_each_keep_their_own_count(stats: Stats) -> None:
    for route in range(1, 3001):
        for _ in range(route % 3 + 1):
            writer.record(stats, route % 4, 1, route, 1, 1, 200, 1000, 1000)
    found = figures.series(stats, BOUNDS)
    assert {key[1]: words[2] for key, words in found.items()} == {
        route: route % 3 + 1 for route in range(1, 3001)
    }


def test_what_finds_no_room_is_counted_without_its_name(stats: Stats) -> None:
    writer.record(stats, 0, 1, 1, 1, 1, 200, 1000, 1000)
    writer.fill_arena(stats, 0)
    writer.record(stats, 0, 1, 2, 1, 1, 200, 1000, 1000)
    counted = {key: words[2] for key, words in figures.series(stats, BOUNDS).items()}
    assert counted == {(1, 1, 1, 1): 1, (0, 0, 0, 0): 1}
    assert figures.totals(stats)["series_overflow"] == 1


def test_what_a_killed_worker_left_half_made_is_never_seen(stats: Stats) -> None:
    writer.record(stats, 0, 1, 1, 1, 1, 200, 2_000_000, 1000)
    writer.leave_half_made(stats, 0)
    stats.clear_lane(0)
    writer.record(stats, 0, 1, 2, 1, 1, 200, 2_000_000, 1000)  # by the next owner of the lane
    found = figures.series(stats, BOUNDS)
    assert {key: list(words[:6]) for key, words in found.items()} == {
        (1, 1, 1, 1): [0, 0, 1, 0, 0, 0],
        (1, 2, 1, 1): [0, 0, 1, 0, 0, 0],
    }
    assert list(found[1, 2, 1, 1])[figures.SERIES_HEAD :][:6] == [1, 2_000_000, 0, 1, 0, 0]


def test_a_cleared_lane_holds_nothing_and_keeps_its_counters(stats: Stats) -> None:
    for lane in (1, 2):
        writer.hold(stats, lane, 7, figures.LIMITS.index("requests"), 3)
        writer.hold(stats, lane, 1023, figures.LIMITS.index("connections"), 1)
        writer.count_cluster(stats, lane, 7, 1, 10)
        writer.count_endpoint(stats, lane, 4095, 2, 5)
    assert figures.limits(stats) == {7: [0, 0, 6, 0], 1023: [2, 0, 0, 0]}
    stats.clear_lane(1)
    assert figures.limits(stats) == {7: [0, 0, 3, 0], 1023: [1, 0, 0, 0]}
    cluster = dict(zip(figures.CLUSTER_FIELDS, figures.clusters(stats)[7, 1], strict=True))
    assert (cluster["requests_active"], cluster["requests_total"]) == (3, 20)
    endpoint = dict(zip(figures.ENDPOINT_FIELDS, figures.endpoints(stats)[4095, 2], strict=True))
    assert (endpoint["requests_active"], endpoint["requests_total"]) == (5, 10)
    totals = figures.totals(stats)
    assert (totals["requests_active"], totals["downstream_active"]) == (4, 4)


def test_reading_takes_no_memory() -> None:
    """Holes stay holes: a block with room for much costs what is used of it."""
    descriptor = create(8, 65_536, 262_144)
    try:
        block = Stats(descriptor)
        block.use_lane(7)
        before = os.fstat(descriptor).st_blocks
        for read in (figures.clusters, figures.endpoints, figures.limits, figures.health, figures.totals):
            read(block)
        figures.series(block, BOUNDS)
        for lane in range(8):
            block.clear_lane(lane)
        assert os.fstat(descriptor).st_blocks == before
    finally:
        os.close(descriptor)


def test_memory_of_another_layout_is_refused() -> None:
    descriptor = os.memfd_create("other", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, 1 << 16)
    try:
        with pytest.raises(ValueError, match="another layout"):
            Stats(descriptor)
    finally:
        os.close(descriptor)
