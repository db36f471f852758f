"""How long the timer wheel takes, with 10,000 timers, 1000 operations a round.

Run with `./dev test bench/micro`; microseconds a round are nanoseconds an operation.
"""

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests._fast.base.wheel import Crowd

TIMES = 1000
TIMERS = 10_000
SECOND = 1_000_000_000
OPERATIONS: dict[str, Callable[[Crowd], object]] = {
    "move": lambda crowd: crowd.move_often(60 * SECOND, TIMES),
    "set and remove": lambda crowd: crowd.file_often(15 * SECOND, TIMES),
    "set and fire": lambda crowd: crowd.run_often(SECOND // 100, TIMES),
    "next": lambda crowd: crowd.next_often(TIMES),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_timer(benchmark: BenchmarkFixture, operation: str) -> None:
    crowd = Crowd(TIMERS)
    crowd.move_often(60 * SECOND, 10 * TIMERS)  # nearly all are filed, as in a worker with many connections
    benchmark(OPERATIONS[operation], crowd)
