"""Durations and sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.controlplane.units import duration_text, nanoseconds, size_in_bytes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250ms", 250_000_000),
        ("15s", 15_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1.5s", 1_500_000_000),
        ("0s", 0),
        ("7us", 7_000),
        ("1d", 86_400_000_000_000),
    ],
)
def test_durations(text: str, value: int) -> None:
    assert nanoseconds(text) == value


@pytest.mark.parametrize("text", ["", "15", "s", "-1s", "1 s", "1S", "1.s", "2y", "400d", "1s\n"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        nanoseconds(text)


@given(st.integers(0, 300 * 86_400_000_000_000))
def test_duration_text_reads_back(value: int) -> None:
    assert nanoseconds(duration_text(value)) == value


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0), ("64KiB", 65536), ("1MiB", 1 << 20), ("7B", 7), ("12", 12)]
)
def test_sizes(value: int | str, expected: int) -> None:
    assert size_in_bytes(value) == expected


@pytest.mark.parametrize("value", ["", "1KB", "1kib", "-1", "1.5MiB", "99999999GiB", "1B\n"])
def test_what_is_no_size(value: str) -> None:
    with pytest.raises(ValueError, match=r"size|larger"):
        size_in_bytes(value)
