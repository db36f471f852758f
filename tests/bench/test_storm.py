"""Goodput and recovery, from answers that are made up."""

import math

import pytest

from bench.load.result import Stamp
from bench.scenarios.storm import back_after, goodput


def test_goodput_is_counted_by_the_time_of_the_answer() -> None:
    stamps = [Stamp(0, answered) for answered in (9.9, 10.0, 10.2, 10.26, 10.74, 10.76)]
    assert goodput(stamps, 10.0, 3) == [8, 4, 4]


def test_goodput_is_back_when_it_stays() -> None:
    assert back_after([0, 100, 0, 0, 95, 90, 85, 95, 100], 100, 100) == pytest.approx(1.25)
    assert back_after([100] * 8, 100, 100) == pytest.approx(0.25)


def test_goodput_that_comes_and_goes_is_not_back() -> None:
    assert math.isinf(back_after([100, 0] * 6, 100, 100))
    assert math.isinf(back_after([0] * 12, 100, 100))


def test_what_was_not_there_cannot_come_back() -> None:
    assert math.isnan(back_after([0] * 12, 0, 100))
    assert math.isnan(back_after([100] * 12, 49, 100))
