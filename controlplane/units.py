"""Quantities as people write them: durations and sizes, read into nanoseconds and bytes."""

import re
from functools import lru_cache

END = r"(?![\s\S])"  # `$` lets a newline through in Python, `\Z` is unknown to JSON Schema
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h|d))+" + END
SIZE_PATTERN = r"^[0-9]+(B|KiB|MiB|GiB)?" + END
LONGEST_DURATION = 366 * 24 * 3600 * 1_000_000_000
LARGEST_SIZE = 1 << 50

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60 * 1_000_000_000,
    "h": 3600 * 1_000_000_000,
    "d": 86400 * 1_000_000_000,
}
_BYTES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_DURATION = re.compile(DURATION_PATTERN)
_DURATION_PART = re.compile(r"([0-9]+)(?:\.([0-9]+))?(ns|us|ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]+)(B|KiB|MiB|GiB)?")


@lru_cache(maxsize=4096)
def nanoseconds(text: str) -> int:
    """`1h30m`, `1.5s`, `250ms` as nanoseconds; ValueError when it is none or longer than a year."""
    if not _DURATION.match(text):
        raise ValueError(f"{text!r} is not a duration; write a number and a unit, as in 250ms, 15s or 1h30m")
    total = 0
    for whole, fraction, unit in _DURATION_PART.findall(text):
        total += int(whole) * _NANOSECONDS[unit]
        if fraction:
            total += int(fraction) * _NANOSECONDS[unit] // 10 ** len(fraction)
    if total > LONGEST_DURATION:
        raise ValueError(f"{text!r} is longer than a year")
    return total


@lru_cache(maxsize=4096)
def size_in_bytes(value: int | str) -> int:
    """`65536`, `64KiB`, `1MiB` as bytes; ValueError when it is none or beyond 1 PiB."""
    match = _SIZE.fullmatch(str(value))
    if not match:
        raise ValueError(f"{value!r} is not a size; write bytes or a unit too, as in 65536, 64KiB or 1MiB")
    total = int(match[1]) * _BYTES[match[2] or ""]
    if total > LARGEST_SIZE:
        raise ValueError(f"{value!r} is larger than any memory")
    return total


def duration_text(value: int) -> str:
    """Nanoseconds in the largest unit that keeps them whole: `1500ms`, `90s`."""
    for unit in ("d", "h", "m", "s", "ms", "us"):
        if value and value % _NANOSECONDS[unit] == 0:
            return f"{value // _NANOSECONDS[unit]}{unit}"
    return f"{value}ns" if value else "0s"
