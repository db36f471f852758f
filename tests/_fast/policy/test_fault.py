"""The share of requests that a fault hits."""

import pytest

from tests._fast.policy import rating
from tests.chance import chi_square_limit, deviation

DRAWS = 1_000_000


@pytest.mark.parametrize("share", [1, 10_000, 250_000, 999_999])
def test_as_many_as_were_asked_for(share: int) -> None:
    found = rating.hits(share, DRAWS, share)
    assert deviation([found, DRAWS - found], [share, DRAWS - share]) < chi_square_limit(1)


def test_none_and_all() -> None:
    assert rating.hits(0, DRAWS, 1) == 0
    assert rating.hits(1_000_000, DRAWS, 2) == DRAWS
