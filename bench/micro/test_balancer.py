"""How long it takes to pick a host, 1000 times a round.

Run with `./dev test bench/micro`; microseconds a round are nanoseconds a pick.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests._fast.policy.balancing import (
    LEAST_REQUEST,
    MAGLEV,
    PEAK_EWMA,
    RANDOM,
    RING_HASH,
    ROUND_ROBIN,
    Balancer,
)

TIMES = 1000
ALGORITHMS = {
    "round robin": ROUND_ROBIN,
    "least request": LEAST_REQUEST,
    "random": RANDOM,
    "peak ewma": PEAK_EWMA,
    "ring hash": RING_HASH,
    "maglev": MAGLEV,
}


@pytest.mark.parametrize("hosts", [10, 1000])
@pytest.mark.parametrize("weights", ["equal", "weighted"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_pick(benchmark: BenchmarkFixture, algorithm: str, weights: str, hosts: int) -> None:
    balancer = Balancer(
        ALGORITHMS[algorithm], [1 if weights == "equal" else 1 + index % 7 for index in range(hosts)]
    )
    for index in range(hosts if algorithm == "peak ewma" else 0):
        balancer.answer(index, 1 + index % 13)
    balancer.wait(50)
    assert benchmark(balancer.pick_often, TIMES) > 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_pick_with_half_of_the_hosts_down(benchmark: BenchmarkFixture, algorithm: str) -> None:
    balancer = Balancer(ALGORITHMS[algorithm], [1 + index % 7 for index in range(1000)])
    balancer.use(range(0, 1000, 2))
    assert benchmark(balancer.pick_often, TIMES) > 0


@pytest.mark.parametrize("algorithm", ["ring hash", "maglev"])
def test_pick_with_bounded_load(benchmark: BenchmarkFixture, algorithm: str) -> None:
    balancer = Balancer(ALGORITHMS[algorithm], [1 + index % 7 for index in range(1000)])
    balancer.load([index % 3 for index in range(1000)])
    balancer.bind(1.25)
    assert benchmark(balancer.pick_often, TIMES) > 0


@pytest.mark.parametrize("algorithm", ["ring hash", "maglev"])
def test_make_a_table_of_1000_hosts(benchmark: BenchmarkFixture, algorithm: str) -> None:
    """What the first request after a change of the endpoints waits for, in each worker."""
    balancer = Balancer(ALGORITHMS[algorithm], [1] * 1000)
    keys = [(index + 1) * 0x9E3779B97F4A7C15 % 2**64 for index in range(1000)]

    def make() -> int:
        balancer.keys(keys)
        return balancer.pick()

    assert benchmark(make) >= 0
