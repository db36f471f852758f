"""Checks of values that are read only when the types are right: durations and sizes."""

from collections.abc import Mapping, Sequence

from tulle.controlplane.findings import Report
from tulle.controlplane.problems import Path
from tulle.controlplane.units import nanoseconds, size_in_bytes

# what frames the message, or speaks for one connection only (RFC 9110 section 7.6.1)
FRAMING_FIELDS = frozenset(
    {"connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade", "http2-settings", "expect"}
)  # fmt: skip
LEAST_HEAD = 1024
MOST_HEAD = 96 << 10  # a head has to lie in one large buffer, with what is added to it


def check_durations(
    options: Mapping[str, str | None], path: Path, positive: Sequence[str], report: Report
) -> None:
    """Durations by their key; those of `positive` may not be 0."""
    for key, text in options.items():
        if text is None:
            continue
        try:
            value = nanoseconds(text)
        except ValueError as error:
            report.error("duration", (*path, key), str(error))
            continue
        if value == 0 and key in positive:
            report.error("duration", (*path, key), "must be longer than 0s")


def check_size(value: int | str, path: Path, least: int, most: int, report: Report) -> None:
    try:
        size = size_in_bytes(value)
    except ValueError as error:
        report.error("size", path, str(error))
        return
    if not least <= size <= most:
        report.error("size", path, f"{value} is out of range: it must be from {least:,} to {most:,} bytes")
