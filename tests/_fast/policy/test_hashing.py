"""Ring hash and Maglev: shares by weight, what moves when a host leaves, hosts that are down or full."""

import random
from collections import Counter

import pytest

from tests._fast.policy.balancing import MAGLEV, RING_HASH, Balancer
from tests.chance import chi_square_limit, deviation

PICKS = 1_000_000
BOTH = pytest.mark.parametrize("algorithm", [RING_HASH, MAGLEV], ids=["ring hash", "maglev"])
DRAW = random.Random(11)
HASHES = [DRAW.getrandbits(64) for _ in range(100_000)]
PLACES = 65537


def keys(count: int, seed: int = 5) -> list[int]:
    draw = random.Random(seed)
    return [draw.getrandbits(64) for _ in range(count)]


def made(algorithm: int, weights: list[int], own: list[int] | None = None) -> Balancer:
    balancer = Balancer(algorithm, weights)
    balancer.keys(own or keys(len(weights)))
    return balancer


def places(balancer: Balancer, count: int) -> list[int]:
    """How many of Maglev's places each host has: one hash in the middle of each."""
    width = 2**64 / PLACES
    found = Counter(balancer.of(int((place + 0.5) * width)) for place in range(PLACES))
    return [found[index] for index in range(count)]


@BOTH
def test_a_hash_has_one_host_everywhere(algorithm: int) -> None:
    """In every worker, whatever the order of the list."""
    own = keys(20)
    one = made(algorithm, list(range(1, 21)), own)
    other = made(algorithm, list(range(20, 0, -1)), own[::-1])
    for value in HASHES[:5000]:
        assert one.of(value) == 19 - other.of(value)


@pytest.mark.parametrize("weights", [[1] * 3, [1] * 1000, [1, 2, 3, 4], [10, *[1] * 50], [1000, 1]], ids=str)
def test_maglev_gives_places_exactly_by_weight(weights: list[int]) -> None:
    """But for the last round, in which some hosts have had their turn and others not."""
    found = places(made(MAGLEV, weights), len(weights))
    for count, weight in zip(found, weights, strict=True):
        assert abs(count - PLACES * weight / sum(weights)) <= 1 + len(weights) * weight / sum(weights)


@pytest.mark.parametrize("weights", [[1] * 10, [5, 3, 1]], ids=str)
def test_maglev_serves_by_its_places(weights: list[int]) -> None:
    balancer = made(MAGLEV, weights)
    expected = [PICKS * count / PLACES for count in places(balancer, len(weights))]
    assert deviation(balancer.counts(PICKS), expected) < chi_square_limit(len(weights) - 1)


@pytest.mark.parametrize("weights", [[1] * 10, [5, 3, 1], [100, 1]], ids=str)
def test_ring_hash_serves_by_weight(weights: list[int]) -> None:
    """A host with n points has its share but for about 1 / sqrt(n) of it."""
    balancer = made(RING_HASH, weights)
    balancer.points(200_000, 1 << 23)
    counts = balancer.counts(PICKS)
    for count, weight in zip(counts, weights, strict=True):
        points = 200_000 * weight / sum(weights)
        spread = (
            PICKS * weight / sum(weights) * (5 / points**0.5) + 5 * (PICKS * weight / sum(weights)) ** 0.5
        )
        assert abs(count - PICKS * weight / sum(weights)) < spread


@BOTH
@pytest.mark.parametrize("gone", [0, 41, 99])
def test_few_requests_move_when_one_of_a_hundred_leaves(algorithm: int, gone: int) -> None:
    """Those of the host that leaves have to, about 1 %; Maglev moves at most 2 % beyond, ring hash none."""
    own = keys(100)
    before = made(algorithm, [1] * 100, own)
    after = made(algorithm, [1] * 99, own[:gone] + own[gone + 1 :])
    necessary = moved = 0
    for value in HASHES:
        was, now = before.of(value), after.of(value)
        if was == gone:
            necessary += 1
        elif was != now + (now >= gone):
            moved += 1
    print(f"moved beyond the necessary {necessary / len(HASHES):.2%}: {moved / len(HASHES):.2%}")
    assert 0.003 < necessary / len(HASHES) < 0.02
    assert moved / len(HASHES) <= (0.02 if algorithm == MAGLEV else 0)


@BOTH
def test_only_requests_of_hosts_that_are_down_move(algorithm: int) -> None:
    balancer = made(algorithm, [1] * 50)
    balancer.points(5000, 1 << 23)
    before = [balancer.of(value) for value in HASHES]
    balancer.use(set(range(50)) - {7, 8, 30})
    went: Counter[int] = Counter()
    for value, was in zip(HASHES, before, strict=True):
        now = balancer.of(value)
        if was in {7, 8, 30}:
            went[now] += 1
        else:
            assert now == was
    assert not {7, 8, 30} & went.keys()
    assert len(went) == 47, "others share what those had"
    balancer.use(range(50))
    assert [balancer.of(value) for value in HASHES] == before


@BOTH
def test_one_host_that_is_left_gets_all(algorithm: int) -> None:
    balancer = made(algorithm, [1] * 1000)
    balancer.use([613])
    assert {balancer.of(value) for value in HASHES[:2000]} == {613}
    balancer.use([])
    assert balancer.of(1) == -1
    assert made(algorithm, []).of(1) == -1


@BOTH
def test_a_full_host_gives_way(algorithm: int) -> None:
    """At 1.25 times the mean: with 100 in flight on four hosts, 31.25, and so 32, is the most."""
    balancer = made(algorithm, [1] * 4)
    unbound = [balancer.of(value) for value in HASHES[:5000]]
    balancer.load([40, 32, 10, 17])
    balancer.bind(1.25)
    for value, was in zip(HASHES, unbound, strict=False):
        now = balancer.of(value)
        assert now in {2, 3}
        assert now == was or was in {0, 1}
    balancer.load([31, 31, 31, 6])
    balancer.bind(1.25)
    assert [balancer.of(value) for value in HASHES[:5000]] == unbound
    balancer.bind(0)
    balancer.load([900, 0, 0, 0])
    assert [balancer.of(value) for value in HASHES[:5000]] == unbound


@BOTH
def test_the_bound_holds_under_one_hot_key(algorithm: int) -> None:
    """All requests have one hash, none ends: no host has ever more than the bound allows."""
    balancer = made(algorithm, [2, 1, 1, 4])
    active = [0, 0, 0, 0]
    for _ in range(800):
        balancer.load(active)
        balancer.bind(1.25)
        active[balancer.of(HASHES[0])] += 1
        for count, weight in zip(active, [2, 1, 1, 4], strict=True):
            assert count <= -(-1.25 * sum(active) * weight // 8)
    assert sorted(active)[1] > 0, "one alone must not have all of them, nor two"


@pytest.mark.parametrize(("smallest", "largest", "hosts"), [(1, 1 << 23, 3), (1024, 1024, 100), (7, 9, 9)])
def test_rings_of_any_size_serve_all_hosts(smallest: int, largest: int, hosts: int) -> None:
    balancer = made(RING_HASH, [1] * hosts)
    balancer.points(smallest, largest)
    assert min(balancer.counts(PICKS)) > 0
