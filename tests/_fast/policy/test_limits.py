"""Limits that several processes share: never one too many, none lost, the oldest waiter first."""

import os
from functools import partial

import pytest

from tests._fast.policy import limiting
from tests.forks import in_processes, shared_words
from tulle._fast.base.stats import Stats

SLOT, LIMIT = 3, 2


def test_as_many_places_as_the_limit(stats: Stats) -> None:
    taken = [limiting.acquire(stats, lane % 4, SLOT, LIMIT, 6) for lane in range(9)]
    assert taken == [True] * 6 + [False] * 3
    assert limiting.used(stats, SLOT, LIMIT) == 6
    limiting.release(stats, 1, SLOT, LIMIT)
    assert limiting.acquire(stats, 2, SLOT, LIMIT, 6)
    assert not limiting.acquire(stats, 3, SLOT, LIMIT, 6)


def test_limits_and_clusters_are_counted_apart(stats: Stats) -> None:
    for slot in (SLOT, SLOT + 1):
        for limit in range(4):
            assert limiting.acquire(stats, 0, slot, limit, 1)
            assert not limiting.acquire(stats, 1, slot, limit, 1)


def test_no_limit_counts_all_the_same(stats: Stats) -> None:
    for lane in range(4):
        assert limiting.acquire(stats, lane, SLOT, LIMIT, 0)
    assert not limiting.acquire(stats, 0, SLOT, LIMIT, 4)
    limiting.release(stats, 3, SLOT, LIMIT)
    assert limiting.acquire(stats, 0, SLOT, LIMIT, 4)


def test_a_limit_that_sinks_below_its_use_lets_nobody_in_until_there_is_room(stats: Stats) -> None:
    for _ in range(5):
        assert limiting.acquire(stats, 0, SLOT, LIMIT, 5)
    for left in range(5, 2, -1):
        assert limiting.used(stats, SLOT, LIMIT) == left
        assert not limiting.acquire(stats, 1, SLOT, LIMIT, 3)
        limiting.release(stats, 0, SLOT, LIMIT)
    assert limiting.acquire(stats, 1, SLOT, LIMIT, 3)


def test_the_oldest_waiter_of_all_lanes_is_next(stats: Stats) -> None:
    assert limiting.oldest(stats, SLOT) == -1
    for lane, since in ((2, 500), (0, 700), (3, 600)):
        limiting.wait(stats, lane, SLOT, since)
    for lane in (2, 3, 0, -1):
        assert limiting.oldest(stats, SLOT) == lane
        if lane >= 0:
            limiting.wait(stats, lane, SLOT, 0)


def test_a_lane_that_begins_is_counted_at_once(stats: Stats) -> None:
    assert limiting.acquire(stats, 0, SLOT, LIMIT, 2)
    stats.use_lane(7)
    assert limiting.acquire(stats, 7, SLOT, LIMIT, 2)
    assert not limiting.acquire(stats, 0, SLOT, LIMIT, 2)
    limiting.wait(stats, 7, SLOT, 1)
    assert limiting.oldest(stats, SLOT) == 7


@pytest.mark.parametrize(("maximum", "most"), [(1, 1), (2, 1), (3, 2), (7, 4)])
def test_processes_at_once_never_have_more_than_the_limit(stats: Stats, maximum: int, most: int) -> None:
    words = shared_words(16)
    in_processes(
        [partial(limiting.hammer, stats, lane, maximum, most, 5_000_000, words) for lane in range(4)]
    )
    peaks, got = [words[1 + 2 * lane] for lane in range(4)], [words[2 + 2 * lane] for lane in range(4)]
    assert max(peaks) == maximum, f"seen at once: {peaks}"
    assert sum(got) > 100_000, f"places got: {got}"
    assert words[0] == 0
    assert limiting.used(stats, 0, 0) == 0


def test_a_listener_has_as_many_connections_as_its_limit(stats: Stats) -> None:
    assert [limiting.accept(stats, lane, 1, 3) for lane in range(4)] == [True] * 3 + [False]
    assert limiting.accepted(stats, 1) == 3
    assert limiting.accept(stats, 3, 2, 1), "another listener"
    limiting.close(stats, 0, 1)
    assert limiting.accept(stats, 3, 1, 3)
    assert not limiting.accept(stats, 0, 1, 3)


def test_without_limit_a_listener_counts_all_the_same(stats: Stats) -> None:
    assert all(limiting.accept(stats, lane, 1, 0) for lane in range(4))
    assert not limiting.accept(stats, 0, 1, 4)
    stats.clear_lane(2)
    assert limiting.accept(stats, 0, 1, 4)


@pytest.mark.parametrize("maximum", [1, 3])
def test_processes_at_once_never_accept_more_than_the_limit(stats: Stats, maximum: int) -> None:
    words = shared_words(16)
    in_processes(
        [partial(limiting.hammer_listener, stats, lane, maximum, 2_000_000, words) for lane in range(4)]
    )
    assert 1 <= max(words[1 + 2 * lane] for lane in range(4)) <= maximum
    assert sum(words[2 + 2 * lane] for lane in range(4)) > 50_000
    assert limiting.accepted(stats, 1) == 0


def test_processes_that_begin_one_after_the_other_never_have_more_than_the_limit(stats: Stats) -> None:
    words = shared_words(32)
    begun = 31

    def work(lane: int) -> None:
        while words[begun] != lane - 4:
            os.sched_yield()
        stats.use_lane(lane)
        words[begun] += 1
        limiting.hammer(stats, lane, 1, 1, 3_000_000, words)

    in_processes([partial(work, lane) for lane in range(4, 8)])
    assert max(words[1 + 2 * lane] for lane in range(4, 8)) == 1
    assert limiting.used(stats, 0, 0) == 0
