"""The simulation of balancers: repeatable, and with the order of merit that the algorithms promise."""

import pytest

from bench.simulation import ALGORITHMS, Outcome, simulate

REQUESTS = 8000


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, bool], Outcome]:
    """What became of the requests, by algorithm and whether hosts were ejected."""
    return {
        (name, ejecting): simulate(algorithm, ejecting, REQUESTS, seed=1)
        for name, algorithm in ALGORITHMS.items()
        for ejecting in (False, True)
    }


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_same_seed_gives_the_same_figures(name: str, found: dict[tuple[str, bool], Outcome]) -> None:
    assert simulate(ALGORITHMS[name], True, REQUESTS, seed=1) == found[name, True]
    assert simulate(ALGORITHMS[name], True, REQUESTS, seed=2) != found[name, True]


def test_who_looks_at_nothing_gives_each_host_its_share(found: dict[tuple[str, bool], Outcome]) -> None:
    outcome = found["round_robin", False]
    assert (outcome.slow, outcome.failing) == (pytest.approx(10), pytest.approx(10))
    assert outcome.success == pytest.approx(95, abs=1)


def test_fast_failures_draw_who_counts_requests_only(found: dict[tuple[str, bool], Outcome]) -> None:
    assert found["least_request", False].failing > 11
    assert found["least_request", False].slow < 5


def test_ejection_makes_up_for_it(found: dict[tuple[str, bool], Outcome]) -> None:
    for name in ALGORITHMS:
        assert found[name, True].success > 99
        assert found[name, True].success > found[name, False].success - 0.1


def test_latency_with_ejection_is_the_best(found: dict[tuple[str, bool], Outcome]) -> None:
    best = found["peak_ewma", True]
    assert best.success > 99.9
    assert all(best.p99 <= other.p99 for other in found.values())


def test_more_choices_leave_less_to_the_slow_one(found: dict[tuple[str, bool], Outcome]) -> None:
    more = simulate(ALGORITHMS["peak_ewma"], True, REQUESTS, seed=1, choices=4)
    assert more.slow < found["peak_ewma", True].slow / 2
    assert more.p99 < found["peak_ewma", True].p99
    assert more.success > 99.9
