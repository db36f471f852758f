"""Quantiles of what was usual of late, and when a hedge goes out."""

import random

import pytest

from tests._fast.policy.windows import Window

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
START = 77 * SECOND


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize("typical", [300, 50_000, 20 * MILLISECOND, 3 * SECOND])
def test_a_quantile_is_at_most_an_eighth_too_long(quantile: float, typical: int) -> None:
    draw = random.Random(typical)
    latencies = [int(typical * draw.lognormvariate(0, 1)) for _ in range(5000)]
    window = Window()
    window.record(latencies, START)
    exact = sorted(latencies)[int(quantile * len(latencies)) - 1]
    assert exact <= window.quantile(quantile, START) <= max(exact * 1.126 + 1, exact + 128)


def test_extremes_have_a_bucket() -> None:
    window = Window()
    window.record([0] * 50 + [1 << 63] * 50, START)
    assert window.quantile(0.25, START) == 128
    assert window.quantile(0.75, START) > 3600 * SECOND


@pytest.mark.parametrize(
    ("quantile", "least"), [(0.5, 10), (0.9, 10), (0.95, 20), (0.99, 100), (0.999, 1000)]
)
def test_too_few_tell_nothing(quantile: float, least: int) -> None:
    window = Window()
    assert window.quantile(quantile, START) == 0
    window.record([MILLISECOND] * (least - 1), START)
    assert window.quantile(quantile, START + SECOND) == 0
    window.record([MILLISECOND], START + SECOND)
    assert window.quantile(quantile, START + 2 * SECOND) > MILLISECOND


def test_what_is_old_is_forgotten() -> None:
    window = Window()
    window.record([MILLISECOND] * 100, START)
    window.record([100 * MILLISECOND] * 100, START + 10 * SECOND)
    assert window.quantile(0.25, START + 11 * SECOND) < 2 * MILLISECOND
    assert window.quantile(0.25, START + 20 * SECOND) >= 100 * MILLISECOND
    assert window.quantile(0.25, START + 30 * SECOND) == 0


def test_a_long_silence_forgets_all() -> None:
    window = Window()
    window.record([MILLISECOND] * 100, START)
    assert window.quantile(0.5, START + 60 * SECOND) == 0
    window.record([SECOND] * 100, START + 60 * SECOND)
    assert window.quantile(0.01, START + 61 * SECOND) >= SECOND


def test_it_is_summed_now_and_then() -> None:
    window = Window()
    window.record([MILLISECOND] * 100, START)
    first = window.quantile(0.9, START)
    window.record([SECOND] * 900, START)
    assert window.quantile(0.9, START + 99 * MILLISECOND) == first
    assert window.quantile(0.9, START + 100 * MILLISECOND) >= SECOND


def test_the_delay_of_a_hedge() -> None:
    window = Window()
    assert window.delay(5 * MILLISECOND, 0, 0, START) == 5 * MILLISECOND
    assert window.delay(0, 0.9, 50 * MILLISECOND, START) == 0
    window.record([10 * MILLISECOND] * 100, START)
    later = START + SECOND
    assert window.delay(0, 0.9, 50 * MILLISECOND, later) == 50 * MILLISECOND
    assert window.delay(0, 0.9, MILLISECOND, later) == window.quantile(0.9, later) > 10 * MILLISECOND
    assert window.delay(3 * SECOND, 0, 50 * MILLISECOND, later) == 3 * SECOND
