"""What was counted of names that have gone is freed, at whatever moment its worker dies or somebody reads."""

import os
from array import array
from collections.abc import Iterable

import pytest

from tests._fast.base import shared_writer as writer
from tests.forks import in_processes, shared_words
from tulle._fast.base import figures
from tulle._fast.base.export import export
from tulle._fast.base.grpc_figures import grpc_calls
from tulle._fast.base.stats import Stats
from tulle.controlplane.names import NameTable, live_numbers

RELOADS = 150
RENAMED = 1000
EVERYTHING = 1 << 20
PIECE = 200  # a sweep of an index whose pages all hold something is some 170 of them
Key = tuple[int, int, int, int]


def in_file(words: bytes) -> int:
    descriptor = os.memfd_create("live", os.MFD_CLOEXEC)
    os.write(descriptor, words)
    return descriptor


def living(routes: Iterable[int], horizon: int) -> int:
    """Numbers of which only some routes have gone."""
    numbers = sorted(routes)
    return in_file(array("I", [1, 1, len(numbers), horizon, 1, 1, 1, *numbers, 1]).tobytes())


def swept(stats: Stats, numbers: int, lane: int = 0) -> None:
    sweeper = writer.Sweeper(stats, lane)
    assert sweeper.begin(numbers)
    while sweeper.step(EVERYTHING):
        pass


def request(stats: Stats, route: int, times: int = 1) -> None:
    for _ in range(times):
        writer.record(stats, 0, 1, route, 1, 1, 200, route * 1000, 1000)


def counted(stats: Stats) -> dict[int, int]:
    """Answers by route, which are as many as durations."""
    found = {}
    for (_, route, _, _), words in figures.series(stats, ()).items():
        assert words[2] == words[figures.SERIES_HEAD] == words[figures.SERIES_HEAD + 2]
        found[route] = words[2]
    return found


def test_routes_that_are_renamed_for_ever_take_no_room(stats: Stats) -> None:
    names = NameTable()
    names.listeners.assign(["web"])
    names.clusters.assign(["v1"], 1)
    for reload in range(1, RELOADS + 1):
        names.serial = reload
        routes = ["stays", *(f"route-{reload}-{number}" for number in range(RENAMED))]
        for route in names.routes.assign(routes, serial=reload, shown_until=float(reload)):
            request(stats, route)
        names.release(reload, float(reload))
        swept(stats, in_file(live_numbers(names)))
        if reload == 3:
            before = os.fstat(stats.descriptor).st_blocks, stats.lane(0)["arena_used"]
    assert before == (os.fstat(stats.descriptor).st_blocks, stats.lane(0)["arena_used"])
    assert counted(stats) == {1: RELOADS} | dict.fromkeys(names.routes.numbers()[1:], 1)
    totals = figures.totals(stats)
    assert totals["series_overflow"] == 0
    assert totals["series_count"] == RENAMED + 1
    assert totals["series_freed"] == (RELOADS - 1) * RENAMED


@pytest.mark.parametrize("most", [101, PIECE])
def test_requests_go_on_meanwhile(stats: Stats, most: int) -> None:
    """New series, old ones and those that have gone are counted between any two steps."""
    wanted = dict.fromkeys(range(1, 401), 1)
    for route in wanted:
        request(stats, route)
    gone = set(range(1, 401, 2))
    horizon = new = 400
    for _ in range(2):
        sweeper = writer.Sweeper(stats, 0)
        staying = sorted(wanted.keys() - gone)
        assert sweeper.begin(living(staying, horizon))
        steps = 0
        while sweeper.step(most):
            steps += 1
            if steps % 3 == 0 and new < 3000:
                new += 1
                request(stats, new)
                wanted[new] = 1
            stays = staying[steps % len(staying)]
            request(stats, stays)
            wanted[stays] += 1
            if steps % 16 == 0:
                seen = counted(stats)
                assert {route: seen[route] for route in wanted if route not in gone} == {
                    route: count for route, count in wanted.items() if route not in gone
                }
                assert all(seen[route] == wanted[route] for route in gone & seen.keys())
        for route in gone:
            wanted.pop(route, None)
        assert counted(stats) == wanted
        assert figures.totals(stats)["series_count"] == len(wanted)
        horizon, gone = new, {route for route in wanted if route % 5 == 0}
    assert figures.totals(stats)["series_overflow"] == 0


def test_a_worker_may_be_killed_between_any_two_steps(stats: Stats) -> None:
    """Nothing is lost or counted twice, and the next owner of the lane frees what was left."""
    wanted: dict[int, int] = {}
    next_route = 1
    for killed_after in range(1, 175, 3):
        fresh = range(next_route, next_route + 60)
        next_route += 60
        for route in fresh:
            request(stats, route)
        wanted |= dict.fromkeys(fresh, 1)
        keeps = {route for route in wanted if route % 4 == 0}
        sweeper = writer.Sweeper(stats, 0)
        sweeper.begin(living(keeps, next_route - 1))
        for _ in range(killed_after):
            sweeper.step(PIECE)
        del sweeper
        stats.clear_lane(0)
        for route in keeps:
            request(stats, route)
            wanted[route] += 1
        seen = counted(stats)
        assert {route: seen[route] for route in keeps} == {route: wanted[route] for route in keeps}
        wanted = {route: wanted[route] for route in keeps if route > next_route - 400}
        swept(stats, living(wanted, next_route - 1))
        assert counted(stats) == wanted
        assert figures.totals(stats)["series_count"] == len(wanted)
    assert stats.lane(0)["arena_used"] < 1_000_000


def test_a_sweep_that_replaces_another_does_its_work_too(stats: Stats) -> None:
    for route in range(1, 101):
        request(stats, route)
    for steps in (5, 60, 100, 150):
        sweeper = writer.Sweeper(stats, 0)
        sweeper.begin(living(range(1, 101), 100))
        for _ in range(steps):
            sweeper.step(PIECE)
        sweeper.begin(living(range(1, 51), 100))
        for _ in range(30):
            sweeper.step(PIECE)
        swept(stats, living(range(1, 41), 100))
        assert counted(stats) == dict.fromkeys(range(1, 41), 1)
        for route in range(41, 101):
            request(stats, route)
    assert figures.totals(stats)["series_freed"] == 4 * 60


def test_a_place_begins_anew_for_its_next_owner(stats: Stats) -> None:
    writer.record_same(stats, 0, 1, 1, 1, 1, 2_000_000, 70_000)  # counters that have become wide
    writer.record_same(stats, 0, 1, 1, 1, 1, 9_000_000, 70_000)
    used = stats.lane(0)["arena_used"]
    swept(stats, living([], 1))
    writer.record_same(stats, 0, 1, 2, 1, 1, 2_000_000, 70_000)
    writer.record_same(stats, 0, 1, 2, 1, 1, 9_000_000, 70_000)
    assert stats.lane(0)["arena_used"] == used
    ((key, words),) = figures.series(stats, (5_000_000,)).items()
    assert key == (1, 2, 1, 1)
    assert list(words[figures.SERIES_HEAD :][:4]) == [140_000, 770_000_000_000, 70_000, 70_000]
    request(stats, 3)
    assert len(export(stats)["series"]) == 2


def test_what_is_newer_than_the_numbers_lives(stats: Stats) -> None:
    for route in (0, 4, 5, 6, 7):
        request(stats, route)
    writer.record(stats, 0, 2, 5, 1, 1, 200, 1, 1)  # a newer listener
    writer.record(stats, 0, 1, 5, 1, 2, 200, 1, 1)  # a newer cluster
    swept(stats, living([5], 6))
    assert set(figures.series(stats, ())) == {
        (1, 0, 1, 1), (1, 5, 1, 1), (1, 7, 1, 1), (2, 5, 1, 1), (1, 5, 1, 2),
    }  # fmt: skip


@pytest.mark.parametrize(
    "words", [[], [1, 1, 0, 0, 0], [9, 9, 0, 9, 0, 9], [0, 9, 0, 9, 0, 9, 7], [1 << 31, 9, 1 << 31, 9, 0, 9]]
)
def test_numbers_that_make_no_sense_change_nothing(stats: Stats, words: list[int]) -> None:
    request(stats, 1)
    sweeper = writer.Sweeper(stats, 0)
    assert not sweeper.begin(in_file(array("I", words).tobytes()))
    assert not sweeper.step(EVERYTHING)
    assert counted(stats) == {1: 1}


def test_calls_of_renamed_routes_take_no_room(stats: Stats) -> None:
    """More of them come and go than there are places, a few stay, and none is ever counted as another."""
    last = 0
    for _ in range(20):
        routes = range(last + 1, last + 1501)
        last += 1500
        for route in (1, 2, 3, *routes):
            writer.count_grpc(stats, 0, (1, route, 1, 1, 5), 14)
        swept(stats, living({1, 2, 3}, last))
    assert figures.totals(stats)["grpc_overflow"] == 0
    assert {key[1]: codes[14] for key, codes in grpc_calls(stats).items()} == {1: 21, 2: 21, 3: 21}


def test_who_reads_meanwhile_sees_whole_series(stats: Stats) -> None:
    """One process counts, renames and sweeps, another reads: what stays never goes back, no other jumps."""
    rounds = shared_words(1)

    def serve() -> None:
        route = 1
        sweeper = writer.Sweeper(stats, 0)
        for _ in range(150):
            fresh = range(route + 1, route + 101)
            for route in fresh:
                request(stats, route, 2)
                request(stats, 1)
            sweeper.begin(living({1}, route))
            while sweeper.step(PIECE):
                request(stats, 1)
            rounds[0] += 1

    def read() -> None:
        stays = 0
        while rounds[0] < 150:
            seen = {route: words[2] for (_, route, _, _), words in figures.series(stats, ()).items()}
            assert seen.get(1, 0) >= stays
            stays = seen.pop(1, 0)
            assert all(0 <= count <= 2 for count in seen.values()), seen
            assert 0 not in seen
            assert all(sum(row["requests"]) <= 2 for row in export(stats)["series"] if row["route"] != 1)

    in_processes([serve, read])
