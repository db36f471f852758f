"""Peak EWMA: the average, what it makes of a slow or failing host, and what workers tell each other."""

import math

import pytest

from tests._fast.policy.balancing import PEAK_EWMA, Balancer
from tests.chance import chi_square_limit, deviation

PICKS = 1_000_000
DECAY = 10_000.0


def test_nothing_is_known_of_a_host_at_first() -> None:
    balancer = Balancer(PEAK_EWMA, [1])
    assert balancer.latency(0) == 30
    balancer.wait(60_000)
    assert balancer.latency(0) == 30
    balancer.hear_nothing(0)
    assert balancer.latency(0) == 30
    balancer.wait(DECAY)
    assert balancer.latency(0) == pytest.approx(30 / math.e)


def test_peaks_are_followed_at_once_and_forgotten_by_and_by() -> None:
    balancer = Balancer(PEAK_EWMA, [1])
    balancer.answer(0, 500)
    assert balancer.latency(0) == 500
    expected = 500.0
    for pause, latency in [(100, 20), (1000, 10), (30, 10), (20_000, 5)]:
        balancer.wait(pause)
        weight = math.exp(-pause / DECAY)
        expected = expected * weight + latency * (1 - weight)
        balancer.answer(0, latency)
        assert balancer.latency(0) == pytest.approx(expected, rel=1e-4)
    balancer.answer(0, 900)
    assert balancer.latency(0) == 900


def test_an_average_sinks_while_nothing_is_asked() -> None:
    balancer = Balancer(PEAK_EWMA, [1])
    balancer.answer(0, 800)
    for step in range(1, 400):
        balancer.wait(97)
        assert balancer.latency(0) == pytest.approx(800 * math.exp(-step * 97 / DECAY), rel=1e-4)


def test_the_faster_of_two_is_picked() -> None:
    """Drawn in pairs, a host wins against those that are slower: (n - 1 - rank) pairs of n (n - 1) / 2."""
    balancer = Balancer(PEAK_EWMA, [1] * 5)
    for index, latency in enumerate([400, 100, 500, 200, 300]):
        balancer.answer(index, latency)
    shares = [PICKS * wins / 10 for wins in (1, 4, 0, 3, 2)]
    assert deviation(balancer.counts(PICKS), shares) < chi_square_limit(3)


@pytest.mark.parametrize("choices", [2, 3, 4, 9])
def test_more_choices_avoid_a_slow_host_more_often(choices: int) -> None:
    """Each choice is one of those that are not the best so far, and so a slow one stays behind."""
    balancer = Balancer(PEAK_EWMA, [1] * 5, choices=choices)
    for index, latency in enumerate([100, 100, 100, 100, 1000]):
        balancer.answer(index, latency)
    assert balancer.counts(10_000)[4] == 0
    for index, latency in enumerate([200, 1000, 1000, 1000, 1000]):
        balancer.answer(index, latency)
        balancer.answer(index, latency)
    others = 0.8 * 0.75 ** (choices - 1)
    shares = [PICKS * (1 - others), *[PICKS * others / 4] * 4]
    assert deviation(balancer.counts(PICKS), shares) < chi_square_limit(4)


@pytest.mark.parametrize(
    ("latencies", "active", "weights", "winner"),
    [
        ([100, 200], [0, 0], [1, 1], 0),
        ([100, 200], [2, 0], [1, 1], 1),
        ([100, 200], [2, 1], [1, 1], 0),
        ([100, 250], [2, 0], [1, 1], 1),
        ([100, 100], [2, 0], [4, 1], 0),
        ([100, 100], [4, 0], [4, 1], 1),
        ([100, 110], [0, 0], [1, 100], 0),
    ],
)
def test_requests_in_flight_and_weights_count(
    latencies: list[int], active: list[int], weights: list[int], winner: int
) -> None:
    balancer = Balancer(PEAK_EWMA, weights)
    for index, latency in enumerate(latencies):
        balancer.answer(index, latency)
    balancer.load(active)
    assert {balancer.pick() for _ in range(100)} == {winner}


def test_a_host_that_was_slow_is_tried_again() -> None:
    balancer = Balancer(PEAK_EWMA, [1, 1])
    balancer.answer(0, 1000)
    for _ in range(60):
        balancer.wait(1000)
        balancer.answer(1, 10)
        if balancer.pick() == 0:
            break
    assert balancer.latency(0) < balancer.latency(1) < 20


def test_workers_tell_each_other_what_is_worse() -> None:
    knows, new, other = (Balancer(PEAK_EWMA, [1]) for _ in range(3))
    knows.answer(0, 700)
    for worker in (knows, new, other):
        worker.wait(1000)
    knows.tell(0, new)
    sunk = 700 * math.exp(-1000 / DECAY)
    assert new.latency(0) == pytest.approx(sunk, rel=1e-3)
    other.answer(0, 5)
    knows.tell(0, other)
    assert other.latency(0) == pytest.approx(sunk, rel=1e-3)
    knows.answer(0, 1)
    other.answer(0, 2000)
    knows.tell(0, other)
    assert other.latency(0) == 2000


def test_a_fast_host_is_told_as_such_to_a_new_worker() -> None:
    knows, new = Balancer(PEAK_EWMA, [1]), Balancer(PEAK_EWMA, [1])
    knows.answer(0, 31)
    for _ in range(100):
        knows.wait(2000)
        knows.answer(0, 0.25)
    new.wait(200_000)
    knows.tell(0, new)
    assert new.latency(0) == pytest.approx(0.25, abs=0.01)
