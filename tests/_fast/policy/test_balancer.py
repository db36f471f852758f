"""Balancers: shares by weight over a million picks, evenness, hosts that are down, hosts that are busy."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests._fast.policy.balancing import LEAST_REQUEST, PEAK_EWMA, RANDOM, ROUND_ROBIN, Balancer
from tests.chance import chi_square_limit, deviation

PICKS = 1_000_000
ALGORITHMS = [ROUND_ROBIN, LEAST_REQUEST, RANDOM, PEAK_EWMA]
WEIGHTS = {
    "one": [1],
    "equal": [1] * 10,
    "two": [2, 1],
    "all different": list(range(1, 21)),
    "one heavy": [1000, *[1] * 20],
    "one light": [1, *[500] * 7],
    "largest": [1_000_000, 1, 999_999],
}


def expected(weights: Sequence[int], usable: Sequence[int], picks: int = PICKS) -> list[float]:
    total = sum(weights[index] for index in usable)
    return [picks * weight / total if index in usable else 0 for index, weight in enumerate(weights)]


# -- shares -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [LEAST_REQUEST, RANDOM, PEAK_EWMA])
@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_idle_hosts_are_drawn_by_weight(algorithm: int, weights: list[int]) -> None:
    counts = Balancer(algorithm, weights).counts(PICKS)
    assert deviation(counts, expected(weights, range(len(weights)))) < chi_square_limit(len(weights) - 1)


@pytest.mark.parametrize("algorithm", [LEAST_REQUEST, RANDOM, PEAK_EWMA])
@pytest.mark.parametrize("weights", [[1] * 20, list(range(1, 21))], ids=["equal", "weighted"])
@pytest.mark.parametrize("usable", [[0], [19], [3, 4], [0, 7, 19], list(range(10)), list(range(19))], ids=str)
def test_shares_among_the_usable_are_by_weight(algorithm: int, weights: list[int], usable: list[int]) -> None:
    balancer = Balancer(algorithm, weights)
    balancer.use(usable)
    counts = balancer.counts(PICKS)
    assert deviation(counts, expected(weights, usable)) < chi_square_limit(len(usable) - 1)


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**64 - 1])
@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_a_round_has_every_host_as_often_as_its_weight(weights: list[int], seed: int) -> None:
    balancer = Balancer(ROUND_ROBIN, weights, seed)
    for _ in range(3):
        assert balancer.counts(sum(weights)) == weights


# -- evenness ---------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(0, 2**64 - 1))
@example([10] + [1] * 100, 0)
@example([1, 1, 1, 30], 7)
def test_round_robin_is_even_at_every_moment(weights: list[int], seed: int) -> None:
    """No host is ever more than two turns ahead or behind of its share."""
    balancer = Balancer(ROUND_ROBIN, weights, seed)
    total = sum(weights)
    counts = [0] * len(weights)
    for turn in range(1, total + 1):
        counts[balancer.pick()] += 1
        for count, weight in zip(counts, weights, strict=True):
            assert abs(count - turn * weight / total) < 2, f"{counts} after {turn} turns"


def test_round_robin_among_equals_goes_round() -> None:
    balancer = Balancer(ROUND_ROBIN, [3] * 5)
    first = balancer.pick()
    assert [balancer.pick() for _ in range(10)] == [(first + step) % 5 for step in range(1, 11)]


@pytest.mark.parametrize("weights", [[1] * 8, [1, 2, 3, 4, 5, 6, 7, 8]], ids=["equal", "weighted"])
def test_workers_with_other_seeds_begin_with_other_hosts(weights: list[int]) -> None:
    """About by weight: neither does one host get all the first requests, nor a light one too many of them."""
    draw = random.Random(3)
    firsts = [Balancer(ROUND_ROBIN, weights, draw.getrandbits(64)).pick() for _ in range(4000)]
    for index, mean in enumerate(expected(weights, range(8), 4000)):
        assert 0.5 * mean < firsts.count(index) < 1.5 * mean


def test_round_robin_keeps_the_weights_for_ever() -> None:
    """Virtual time wraps every four rounds."""
    balancer = Balancer(ROUND_ROBIN, [1, 2, 3, 7])
    for _ in range(100):
        assert balancer.counts(1300) == [100, 200, 300, 700]


# -- hosts that are down ----------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_without_a_usable_host_there_is_no_pick(algorithm: int) -> None:
    assert Balancer(algorithm, []).pick() == -1
    for weights in ([1], [1, 1], [1, 2, 3]):
        balancer = Balancer(algorithm, weights)
        balancer.use([])
        assert [balancer.pick() for _ in range(20)] == [-1] * 20
        balancer.use([len(weights) - 1])
        assert [balancer.pick() for _ in range(20)] == [len(weights) - 1] * 20


@settings(max_examples=100)
@given(st.data(), st.lists(st.sampled_from([1, 2, 5, 1000, 1_000_000]), min_size=2, max_size=12))
def test_round_robin_among_the_usable_is_by_weight(data: st.DataObject, weights: list[int]) -> None:
    usable = data.draw(st.lists(st.integers(0, len(weights) - 1), min_size=1, unique=True))
    balancer = Balancer(ROUND_ROBIN, weights)
    balancer.counts(50)
    balancer.use(usable)
    counts = balancer.counts(5000)
    for count, mean in zip(counts, expected(weights, usable, 5000), strict=True):
        # Each host is at most a turn off at either end; the heaviest makes up for all the others
        assert abs(count - mean) <= max(2, len(weights) - 1)


def test_a_host_that_comes_back_gets_its_share_and_no_more() -> None:
    for weights in ([1, 1, 1], [1, 2, 3], [100, 1, 1]):
        balancer = Balancer(ROUND_ROBIN, weights)
        for _ in range(5):
            balancer.use([1, 2])
            balancer.counts(997)
            balancer.use([0, 1, 2])
            for count, mean in zip(balancer.counts(60), expected(weights, range(3), 60), strict=True):
                assert abs(count - mean) <= 2


# -- hosts that are busy ----------------------------------------------------------------------------------


def drawn_in_order(weights: Sequence[int], active: Sequence[int]) -> list[float]:
    """Shares of a choice of two: drawn by weight without putting back, the less busy for its weight wins."""
    total = sum(weights)
    shares = [0.0] * len(weights)
    for first, first_weight in enumerate(weights):
        for second, second_weight in enumerate(weights):
            if first != second:
                chance = first_weight / total * second_weight / (total - first_weight)
                both_idle = active[first] == active[second] == 0
                busier = (2 * active[second] + 1) / second_weight < (2 * active[first] + 1) / first_weight
                shares[second if busier and not both_idle else first] += chance
    return shares


@pytest.mark.parametrize(
    ("weights", "active"),
    [
        ([1, 1], [1, 0]),
        ([1, 1, 1, 1], [5, 0, 0, 0]),
        ([1, 1, 1, 1], [0, 1, 2, 3]),
        ([4, 3, 2, 1], [3, 3, 3, 3]),
        ([4, 3, 2, 1], [0, 0, 1, 0]),
        ([100, 1], [1, 0]),
        ([100, 1], [60, 0]),
    ],
)
def test_of_two_hosts_the_less_busy_for_its_weight_is_picked(weights: list[int], active: list[int]) -> None:
    balancer = Balancer(LEAST_REQUEST, weights)
    balancer.load(active)
    shares = [PICKS * share for share in drawn_in_order(weights, active)]
    assert deviation(balancer.counts(PICKS), shares) < chi_square_limit(len(weights) - 1)


@pytest.mark.parametrize("choices", [1, 2, 3, 5])
def test_more_choices_find_an_idle_host_more_often(choices: int) -> None:
    balancer = Balancer(LEAST_REQUEST, [1] * 5, choices=choices)
    balancer.load([3, 3, 0, 3, 3])
    others = 0.8 * 0.75 ** (choices - 1)  # each choice is one of the four that are not the best so far
    shares = [PICKS * others / 4] * 5
    shares[2] = PICKS * (1 - others)
    assert deviation(balancer.counts(PICKS), shares) < chi_square_limit(4)


def test_least_request_keeps_busy_hosts_level() -> None:
    """100 hosts with 10 requests each on the average: the most is above it by the logarithm's logarithm."""
    _, most = Balancer(LEAST_REQUEST, [1] * 100).serve(1000, PICKS, [1] * 100)
    _, most_at_random = Balancer(RANDOM, [1] * 100).serve(1000, PICKS, [1] * 100)
    assert most <= 16
    assert most_at_random >= 25


def test_least_request_spares_a_slow_host() -> None:
    """Ten times slower than the others, it is to get about a tenth of their requests, not as many as they."""
    counts, _ = Balancer(LEAST_REQUEST, [1] * 10).serve(50, PICKS, [1, *[10] * 9])
    assert 0.05 < counts[0] / (sum(counts[1:]) / 9) < 0.25


@pytest.mark.parametrize("concurrency", [2, 5, 20, 100])
@pytest.mark.parametrize("weights", [[3, 2, 1], [100, 1], [10, 10, 1, 1]], ids=str)
def test_least_request_keeps_the_weights_under_load(weights: list[int], concurrency: int) -> None:
    """Shares may lie off by what one request in flight more or less makes, for hosts hold whole ones."""
    counts, _ = Balancer(LEAST_REQUEST, weights).serve(concurrency, PICKS, [1] * len(weights))
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count / PICKS - weight / sum(weights)) < 0.5 / concurrency + 0.02
