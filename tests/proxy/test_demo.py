"""The demo as people run it, and the parts of it that can go wrong unseen."""

import asyncio
import contextlib
import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.demos import PATIENCE, Start, all_gone, demos, printed, session_members
from tulle.controlplane.load import load_config
from tulle.proxy.demo import mesh, processes
from tulle.proxy.demo.counters import Counters
from tulle.proxy.demo.figures import Figures, Sample, quantile
from tulle.proxy.demo.paint import Span, Style, paint

SECONDS = re.compile(
    r"\d+:\d\d shop (?P<rate>\d+)/s p50 \S+ ms p99 \S+ ms v1 \d+ % v2 (?P<new>\d+) % failed (?P<failed>\d+)"
    r" \| reports \d+/s p50 \S+ ms p99 \S+ ms retries \S+ overflow \S+/s errors \S+/s"
)
RELOADED = re.compile(r"\d+:\d\d reloaded: (\d+/\d+) \(v1/v2\), served by every worker after \d+ ms")

pytestmark = pytest.mark.timeout(3 * PATIENCE)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with demos(tmp_path) as start:
        yield start


def lines_until_it_runs(demo: subprocess.Popen[str]) -> list[str]:
    """Everything up to the first line with figures."""
    assert demo.stdout
    lines: list[str] = []
    for line in demo.stdout:
        lines.append(line.rstrip())
        if SECONDS.fullmatch(lines[-1]):
            return lines
    pytest.fail(f"the demo has left: {lines}")


def test_a_short_run_ends_by_itself_and_leaves_nothing(start: Start, tmp_path: Path) -> None:
    demo = start("--seconds", "2", "--rate", "100")
    output, errors = demo.communicate(timeout=PATIENCE)
    assert (demo.returncode, errors) == (0, "")
    seconds = [match for line in output.splitlines() if (match := SECONDS.fullmatch(line))]
    assert len(seconds) in (1, 2)
    assert re.search(r"requests to the shop, \S+ reloads? while they flowed: 0 failed\.", output)
    assert re.search(
        r"to the reports: \d+ retr(y|ies), \d+ turned away by the circuit breaker, \d+ errors?\.", output
    )
    assert all_gone(demo.pid)
    assert list(tmp_path.iterdir()) == []


def test_every_step_is_shown_and_no_request_fails(start: Start) -> None:
    demo = start("--step", "1.5", "--rate", "100")
    assert demo.stdout
    splits: list[str] = []
    shares: set[int] = set()
    for line in demo.stdout:
        if reloaded := RELOADED.fullmatch(line.rstrip()):
            splits.append(reloaded[1])
        elif figures := SECONDS.fullmatch(line.rstrip()):
            assert int(figures["failed"]) == 0
            shares.add(int(figures["new"]))
        if len(splits) >= 3 and max(shares) > 90 and min(shares) < 35:
            break
    assert splits[:3] == ["50/50", "0/100", "50/50"]
    demo.send_signal(signal.SIGINT)
    assert re.search(r"\d+ reloads while they flowed: 0 failed\.", demo.communicate(timeout=PATIENCE)[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    demo = start("--step", "0")
    lines_until_it_runs(demo)
    assert len(session_members(demo.pid)) > 5
    demo.send_signal(number)
    output, errors = demo.communicate(timeout=PATIENCE)
    assert (demo.returncode, errors) == (0, "")
    assert "0 reloads while they flowed: 0 failed." in output
    assert all_gone(demo.pid)
    assert list(tmp_path.iterdir()) == []


def test_nothing_outlives_a_demo_that_is_killed(start: Start) -> None:
    demo = start("--step", "0")
    lines_until_it_runs(demo)
    demo.kill()
    assert all_gone(demo.pid)


def test_its_configuration_may_be_changed_by_hand(start: Start) -> None:
    demo = start("--step", "0")
    lines = lines_until_it_runs(demo)
    file, pid = printed(lines, r"less (\S+)"), int(printed(lines, r"kill -HUP (\d+)"))
    text = Path(file).read_text()
    assert "{cluster: shop-v2, weight: 10}" in text
    mesh.write(Path(file), text.replace("weight: 10}", "weight: ten}"))
    os.kill(pid, signal.SIGHUP)
    wait_for(demo, "the sidecar says: reload refused; version 1 serves on")
    mesh.write(Path(file), text.replace("weight: 90}", "weight: 0}"))
    os.kill(pid, signal.SIGHUP)
    wait_for(demo, "the sidecar says: reloaded")
    wait_for(demo, "v1 0 % v2 100 %")
    demo.terminate()
    assert "1 reload while they flowed: 0 failed." in demo.communicate(timeout=PATIENCE)[0]


def test_a_sidecar_that_dies_ends_the_demo(start: Start, tmp_path: Path) -> None:
    demo = start("--step", "0")
    os.kill(int(printed(lines_until_it_runs(demo), r"kill -HUP (\d+)")), signal.SIGKILL)
    _, errors = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 1
    assert "the sidecar has left; it says:" in errors
    assert "Traceback" not in errors
    assert all_gone(demo.pid)
    assert list(tmp_path.iterdir()) == []


def wait_for(demo: subprocess.Popen[str], text: str) -> None:
    """Read lines until one has this text."""
    assert demo.stdout
    for line in demo.stdout:
        if text in line:
            return
    pytest.fail(f"the demo has left without a word of {text!r}")


def test_a_terminal_is_drawn_on_in_place_and_without_colours_when_asked(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TERM": "xterm", "NO_COLOR": "1"}
    demo = subprocess.Popen(
        [sys.executable, "-m", "tulle", "demo", "--seconds", "2"],
        stdout=terminal,
        stderr=terminal,
        env=environment,
        start_new_session=True,
    )
    os.close(terminal)
    seen = b""
    while data := read_terminal(controller):
        seen += data
    os.close(controller)
    assert demo.wait(timeout=PATIENCE) == 0
    text = seen.decode()
    assert re.search(r" shop +[1-9]\d* requests/s", text)
    assert re.search(r"\x1b\[\d+A", text)
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert not re.search(r"\x1b\[[0-9;]*m", text)
    assert all_gone(demo.pid)


def read_terminal(controller: int) -> bytes:
    """Empty once the other side has closed, which a terminal reports as an error."""
    try:
        return os.read(controller, 65536)
    except OSError:
        return b""


def test_the_commands_that_it_prints_work(start: Start, program: Callable[[str], str]) -> None:
    curl = program("curl")
    demo = start("--step", "0")
    commands = [
        shlex.split(re.split(" {2,}", line.strip())[0])
        for line in lines_until_it_runs(demo)
        if line.startswith("   curl") and "http" in line
    ]
    assert len(commands) == 6
    split, canary, reports, moved, alive, metrics = [
        subprocess.run(
            [curl, "-sS", "-m", "10", *words[1:]], capture_output=True, text=True, check=True
        ).stdout
        for words in commands
    ]
    assert split in ("this is shop-v1\n", "this is shop-v2\n")
    assert canary == "this is shop-v2\n"
    assert reports.startswith(("HTTP/1.1 200 OK", "HTTP/1.1 503 "))
    assert moved.startswith("HTTP/1.1 301 ")
    assert alive == "yes"
    assert 'tulle_retries_total{cluster="reports"' in metrics


def test_a_port_in_use_is_told_and_everything_is_taken_down(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = start("--port", str(port))
        output, errors = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: the port is in use" in errors
    assert "Traceback" not in errors
    assert output == ""
    assert all_gone(demo.pid)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [["--rate", "0"], ["--seconds", "soon"], ["--port", "70000"]])
def test_wrong_options_are_refused(start: Start, options: list[str]) -> None:
    demo = start(*options)
    _, errors = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 2
    assert "is not a number from" in errors


@pytest.mark.parametrize("share", [0, 10, 100])
def test_the_configuration_is_valid(tmp_path: Path, share: int) -> None:
    addresses = mesh.Addresses(*(f"127.0.0.1:{port}" for port in range(9001, 9006)))
    file = tmp_path / "tulle.yaml"
    mesh.write(file, mesh.configuration(addresses, share))
    loaded = load_config(file)
    assert loaded.warnings == []
    weights = {backend.cluster: backend.weight for backend in loaded.config.routes["main"][1].backends}
    assert weights == {mesh.OLD: 100 - share, mesh.NEW: share}
    assert [path.name for path in tmp_path.iterdir()] == ["tulle.yaml"]


def test_free_ports_avoids_those_that_are_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = processes.free_ports(port, port)
    assert port not in found
    assert len(set(found)) == 2


def test_figures_are_of_the_last_seconds_and_sums_of_all() -> None:
    figures = Figures(0.0)
    for second in range(20):
        figures.record(Sample(second + 0.5, 0.001, 200, "a", False))
        figures.record(Sample(second + 0.6, 0.1, 503, "", True))
    figures.record(Sample(19.7, 0.002, 502, "b", False))
    recent = figures.recent(20.0)
    assert (figures.total, figures.turned_away, figures.failed) == (41, 20, 1)
    assert recent.rate == pytest.approx(11 / 5)
    assert recent.turned_away == pytest.approx(1.0)
    assert recent.failed == pytest.approx(1 / 5)
    assert recent.share("a") == pytest.approx(5 / 6)
    assert (recent.median, recent.p99) == (0.002, 0.1)
    assert figures.recent(20.0, 1.0).rate == pytest.approx(3.0)


def test_quantile_takes_the_nearest_rank() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert (quantile(ordered, 0.5), quantile(ordered, 0.99), quantile([], 0.5)) == (51.0, 100.0, 0.0)


def test_counters_are_read_from_the_admin_pages() -> None:
    pages: dict[str, dict[str, Any]] = {
        "/clusters?format=json": {"reports": {"retries": 7}, "shop-v1": {"retries": 11}},
        "/memory?format=json": {"Pss": 12_345_678, "processes": {}},
    }

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while request := await reader.readuntil(b"\r\n\r\n"):
                body = json.dumps(pages[request.split()[1].decode()]).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    async def read() -> Counters:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            counters = Counters(server.sockets[0].getsockname()[:2], "reports")
            await counters.read()
            pages["/clusters?format=json"]["reports"]["retries"] = 9
            await counters.read()
        await counters.read()  # nobody listens any more: nothing is added
        return counters

    counters = asyncio.run(read())
    assert [reading.retries for reading in counters.readings] == [7, 9]
    assert counters.last is not None
    assert counters.last.memory == 12_345_678
    assert counters.retry_rate() == 2 / (counters.readings[1].at - counters.readings[0].at)


def test_painting_cuts_at_the_width_and_colours_only_when_wanted() -> None:
    line = [Span("abc", Style.BAD), Span("def"), Span("ghi", Style.OLD)]
    assert paint(line, 5, colours=False) == "abcde"
    assert paint(line, 5, colours=True) == "\x1b[31mabc\x1b[0mde"
