"""Pauses before retries, and how many of these a cluster may get."""

import statistics
from functools import partial

import pytest

from tests._fast.policy import limiting, retrying
from tests.chance import chi_square_limit, deviation
from tests.forks import in_processes, shared_words
from tulle._fast.base.stats import Stats

SLOT, REQUESTS, RETRIES = 2, 2, 3
SECOND = 1_000_000_000
START = 77 * SECOND
MILLION = 1_000_000


# -- pauses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retry", "ceiling"), [(1, 1000), (2, 2000), (3, 4000), (4, 4500), (64, 4500), (100, 4500)]
)
def test_full_jitter(retry: int, ceiling: int) -> None:
    """Uniform up to the ceiling: in each tenth as many as in any other."""
    drawn = retrying.pauses(1000, 4500, retry, MILLION)
    assert 0 <= min(drawn) <= max(drawn) <= ceiling
    tenths = [0] * 10
    for pause in drawn:
        tenths[min(9, pause * 10 // (ceiling + 1))] += 1
    assert deviation(tenths, [MILLION / 10] * 10) < chi_square_limit(9) * 2
    assert abs(statistics.fmean(drawn) - ceiling / 2) < ceiling / 200


def test_no_pause() -> None:
    assert set(retrying.pauses(0, 0, 3, 100)) == {0}


# -- the budget ---------------------------------------------------------------------------------------


def use_requests(stats: Stats, count: int) -> None:
    for number in range(count):
        limiting.acquire(stats, number % 4, SLOT, REQUESTS, 0)


@pytest.mark.parametrize(
    ("requests", "percent", "retries"), [(100, 20, 20), (99, 20, 19), (4, 20, 0), (5, 20, 1), (10, 100, 10)]
)
def test_a_share_of_the_requests_of_all_workers(
    stats: Stats, requests: int, percent: int, retries: int
) -> None:
    use_requests(stats, requests)
    got = [retrying.acquire(stats, number % 4, SLOT, percent, 0, START) for number in range(retries + 5)]
    assert got == [True] * retries + [False] * 5
    assert limiting.used(stats, SLOT, RETRIES) == retries
    if retries:
        limiting.release(stats, 0, SLOT, RETRIES)
        assert retrying.acquire(stats, 3, SLOT, percent, 0, START)


def test_so_many_a_second_in_any_case(stats: Stats) -> None:
    """Ten of a sudden after a quiet time, then one every tenth of a second; refusals cost nothing."""

    def got(at: int) -> bool:
        return retrying.acquire(stats, 1, SLOT, 20, 10, START + at)

    assert [got(0) for _ in range(13)] == [True] * 10 + [False] * 3
    assert not got(SECOND // 10 - 1)
    assert got(SECOND // 10)
    assert not got(SECOND // 10)
    assert [got(SECOND // 2) for _ in range(6)] == [True] * 4 + [False] * 2
    assert [got(60 * SECOND) for _ in range(12)] == [True] * 10 + [False] * 2


def test_the_share_is_used_first(stats: Stats) -> None:
    use_requests(stats, 10)
    got = [retrying.acquire(stats, 0, SLOT, 20, 3, START) for _ in range(8)]
    assert got == [True] * 5 + [False] * 3


def test_clusters_have_budgets_of_their_own(stats: Stats) -> None:
    for slot in (1, 2):
        assert [retrying.acquire(stats, 0, slot, 0, 2, START) for _ in range(3)] == [True, True, False]


def test_workers_at_once_get_no_more_than_the_rate(stats: Stats) -> None:
    """A second's worth at most to begin with, and then the rate."""
    rate, words = 1000, shared_words(16)

    def work(lane: int) -> None:
        got, begun, ended = retrying.draw_for(stats, SLOT, rate, SECOND // 2)
        words[3 * lane], words[3 * lane + 1], words[3 * lane + 2] = got, begun // MILLION, ended // MILLION

    in_processes([partial(work, lane) for lane in range(4)])
    got = sum(words[3 * lane] for lane in range(4))
    milliseconds = max(words[3 * lane + 2] for lane in range(4)) - min(
        words[3 * lane + 1] for lane in range(4)
    )
    assert 1000 + 490 <= got <= 1000 + (milliseconds + 2) * rate / 1000
