"""Whether a limit was kept, from answers that are made up."""

import pytest

from bench.demand import RateLimit
from bench.load.result import Stamp
from bench.scenarios.limit import above

LIMIT = RateLimit(requests=10, burst=5)


def at(*moments: float, taking: float = 0.001) -> list[Stamp]:
    return [Stamp(moment, moment + taking) for moment in moments]


def test_a_burst_and_then_the_rate_is_just_what_is_allowed() -> None:
    kept = at(*[1.0] * 5, *(1 + place / 10 for place in range(1, 30)), taking=0)
    assert above(kept, LIMIT) == pytest.approx(0)
    assert above(at(*[1.0] * 6), LIMIT) == pytest.approx(1, abs=0.02)


def test_a_window_in_the_middle_is_found() -> None:
    moments = [place / 5 for place in range(50)] + [4.03] * 8
    assert above(at(*moments), LIMIT) > 3
    assert above(at(*moments[:50]), LIMIT) < 0


def test_a_request_counts_only_where_it_lies_as_a_whole() -> None:
    """Eight answers come at once; as their requests were written over a second, all may have been allowed."""
    stamps = [Stamp(place / 8, 1.0) for place in range(8)]
    assert above(stamps, LIMIT) < 0
