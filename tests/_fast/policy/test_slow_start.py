"""Slow start: the curve, and that a share of a weight is a share of the requests."""

import pytest

from tests._fast.policy.balancing import LEAST_REQUEST, PEAK_EWMA, RANDOM, ROUND_ROBIN, Balancer, warmth
from tests.chance import chi_square_limit, deviation

PICKS = 1_000_000


@pytest.mark.parametrize("aggression", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("age", [0, 0.5, 3, 15, 29.9, 30, 1000])
def test_a_share_rises_by_the_formula(aggression: float, age: float) -> None:
    formula = max(0.1, min(1, age / 30) ** (1 / aggression))
    assert warmth(30, aggression, 100, age) == pytest.approx(1000 * formula, abs=1)


@pytest.mark.parametrize("algorithm", [ROUND_ROBIN, LEAST_REQUEST, RANDOM, PEAK_EWMA])
@pytest.mark.parametrize("weights", [[1, 1, 1, 1], [4, 1, 2, 1]], ids=str)
def test_requests_follow_the_shares(algorithm: int, weights: list[int]) -> None:
    shares = [1000, 100, 550, 1000]
    balancer = Balancer(algorithm, weights)
    balancer.counts(1001)
    balancer.shares(shares)
    total = sum(weight * share for weight, share in zip(weights, shares, strict=True))
    expected = [PICKS * weight * share / total for weight, share in zip(weights, shares, strict=True)]
    counts = balancer.counts(PICKS)
    if algorithm == ROUND_ROBIN:
        assert all(abs(count - mean) <= 4 for count, mean in zip(counts, expected, strict=True))
    else:
        assert deviation(counts, expected) < chi_square_limit(3)
    balancer.shares([])
    expected = [PICKS * weight / sum(weights) for weight in weights]
    assert all(
        abs(count - mean) <= (4 if algorithm == ROUND_ROBIN else 5 * mean**0.5)
        for count, mean in zip(balancer.counts(PICKS), expected, strict=True)
    )


def test_round_robin_keeps_its_pace_while_shares_rise() -> None:
    """With every step the host has its share of that moment, and no others wait for it."""
    balancer = Balancer(ROUND_ROBIN, [1] * 5)
    for step in range(1, 11):
        balancer.shares([1000, 1000, 100 * step, 1000, 1000])
        counts = balancer.counts(4100)
        mean = 4100 * step / (40 + step)
        assert abs(counts[2] - mean) < 0.02 * 4100
