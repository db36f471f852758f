"""What one block has counted goes by name to a lane of another, and nothing is lost or counted twice."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests._fast.base import shared_writer as writer
from tulle._fast.base import figures
from tulle._fast.base.export import export
from tulle._fast.base.grpc_figures import grpc_calls
from tulle._fast.base.seed import OWN, seed
from tulle._fast.base.stats import Stats, create

SERIES = {"listener": 1, "route": 2, "cluster": 5, "cluster_generation": 2}
CALL = (1, 2, 3, 9, 2**64 - 1)
UNNAMED = (0, 2, 3, 9, 0)
BOUNDS = (1_000_000, 5_000_000, 25_000_000)


@pytest.fixture
def successor() -> Iterator[Stats]:
    """Another block, whose lane 1 is free to be seeded."""
    descriptor = create(2, 1024, 4096)
    block = Stats(descriptor)
    block.use_lane(1)
    yield block
    os.close(descriptor)


def traffic(stats: Stats) -> None:
    for lane in range(4):
        writer.record(stats, lane, 1, 2, 3, 9, 200, 2_000_000, 500_000)
        writer.count_cluster(stats, lane, 2, 9, 10)
        writer.count_endpoint(stats, lane, 5, 7, 3)
    writer.record(stats, 0, 1, 2, 3, 9, 503, 30_000_000, 30_000_000)
    writer.record(stats, 2, 1, 2, 3, 8, 200, 1, 1)
    writer.flag(stats, 1, 5, figures.FLAGS.index("NR"), 10, 20)
    writer.hold(stats, 3, 2, 0, 4)
    for lane in range(3):
        writer.count_grpc(stats, lane, CALL, 14)
        writer.count_grpc(stats, lane, UNNAMED, 0)


def sent(stats: Stats, without: tuple[int, ...] = ()) -> dict[str, Any]:
    """An export as it comes out of another process."""
    found: dict[str, Any] = json.loads(json.dumps(export(stats, without)))
    return found


def read(stats: Stats) -> dict[str, Any]:
    """Everything that pages and metrics are made from, but for what a lane has for itself."""
    totals = figures.totals(stats)
    for name in OWN & totals.keys():
        del totals[name]
    return {
        "totals": totals,
        "series": figures.series(stats, BOUNDS),
        "fine": figures.durations(stats, upstream=True, by_cluster=True),
        "clusters": figures.clusters(stats),
        "endpoints": figures.endpoints(stats),
        "grpc": grpc_calls(stats),
    }


def test_a_seeded_lane_counts_what_all_lanes_counted(stats: Stats, successor: Stats) -> None:
    traffic(stats)
    seed(successor, 1, sent(stats))
    assert read(successor) == read(stats)


def test_calls_of_grpc_are_told_apart(stats: Stats, successor: Stats) -> None:
    traffic(stats)
    seed(successor, 1, sent(stats))
    seed(successor, 1, sent(stats))
    counted = grpc_calls(successor)
    assert counted.keys() == {CALL, UNNAMED}
    assert (counted[CALL][14], sum(counted[CALL]), counted[UNNAMED][0]) == (3, 3, 3)


def test_calls_that_find_no_room_are_counted_as_such(stats: Stats) -> None:
    for route in range(1, 30_001):
        writer.count_grpc(stats, 0, (1, route, 3, 4, 5), 0)
    counted = grpc_calls(stats)
    overflow = figures.totals(stats)["grpc_overflow"]
    assert len(counted) <= 16384 and overflow > 0
    assert len(counted) + overflow == 30_000


def test_every_field_of_the_structures_is_carried(stats: Stats, successor: Stats) -> None:
    writer.fill_structures(stats, 0)
    once = sent(stats)
    seed(successor, 1, once)
    again = sent(successor)
    assert once["lanes"].keys() == again["lanes"].keys()
    for name in once["lanes"].keys() - OWN:
        assert again["lanes"][name] == once["lanes"][name] > 0, name
    for kind in ("clusters", "endpoints", "series"):
        (before,), (after,) = once[kind], again[kind]
        assert after == before
        assert all(before.values()), before


def test_seeding_again_sets_and_does_not_add(stats: Stats, successor: Stats) -> None:
    traffic(stats)
    seed(successor, 1, sent(stats))
    writer.record(stats, 1, 1, 2, 3, 9, 200, 2_000_000, 500_000)
    seed(successor, 1, sent(stats))
    seed(successor, 1, sent(stats))
    assert read(successor) == read(stats)


def test_gauges_fall_when_their_worker_has_gone(stats: Stats, successor: Stats) -> None:
    traffic(stats)
    seed(successor, 1, sent(stats))
    assert figures.totals(successor)["requests_active"] == 4
    stats.clear_lane(3)
    seed(successor, 1, sent(stats))
    assert figures.totals(successor)["requests_active"] == 0
    assert read(successor) == read(stats)


def test_limits_are_not_carried(stats: Stats, successor: Stats) -> None:
    traffic(stats)
    seed(successor, 1, sent(stats))
    assert figures.limits(stats) == {2: [4, 0, 0, 0]}
    assert figures.limits(successor) == {}


def test_lanes_that_others_count_are_left_out(stats: Stats) -> None:
    writer.count_cluster(stats, 0, 2, 9, 10)
    writer.count_cluster(stats, 1, 2, 9, 100)
    (counted,) = sent(stats, without=(1,))["clusters"]
    assert counted["requests_total"] == 10


def test_a_field_goes_by_its_name(successor: Stats) -> None:
    """An export of a program that has fields which we do not have, and lacks some that we have."""
    cluster = {"slot": 4, "generation": 2, "retries": 5, "of_another_version": 6, "overflow": [1, 2]}
    seed(
        successor,
        1,
        {
            "lanes": {"downstream_total": 7, "of_another_version": 8},
            "clusters": [cluster, {"slot": 4, "generation": 1, "retries": 9}, {**cluster, "slot": 1 << 30}],
            "endpoints": [],
            "series": [{**SERIES, "requests": [0, 0, 3, *[1] * 9]}],
        },
    )
    assert figures.totals(successor)["downstream_total"] == 7
    (words,) = figures.clusters(successor).values()
    counted = dict(zip(figures.CLUSTER_FIELDS, words, strict=True))
    assert counted["retries"] == 5
    assert [counted[f"overflow_{limit}"] for limit in figures.LIMITS] == [1, 2, 0, 0]
    (words,) = figures.series(successor, ()).values()
    assert list(words[:6]) == [0, 0, 3, 1, 1, 1]


def test_buckets_of_another_width_fall_into_ours(successor: Stats) -> None:
    duration = {"count": 6, "sum": 600, "buckets": {"2000000": 1, "2000001": 2, "40000000": 3}}
    exported = {"lanes": {}, "clusters": [], "endpoints": [], "series": [{**SERIES, "duration": duration}]}
    seed(successor, 1, exported)
    (words,) = figures.series(successor, BOUNDS).values()
    assert list(words[figures.SERIES_HEAD :][:6]) == [6, 600, 0, 3, 0, 3]


def test_many_durations_in_one_bucket_are_carried(stats: Stats, successor: Stats) -> None:
    writer.record_same(stats, 0, 1, 2, 3, 9, 2_000_000, 70_000)
    seed(successor, 1, sent(stats))
    writer.record_same(stats, 0, 1, 2, 3, 9, 2_000_000, 70_000)
    seed(successor, 1, sent(stats))
    assert read(successor) == read(stats)
    assert figures.series(successor, BOUNDS)[1, 2, 3, 9][figures.SERIES_HEAD] == 140_000


def test_what_finds_no_room_takes_nothing_from_others(stats: Stats, successor: Stats) -> None:
    writer.record(stats, 0, 1, 1, 1, 1, 200, 5, 5)
    seed(successor, 1, sent(stats))
    writer.fill_arena(successor, 1)
    writer.record(stats, 0, 1, 2, 1, 1, 200, 5, 5)
    seed(successor, 1, sent(stats))
    assert [list(words[:3]) for words in figures.series(successor, ()).values()] == [[0, 0, 1]]


def test_a_seeded_lane_serves_a_worker_later(stats: Stats, successor: Stats) -> None:
    traffic(stats)
    seed(successor, 1, sent(stats))
    successor.clear_lane(1)
    writer.record(successor, 1, 1, 2, 3, 9, 200, 2_000_000, 500_000)
    assert list(figures.series(successor, BOUNDS)[1, 2, 3, 9][:3]) == [0, 0, 5]


def test_there_must_be_such_a_lane(successor: Stats) -> None:
    with pytest.raises(IndexError):
        seed(successor, 2, {})
