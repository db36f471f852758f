"""Lines go from the rings to the descriptor whole, in order and once."""

import os
from pathlib import Path

import pytest

from tests._fast.base import shared_writer as writer
from tulle._fast.base import figures, log_reader
from tulle._fast.base.stats import Stats

RING = 1 << 20


def test_lines_of_all_lanes_come_once(stats: Stats, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as sink:
        for lane in range(4):
            assert writer.append(stats, lane, b"lane %d\n" % lane)
        assert log_reader.waiting(stats) == 28
        assert log_reader.drain(stats, sink.fileno()) == 28
        assert log_reader.drain(stats, sink.fileno()) == 0
    assert (tmp_path / "log").read_bytes() == b"lane 0\nlane 1\nlane 2\nlane 3\n"


def test_a_ring_that_wraps_round(stats: Stats, tmp_path: Path) -> None:
    line = b"x" * 699 + b"\n"
    count = 0
    with (tmp_path / "log").open("wb") as sink:
        while count * len(line) < 3 * RING:
            while writer.append(stats, 0, line):
                count += 1
            assert log_reader.drain(stats, sink.fileno()) > RING - len(line)
    assert (tmp_path / "log").read_bytes() == line * count
    assert figures.totals(stats)["log_dropped"] == 4


def test_a_sink_that_takes_part_gets_the_rest_later(stats: Stats) -> None:
    reader, sink = os.pipe2(os.O_NONBLOCK)
    try:
        lines = b"".join(b"line %06d\n" % number for number in range(20_000))
        for line in lines.splitlines(keepends=True):
            assert writer.append(stats, 2, line)
        got = b""
        for _ in range(1000):
            try:
                log_reader.drain(stats, sink)
            except BlockingIOError:
                got += os.read(reader, 1 << 16)
            if not log_reader.waiting(stats):
                break
        while len(got) < len(lines):
            got += os.read(reader, 1 << 16)
        assert got == lines
    finally:
        os.close(reader)
        os.close(sink)


def test_a_full_disk_is_an_error_and_loses_nothing(stats: Stats, tmp_path: Path) -> None:
    writer.append(stats, 0, b"kept\n")
    with Path("/dev/full").open("wb") as full, pytest.raises(OSError, match="access log"):
        log_reader.drain(stats, full.fileno())
    with (tmp_path / "log").open("wb") as sink:
        assert log_reader.drain(stats, sink.fileno()) == 5
    assert (tmp_path / "log").read_bytes() == b"kept\n"
