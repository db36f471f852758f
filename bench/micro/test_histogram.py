"""How long it takes to count a duration, 1000 times a round.

Run with `./dev test bench/micro`; microseconds a round are nanoseconds a duration.
"""

import os

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests._fast.base import shared_writer as writer
from tulle._fast.base.stats import Stats, create

TIMES = 1000


@pytest.mark.parametrize("series", [1, 1000])
def test_record(benchmark: BenchmarkFixture, series: int) -> None:
    """Durations from microseconds to minutes, into the histogram of one series or of a thousand in turn."""
    descriptor = create(1, 1, 1)
    block = Stats(descriptor)
    block.use_lane(0)
    benchmark(writer.record_often, block, 0, series, TIMES)
    os.close(descriptor)


@pytest.mark.parametrize("series", [1, 1000])
def test_find_a_series(benchmark: BenchmarkFixture, series: int) -> None:
    descriptor = create(1, 1, 1)
    block = Stats(descriptor)
    block.use_lane(0)
    benchmark(writer.find_often, block, 0, series, TIMES)
    os.close(descriptor)
