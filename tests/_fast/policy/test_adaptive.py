"""Adaptive concurrency under a clock of its own: its steps, and in a loop with a service that has limits."""

import heapq
import math
import random
from collections.abc import Callable
from functools import partial

import pytest

from tests._fast.policy.adapting import Controller
from tests.forks import in_processes
from tulle._fast.base.stats import Stats

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1000 * SECOND


def begun(stats: Stats, rtt: int = 10 * MILLISECOND, **policy: float) -> tuple[Controller, int]:
    """One that has measured this minRTT, and the time."""
    controller = Controller(stats, **policy)  # type: ignore[arg-type]
    count = int(policy.get("count", 50))
    now = START
    for _ in range(count):
        now += rtt
        controller.record(now - rtt, now)
    assert not controller.measuring()
    return controller, now


def window(controller: Controller, now: int, latency: int) -> int:
    """An answer that ends a window; when it did."""
    now = max(controller.turn(), now + latency)
    controller.record(now - latency, now)
    assert controller.recorded() == 0
    return now


# -- minRTT ----------------------------------------------------------------------------------------------


def test_until_min_rtt_is_known_hardly_anything_passes(stats: Stats) -> None:
    controller = Controller(stats, count=50, least=3)
    assert (controller.measuring(), controller.limit()) == (True, 3)
    for number in range(49):
        controller.record(START, START + 10 * MILLISECOND + number)
    assert (controller.measuring(), controller.min_rtt()) == (True, 0)
    controller.record(START, START + 10 * MILLISECOND)
    assert (controller.measuring(), controller.measurements()) == (False, 1)
    assert controller.min_rtt() == pytest.approx(10 * MILLISECOND, rel=0.04)


@pytest.mark.parametrize("percentile", [0.1, 0.5, 0.9])
def test_min_rtt_is_the_same_percentile(stats: Stats, percentile: float) -> None:
    controller = Controller(stats, count=100, percentile=percentile)
    for number in range(1, 101):
        controller.record(START, START + number * MILLISECOND)
    assert controller.min_rtt() == pytest.approx(percentile * 100 * MILLISECOND, rel=0.07)


@pytest.mark.parametrize(
    "latency", [1, 900, 20_000, 65_537, 3 * MILLISECOND, 7 * SECOND, 130 * SECOND, 3600 * SECOND]
)
def test_latencies_of_every_size(stats: Stats, latency: int) -> None:
    """At most 3 % or half a microsecond off; what takes longer than two minutes is two minutes."""
    controller = Controller(stats, count=1)
    controller.record(START, START + latency)
    assert controller.min_rtt() == pytest.approx(min(latency, 133 * SECOND), rel=0.033, abs=600)


def test_measured_again_with_jitter(stats: Stats) -> None:
    for slot, (draw, expected) in enumerate(((0, 60), (1 << 63, 65), ((1 << 64) - 1, 70))):
        controller = Controller(stats, slot, count=1, jitter=10 * SECOND)
        controller.record(START, START, draw)
        assert (controller.measure_at() - START) / SECOND == pytest.approx(expected)


def test_the_limit_comes_back_after_a_measurement(stats: Stats) -> None:
    controller, now = begun(stats)
    for _ in range(10):
        now = window(controller, now, 10 * MILLISECOND)
    limit = controller.limit()
    assert limit > 50
    now = window(controller, controller.measure_at(), 10 * MILLISECOND)
    assert (controller.measuring(), controller.limit()) == (True, 3)
    for _ in range(100):  # of requests that began before: they waited behind many others
        controller.record(now - 20 * MILLISECOND, now + 200 * MILLISECOND)
    assert controller.measuring()
    for _ in range(50):
        controller.record(now + MILLISECOND, now + 13 * MILLISECOND)
    assert not controller.measuring()
    assert controller.limit() >= limit
    assert controller.min_rtt() == pytest.approx(12 * MILLISECOND, rel=0.04)


def test_a_fixed_min_rtt_is_not_measured(stats: Stats) -> None:
    controller = Controller(stats, fixed=10 * MILLISECOND)
    assert (controller.measuring(), controller.limit()) == (False, 3)
    now = window(controller, START, 10 * MILLISECOND)
    assert controller.limit() > 3
    for _ in range(100):
        now = window(controller, now + 10 * SECOND, 10 * MILLISECOND)
    assert controller.measurements() == 0


# -- the gradient ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latency", "gradient"),
    [(1, 2.0), (8, 1.5625), (10, 1.25), (12.5, 1.0), (20, 0.625), (40, 0.5), (4000, 0.5)],
)
def test_a_step(stats: Stats, latency: float, gradient: float) -> None:
    controller, now = begun(stats)
    for _ in range(6):
        now = window(controller, now, 10 * MILLISECOND)
    before = controller.limit()
    window(controller, now, int(latency * MILLISECOND))
    assert controller.gradient() == pytest.approx(gradient, rel=0.07)
    exact = before * controller.gradient()
    assert controller.limit() == pytest.approx(exact + math.sqrt(exact), abs=1.01)


def test_it_stays_within_its_bounds(stats: Stats) -> None:
    controller, now = begun(stats, least=5, most=40)
    for _ in range(30):
        now = window(controller, now, 5 * MILLISECOND)
        assert 5 <= controller.limit() <= 40
    assert controller.limit() == 40
    limits = []
    while not controller.measuring():
        now = window(controller, now, 500 * MILLISECOND)
        limits.append(controller.limit())
    assert min(limits) == 5


def test_the_least_limit_five_times_in_a_row_measures_anew(stats: Stats) -> None:
    """What was minRTT may be out of reach: the service has become slower for good."""
    controller, now = begun(stats)
    low = 0
    while not controller.measuring():
        now = window(controller, now, 100 * MILLISECOND)
        low += controller.limit() == 3
    assert low == 5
    for _ in range(50):
        controller.record(now, now + 100 * MILLISECOND)
    assert controller.min_rtt() == pytest.approx(100 * MILLISECOND, rel=0.04)


def test_what_began_before_the_last_change_but_one_does_not_count(stats: Stats) -> None:
    controller, now = begun(stats)
    now = window(controller, now, 10 * MILLISECOND)
    now = window(controller, now, 10 * MILLISECOND)
    limit = controller.limit()
    controller.record(now - 10 * SECOND, now + SECOND)
    assert (controller.limit(), controller.recorded()) == (limit, 0)


def test_a_worker_that_is_killed_over_it_holds_nothing_up(stats: Stats) -> None:
    controller = Controller(stats, count=3)
    for _ in range(2):
        controller.record(START, START + MILLISECOND)
    controller.stop_short(START + MILLISECOND)  # the third sample had made it the judge
    controller.record(START, START + MILLISECOND)
    for number in range(2, 200):
        controller.record(START, START + number * MILLISECOND)
    assert not controller.measuring()


def test_clusters_are_apart(stats: Stats) -> None:
    begun(stats)
    assert Controller(stats, 1).measuring()


def test_workers_at_once_lose_no_sample(stats: Stats) -> None:
    """Each is judged once, or still to be judged, while the limit moves in its bounds."""
    controller, now = begun(stats, update=MILLISECOND, measure=3600 * SECOND, rtt=MILLISECOND)
    # of requests that began together, so that none is too old for its window
    work = partial(controller.hammer, now + SECOND, 200_000, 1000, 1000)
    in_processes([work] * 4)
    assert 3 <= controller.limit() <= 1000
    assert controller.measurements() == 1
    assert controller.recorded() < 800_000


# -- in a loop with a service ----------------------------------------------------------------------------


class Service:
    """So many places to work in, an endless queue before them, and clients that come at random."""

    def __init__(self, controller: Controller, places: int, draw: Callable[[], float], rate: float) -> None:
        self.controller = controller
        self.places = places
        self.draw = draw  # seconds of work
        self.rate = rate  # requests a second
        self.now = 0.0
        self.working: list[tuple[float, float]] = []  # when done, when begun
        self.queue: list[float] = []
        self.answered = 0
        self.refused = 0
        self.latencies: list[float] = []
        self.random = random.Random(7)
        self.comes = 0.0

    def run(self, seconds: float) -> None:
        """For so long; the counts are of that time."""
        self.answered = self.refused = 0
        self.latencies = []
        end = self.now + seconds
        while self.now < end:
            done = self.working[0][0] if self.working else math.inf
            if self.comes <= done:
                self.now = self.comes
                self.comes += self.random.expovariate(self.rate)
                self.arrive()
            else:
                self.now = done
                self.finish()

    def arrive(self) -> None:
        if len(self.working) + len(self.queue) >= self.controller.limit():
            self.refused += 1
            return
        self.queue.append(self.now)
        self.work()

    def work(self) -> None:
        while self.queue and len(self.working) < self.places:
            heapq.heappush(self.working, (self.now + self.draw(), self.queue.pop(0)))

    def finish(self) -> None:
        _, began = heapq.heappop(self.working)
        self.answered += 1
        self.latencies.append(self.now - began)
        self.controller.record(
            START + int(began * SECOND), START + int(self.now * SECOND), self.random.getrandbits(64)
        )
        self.work()

    def median(self) -> float:
        return sorted(self.latencies)[len(self.latencies) // 2]


def at_rest(places: int, buffer: float = 0.25) -> float:
    """The limit at which latency, that of a queue before so many places, brings about no change any more."""
    limit = float(places)
    for _ in range(100):
        limit = places * (1 + buffer) / (1 - 1 / math.sqrt(limit))
    return limit


def draws(name: str, mean: float) -> Callable[[], float]:
    chance = random.Random(11)
    sigma = 1.0
    return {
        "constant": lambda: mean,
        "uniform": lambda: chance.uniform(0.5 * mean, 1.5 * mean),
        "exponential": lambda: chance.expovariate(1 / mean),
        "log-normal": lambda: mean * chance.lognormvariate(-sigma * sigma / 2, sigma),
        "two kinds": lambda: chance.choice((0.2 * mean, 0.2 * mean, 0.2 * mean, 3.4 * mean)),
    }[name]


@pytest.mark.parametrize("places", [8, 40])
@pytest.mark.parametrize("name", ["constant", "uniform", "exponential", "log-normal"])
def test_it_finds_the_capacity(stats: Stats, name: str, places: int) -> None:
    """Under twice the load that the service can carry: full goodput, and latency that is bounded.

    Where latencies scatter, the median of few samples does too, and so does the limit: minRTT needs more.
    """
    mean = 0.02
    controller = Controller(stats, count=500 if name == "log-normal" else 50)
    service = Service(controller, places, draws(name, mean), 2 * places / mean)
    service.run(5)
    limits = []
    for _ in range(40):
        service.run(0.1)
        limits.append(service.controller.limit())
    expected = at_rest(places)
    assert sum(limits) / len(limits) == pytest.approx(expected, rel=0.2)
    service.run(4)
    capacity = places / mean * 4
    assert service.answered == pytest.approx(capacity, rel=0.08)
    assert service.median() < 2.5 * mean


def test_without_it_latency_has_no_bound(stats: Stats) -> None:
    """What the former is against: all that a fixed limit of 1,000 lets in waits in the queue."""
    service = Service(Controller(stats, least=1000, most=1000), 8, draws("exponential", 0.02), 800)
    service.run(7)
    assert service.median() > 25 * 0.02


def test_requests_of_two_kinds(stats: Stats) -> None:
    """Three quarters are quick: the median is theirs, and goodput stays all the same."""
    service = Service(Controller(stats), 16, draws("two kinds", 0.02), 1600)
    service.run(4)
    service.run(4)
    assert service.answered > 0.85 * 4 * 800


def test_it_follows_a_capacity_that_drops_and_returns(stats: Stats) -> None:
    mean = 0.02
    service = Service(Controller(stats), 40, draws("exponential", mean), 4000)
    service.run(5)
    high = service.controller.limit()
    service.places = 8
    service.run(3)
    service.run(3)
    low = service.controller.limit()
    assert low < high / 2
    assert service.answered == pytest.approx(3 * 8 / mean, rel=0.1)
    assert service.median() < 3 * mean
    service.places = 40
    service.run(2)
    service.run(3)
    assert service.answered == pytest.approx(3 * 40 / mean, rel=0.1)
    assert service.controller.limit() > 0.7 * high


def test_it_follows_a_service_that_becomes_slower_for_good(stats: Stats) -> None:
    """minRTT is measured anew when the limit has nowhere to fall, and so goodput is what there is."""
    service = Service(Controller(stats), 20, draws("exponential", 0.01), 4000)
    service.run(5)
    service.draw = draws("exponential", 0.05)
    service.run(10)
    service.run(5)
    assert service.answered == pytest.approx(5 * 20 / 0.05, rel=0.1)
    assert service.controller.min_rtt() > 0.02 * SECOND


def test_little_load_is_not_refused(stats: Stats) -> None:
    service = Service(Controller(stats, count=20), 40, draws("exponential", 0.02), 100)
    service.run(5)
    service.run(20)
    assert service.refused == 0
