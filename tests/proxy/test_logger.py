"""The access log: whole, in order, and never in the way of traffic."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests._fast.base import shared_writer as writer
from tests.proxy.conftest import Start
from tests.proxy.running import Backend, Proxy, config, until
from tulle._fast.base import figures, log_reader
from tulle._fast.base.stats import Stats, create
from tulle.proxy.logger import Logger


@pytest.fixture
def stats() -> Iterator[Stats]:
    descriptor = create(2, 16, 16)
    block = Stats(descriptor)
    block.use_lane(1)
    yield block
    os.close(descriptor)


@pytest.fixture
def logger(stats: Stats) -> Iterator[Logger]:
    signalled = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    running = Logger(stats, signalled)
    yield running
    running.stop()
    os.close(signalled)


def append(logger: Logger, line: bytes) -> None:
    """As a worker does: a line, and a wake-up for who may sleep."""
    assert writer.append(logger.stats, 1, line)
    os.eventfd_write(logger.signal, 1)


def lines(proxy: Proxy, count: int) -> list[dict[str, Any]]:
    """The first lines on its standard output."""
    until(lambda: proxy.output.read_text().count("\n") >= count, f"{count} lines")
    return [json.loads(line) for line in proxy.output.read_text().splitlines()]


def test_lines_reach_the_file_in_order(logger: Logger, tmp_path: Path) -> None:
    file = tmp_path / "log"
    logger.use(str(file))
    for number in range(200):
        append(logger, b"line %d\n" % number)
    expected = "".join(f"line {number}\n" for number in range(200))
    until(lambda: file.exists() and file.read_text() == expected, "all lines are written")
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_rotated_file_is_opened_anew(logger: Logger, tmp_path: Path) -> None:
    file, rotated = tmp_path / "log", tmp_path / "log.1"
    logger.use(str(file))
    append(logger, b"before\n")
    until(lambda: file.exists() and file.read_text(), "the first line is written")
    file.rename(rotated)
    logger.reopen()
    append(logger, b"after\n")
    until(lambda: file.exists() and file.read_text() == "after\n", "the second line is written anew")
    assert rotated.read_text() == "before\n"


def test_a_failing_sink_is_told_once_and_keeps_lines(
    logger: Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "missing" / "log"
    logger.use(str(file))
    append(logger, b"kept\n")
    until(lambda: logger.failing, "the failure is seen")
    append(logger, b"too\n")
    until(lambda: not logger.reopening, "the logger goes on")
    file.parent.mkdir()
    logger.reopen()
    until(lambda: file.exists() and file.read_text() == "kept\ntoo\n", "the lines are written after all")
    until(lambda: not logger.failing, "the recovery is seen")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "No such file or directory" in said[0]
    assert said[1].endswith("written again")


def test_a_full_disk_drops_what_does_not_fit_and_counts_it(logger: Logger) -> None:
    logger.use("/dev/full")
    line = b"x" * 1023 + b"\n"
    append(logger, line)
    until(lambda: logger.failing == "No space left on device", "the failure is seen")
    while writer.append(logger.stats, 1, line):
        pass
    assert figures.totals(logger.stats)["log_dropped"] == 1
    assert log_reader.waiting(logger.stats) == 1 << 20


def test_a_slow_sink_is_waited_for(logger: Logger) -> None:
    reader, sink = os.pipe2(os.O_NONBLOCK)
    try:
        logger.use(f"/proc/self/fd/{sink}")
        expected = b"".join(b"%05d" % number + b"x" * 994 + b"\n" for number in range(500))
        for line in expected.splitlines(keepends=True):
            append(logger, line)
        got = b""

        def more() -> bool:
            nonlocal got
            try:
                got += os.read(reader, 1 << 16)
            except BlockingIOError:
                return False
            return len(got) == len(expected)

        until(more, "all lines come")
        assert got == expected
        assert not logger.failing
    finally:
        logger.stop()
        os.close(reader)
        os.close(sink)


def test_stop_writes_the_last_lines(logger: Logger, tmp_path: Path) -> None:
    file = tmp_path / "log"
    logger.use(str(file))
    for number in range(1000):
        writer.append(logger.stats, 1, b"%d\n" % number)
    logger.stop()
    assert file.read_text().count("\n") == 1000


def test_stop_waits_no_longer_than_a_moment_for_a_sink_that_blocks(logger: Logger) -> None:
    reader, sink = os.pipe()
    try:
        logger.use(f"/proc/self/fd/{sink}")
        while writer.append(logger.stats, 1, b"x" * 1023 + b"\n"):
            pass
        os.eventfd_write(logger.signal, 1)
        stopping = threading.Thread(target=logger.stop)
        stopping.start()
        stopping.join(10)
        assert not stopping.is_alive()
    finally:
        os.close(reader)  # ends the write that blocks
        os.close(sink)


def test_a_proxy_logs_to_its_standard_output(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], access_log={"path": "/dev/stdout"})).ready()
    assert proxy.get("/a?b=c") == (200, b"backend")
    (line,) = lines(proxy, 1)
    assert (line["method"], line["path"], line["response_code"]) == ("GET", "/a?b=c", 200)
    assert line["upstream_cluster"] == "v1"


def test_a_signal_reopens_the_file_of_a_proxy(start: Start, backend: Backend, tmp_path: Path) -> None:
    file, rotated = tmp_path / "access.log", tmp_path / "access.log.1"
    proxy = start(config([backend.address], access_log={"path": str(file), "format": "text"})).ready()
    proxy.get("/one")
    until(lambda: file.exists() and "/one" in file.read_text(), "the first line")
    file.rename(rotated)
    proxy.signal(signal.SIGUSR1)
    until(file.exists, "the file is made anew")
    proxy.get("/two")
    until(lambda: "/two" in file.read_text(), "the second line")
    assert "/two" not in rotated.read_text()


def test_a_full_disk_holds_up_no_traffic(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], access_log={"path": "/dev/full"})).ready()
    for _ in range(3):
        assert proxy.get() == (200, b"backend")
    proxy.wait_for("access log /dev/full: No space left on device")
    assert proxy.said().count("No space left") == 1
    proxy.signal(signal.SIGTERM)
    assert proxy.ended() == 0


def test_the_log_can_be_turned_on_and_off(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], access_log={"format": "off"})).ready()
    proxy.get("/unseen")
    proxy.reload(config([backend.address], access_log={"path": "/dev/stdout"}))
    proxy.get("/seen")
    assert [line["path"] for line in lines(proxy, 1)] == ["/seen"]
    proxy.reload(config([backend.address], access_log={"format": "off"}))
    proxy.get("/unseen")
    proxy.signal(signal.SIGTERM)
    assert proxy.ended() == 0
    assert len(lines(proxy, 1)) == 1
