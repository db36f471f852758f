"""Statistics for tests of what is drawn at random.

Every generator in the tests has a fixed seed, so a test passes always or never; the bound only decides how
far from its expectation a first result may lie to be believed.
"""

import math
from collections.abc import Sequence

SIGMAS = 5.0  # one in 3.5 million for a single normal draw


def deviation(counts: Sequence[int], expected: Sequence[float]) -> float:
    """Pearson's chi-square of counts; where nothing is expected nothing may have been counted."""
    total = 0.0
    for count, mean in zip(counts, expected, strict=True):
        if mean == 0:
            assert count == 0, f"{count} counted where none can be"
        else:
            total += (count - mean) ** 2 / mean
    return total


def chi_square_limit(degrees: int) -> float:
    """What a chi-square of so many degrees exceeds as rarely as a normal draw exceeds SIGMAS.

    The cube root of a chi-square is nearly normal (Wilson and Hilferty).
    """
    if degrees == 0:
        return 1e-9
    spread = 2 / (9 * degrees)
    return degrees * (1 - spread + SIGMAS * math.sqrt(spread)) ** 3
