"""The circuit breaker's machine, under a clock of its own."""

from functools import partial
from typing import Any

import pytest

from tests._fast.policy.breaking import Breaker
from tests.forks import in_processes, shared_words
from tulle._fast.base.stats import Stats

SECOND = 1_000_000_000
START = 1000 * SECOND
TICK = 1 << 20


def opened(stats: Stats, now: int = START, **policy: Any) -> Breaker:
    breaker = Breaker(stats, **policy)
    for _ in range(20):
        breaker.record(now, failed=True)
    assert breaker.kind() == "open"
    return breaker


def test_it_begins_closed_and_lets_everything_through(stats: Stats) -> None:
    breaker = Breaker(stats)
    assert breaker.kind() == "closed"
    assert [breaker.admit(START) for _ in range(100)] == [0] * 100
    assert breaker.shut_until(START) is None


@pytest.mark.parametrize(
    ("requests", "failures", "kind"),
    [(19, 19, "closed"), (20, 10, "open"), (21, 10, "closed"), (1000, 499, "closed"), (1000, 500, "open")],
)
def test_by_rate_and_number(stats: Stats, requests: int, failures: int, kind: str) -> None:
    breaker = Breaker(stats)
    for number in range(requests):
        breaker.record(START, failed=number >= requests - failures)
    assert breaker.kind() == kind


def test_the_failure_that_opens_it_says_so(stats: Stats) -> None:
    breaker = Breaker(stats, minimum=3, threshold=100)
    assert [breaker.record(START, failed=True) for _ in range(5)] == [False, False, True, False, False]
    assert breaker.transitions() == (1, 0, 0)


def test_the_window_slides(stats: Stats) -> None:
    """What is older than the window does not count, what is younger than seven eighths of it does."""
    breaker = Breaker(stats, minimum=20, window=8 * SECOND)
    breaker.record_often(START, 19, 10)
    assert breaker.window(START + 7 * SECOND) == (19, 19)
    assert breaker.window(START + 8 * SECOND + TICK) == (0, 0)
    breaker.record(START + 8 * SECOND + TICK, failed=True)
    assert breaker.kind() == "closed"
    breaker.record_often(START + 12 * SECOND, 19, 10)
    assert breaker.kind() == "open"


def test_a_clock_that_is_a_little_behind_takes_nothing_away(stats: Stats) -> None:
    breaker = Breaker(stats, window=8 * SECOND)
    breaker.record_often(START, 10, 0)
    breaker.record_often(START - 2 * SECOND, 5, 0)
    breaker.record_often(START - 8 * SECOND - 8, 1, 0)
    assert breaker.window(START) == (16, 0)


def test_a_bucket_never_overflows(stats: Stats) -> None:
    breaker = Breaker(stats, threshold=100)
    breaker.record_often(START, 3_000_000, 9)
    requests, failures = breaker.window(START)
    assert requests > 2_000_000
    assert failures <= requests


def test_open_nothing_passes_until_its_time_is_up(stats: Stats) -> None:
    breaker = opened(stats, open=5 * SECOND)
    assert 0 <= breaker.until() - (START + 5 * SECOND) <= TICK
    assert breaker.shut_until(START + SECOND) == breaker.until()
    assert [breaker.admit(START + at * SECOND) for at in (0, 1, 4)] == [None] * 3
    assert breaker.admit(breaker.until() - 1) is None
    assert breaker.shut_until(breaker.until()) is None
    assert breaker.admit(breaker.until())
    assert breaker.kind() == "half-open"


@pytest.mark.parametrize("probes", [1, 2, 5, 255])
def test_half_open_lets_exactly_so_many_through(stats: Stats, probes: int) -> None:
    breaker = opened(stats, probes=probes)
    now = breaker.until()
    tokens = [breaker.admit(now) for _ in range(probes)]
    assert all(tokens)
    assert len(set(tokens)) == 1
    assert breaker.admit(now) is None
    assert breaker.shut_until(now) == breaker.until()
    for token in tokens[:-1]:
        assert token is not None
        assert not breaker.record(now, failed=False, token=token)
        assert breaker.admit(now) is None
    assert breaker.record(now, failed=False, token=tokens[0] or 0)
    assert breaker.kind() == "closed"
    assert breaker.transitions() == (1, 1, 1)


def test_a_failure_opens_it_again_and_for_longer(stats: Stats) -> None:
    breaker = opened(stats, probes=2, open=SECOND, open_max=5 * SECOND)
    spans = []
    for _ in range(70):
        now = breaker.until()
        token = breaker.admit(now)
        other = breaker.admit(now)
        assert token and other
        assert not breaker.record(now, failed=False, token=other)
        assert breaker.record(now, failed=True, token=token)
        assert breaker.kind() == "open"
        spans.append(round((breaker.until() - now) / SECOND, 1))
    assert spans[:4] == [2.0, 4.0, 5.0, 5.0]
    assert spans[-1] == 5.0


def test_how_long_is_forgotten_once_it_held(stats: Stats) -> None:
    breaker = opened(stats, open=SECOND, open_max=60 * SECOND)
    now = breaker.until()
    breaker.record(now, failed=True, token=breaker.admit(now) or 0)
    now = breaker.until()
    breaker.record(now, failed=False, token=breaker.admit(now) or 0)
    assert breaker.kind() == "closed"
    assert breaker.window(now) == (0, 0)
    breaker.record_often(now + SECOND, 20, 10)  # soon after: it goes on from where it was
    assert round((breaker.until() - now - SECOND) / SECOND) == 4
    now = breaker.until()
    breaker.record(now, failed=False, token=breaker.admit(now) or 0)
    now += 10 * SECOND
    breaker.record_often(now, 20, 10)
    assert round((breaker.until() - now) / SECOND) == 1


def test_what_was_sent_before_it_opened_says_nothing(stats: Stats) -> None:
    breaker = opened(stats)
    assert not breaker.record(START, failed=False)
    assert breaker.kind() == "open"
    now = breaker.until()
    assert breaker.admit(now)
    assert not breaker.record(now, failed=False)
    assert not breaker.record(now, failed=True)
    assert breaker.kind() == "half-open"
    assert breaker.window(now) == (20, 20)


def test_a_place_that_is_given_back_is_free(stats: Stats) -> None:
    breaker = opened(stats, probes=2)
    now = breaker.until()
    token = breaker.admit(now)
    assert token
    assert breaker.admit(now)
    assert breaker.admit(now) is None
    assert breaker.drop(token)
    assert breaker.admit(now) == token
    assert breaker.admit(now) is None


def test_a_place_that_never_comes_back_blocks_nothing(stats: Stats) -> None:
    """Its worker was killed: another round begins, and what then comes from the first one says nothing."""
    breaker = opened(stats, open=SECOND)
    now = breaker.until()
    lost = breaker.admit(now)
    assert lost
    assert breaker.admit(breaker.until() - 1) is None
    now = breaker.until()
    token = breaker.admit(now)
    assert token
    assert token != lost
    assert not breaker.record(now, failed=True, token=lost)
    assert not breaker.drop(lost)
    assert breaker.kind() == "half-open"
    assert breaker.admit(now) is None
    assert breaker.record(now, failed=False, token=token)
    assert breaker.kind() == "closed"
    assert breaker.transitions() == (1, 1, 1)


def test_breakers_of_several_clusters_are_apart(stats: Stats) -> None:
    opened(stats)
    assert Breaker(stats, 1).admit(START) == 0


@pytest.mark.parametrize("probes", [1, 3])
def test_workers_at_once_let_no_more_through(stats: Stats, probes: int) -> None:
    """In no round, however far the clocks of the workers are apart."""
    words = shared_words(1 << 16)
    breaker = opened(stats, open=TICK, open_max=TICK, probes=probes)
    work = partial(breaker.hammer, breaker.until(), TICK // 8, 400_000, words)
    in_processes([work] * 4)
    rounds = [count for count in words if count]
    assert max(rounds) <= probes
    assert len(rounds) > 1000
