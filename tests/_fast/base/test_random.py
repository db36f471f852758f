"""The generator gives the published sequence, and what is drawn from it is uniform."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests._fast.base import draws
from tests.chance import chi_square_limit, deviation

WORD = (1 << 64) - 1


def rotated(word: int, by: int) -> int:
    return (word << by | word >> (64 - by)) & WORD


def xoshiro256plus(state: tuple[int, ...]) -> list[int]:
    """The first hundred words after a state."""
    a, b, c, d = state
    found = []
    for _ in range(100):
        found.append((a + d) & WORD)
        c, d = c ^ a, d ^ b
        shifted = b << 17 & WORD
        b, a = b ^ c, a ^ d
        c ^= shifted
        d = rotated(d, 45)
    return found


@given(st.integers(0, WORD))
def test_the_sequence_is_that_of_xoshiro256plus(seed: int) -> None:
    assert draws.words(seed, 100) == xoshiro256plus(draws.state(seed))


def test_neighbouring_seeds_have_nothing_in_common() -> None:
    seen = {word for seed in range(1000) for word in draws.state(seed)}
    assert len(seen) == 4000


@pytest.mark.parametrize("bound", [1, 2, 3, 10, 1000])
def test_numbers_below_a_bound_are_uniform(bound: int) -> None:
    counts = draws.below(bound, bound, 1_000_000)
    assert sum(counts) == 1_000_000
    expected = [1_000_000 / bound] * bound
    assert deviation(counts, expected) < chi_square_limit(bound - 1)


@pytest.mark.parametrize("bound", [0, 1, 2, 9, 10**9, 10**12, 2**53 - 1, 2**53, 2**63, WORD - 1, WORD])
def test_spans_reach_from_zero_to_their_bound(bound: int) -> None:
    found = draws.spans(5, bound, 100_000)
    assert min(found) >= 0
    assert max(found) <= bound
    tenths = [0] * 10
    for span in found:
        tenths[span * 10 // (bound + 1)] += 1
    if bound >= 9:
        assert deviation(tenths, [10_000.0] * 10) < chi_square_limit(9)
    else:
        assert set(found) == set(range(bound + 1))


def test_clocks_are_those_of_the_system() -> None:
    for ours, theirs in ((draws.monotonic, time.monotonic_ns), (draws.wall, time.time_ns)):
        before = theirs()
        now = ours()
        assert before <= now <= theirs()
