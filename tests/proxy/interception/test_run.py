"""`tulle run`: an application begins after its sidecar, and nothing is lost when both end."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.conftest import Start
from tests.proxy.running import PATIENCE, ROOT, Backend, Proxy, config, until

# Notes that it has begun and how ready its sidecar was; on TERM calls out, notes the answer, ends with 7
APPLICATION = """
import http.client, pathlib, signal, socket, sys, time
folder, admin, outbound = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
def ready():
    client = socket.socket(socket.AF_UNIX)
    client.connect(admin)
    client.sendall(b"GET /ready HTTP/1.1\\r\\nhost: a\\r\\nconnection: close\\r\\n\\r\\n")
    return client.makefile("rb").readline().decode()
def end(number, frame):
    client = http.client.HTTPConnection(outbound, timeout=30)
    client.request("GET", "/")
    (folder / "told").write_text(client.getresponse().read().decode())
    sys.exit(7)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGHUP, lambda number, frame: (folder / "hung up").touch())
(folder / "begun.draft").write_text(ready())
(folder / "begun.draft").rename(folder / "begun")
while True:
    signal.pause()
"""
Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def launch() -> Iterator[Launch]:
    """`tulle run` with these words."""
    started = []

    def begin(*words: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "tulle", "run", *words],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield begin
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)


def two_ways(backend: Backend, admin: Path) -> dict[str, Any]:
    listeners = [
        {"name": name, "address": "127.0.0.1:0", "routes": "main"} for name in ("inbound", "outbound-http")
    ]
    return config([backend.address], listeners=listeners, admin={"address": f"unix:{admin}"})


def sidecar(start: Start, backend: Backend, admin: Path) -> Proxy:
    return start(two_ways(backend, admin)).ready()


def test_it_begins_when_the_sidecar_is_ready(
    start: Start, backend: Backend, launch: Launch, tmp_path: Path
) -> None:
    admin = tmp_path / "admin"
    words = [sys.executable, "-c", APPLICATION, str(tmp_path), str(admin), "-"]
    process = launch("--admin", f"unix:{admin}", "--", *words)
    assert not admin.exists()
    proxy = sidecar(start, backend, admin)
    until((tmp_path / "begun").exists, "the application has begun")
    assert "200 OK" in (tmp_path / "begun").read_text()
    process.send_signal(signal.SIGHUP)
    until((tmp_path / "hung up").exists, "HUP was passed on")
    assert proxy.process.poll() is None


def test_nothing_is_lost_when_it_ends(start: Start, backend: Backend, launch: Launch, tmp_path: Path) -> None:
    admin = tmp_path / "admin"
    proxy = sidecar(start, backend, admin)
    outbound = "{}:{}".format(*proxy.place("outbound-http"))
    words = [sys.executable, "-c", APPLICATION, str(tmp_path), str(admin), outbound]
    process = launch("--admin", f"unix:{admin}", "--grace", "30s", "--", *words)
    until((tmp_path / "begun").exists, "the application has begun")
    answers: list[tuple[int, bytes]] = []
    client = threading.Thread(target=lambda: answers.append(proxy.get("/held", "inbound")))
    client.start()
    until(lambda: backend.held, "a request is at work")
    process.send_signal(signal.SIGTERM)
    until(lambda: refuses(proxy.place("inbound")), "nobody new comes in")
    assert not (tmp_path / "told").exists()
    assert proxy.get("/", "outbound-http") == (200, b"backend")
    backend.go.set()
    client.join(PATIENCE)
    assert answers == [(200, b"backend")]
    assert process.wait(PATIENCE) == 7
    assert (tmp_path / "told").read_text() == "backend"
    assert proxy.ended() == 0


def refuses(place: tuple[str, int]) -> bool:
    with socket.socket() as client:
        client.settimeout(PATIENCE)
        return client.connect_ex(place) != 0


def test_a_second_signal_is_passed_on_at_once(
    start: Start, backend: Backend, launch: Launch, tmp_path: Path
) -> None:
    admin = tmp_path / "admin"
    proxy = sidecar(start, backend, admin)
    outbound = "{}:{}".format(*proxy.place("outbound-http"))
    words = [sys.executable, "-c", APPLICATION, str(tmp_path), str(admin), outbound]
    process = launch("--admin", f"unix:{admin}", "--grace", "10m", "--keep-sidecar", "--", *words)
    until((tmp_path / "begun").exists, "the application has begun")
    with socket.create_connection(proxy.place("inbound"), PATIENCE) as client:
        client.sendall(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: backend.held, "a request is at work")
        process.send_signal(signal.SIGTERM)
        until(lambda: refuses(proxy.place("inbound")), "the first was heard")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 7
    assert proxy.process.poll() is None


@pytest.mark.parametrize(("script", "status"), [("exit 3", 3), ("kill -KILL $$", 137), ("true", 0)])
def test_the_exit_status_is_the_applications(
    start: Start, backend: Backend, launch: Launch, tmp_path: Path, script: str, status: int
) -> None:
    admin = tmp_path / "admin"
    proxy = sidecar(start, backend, admin)
    process = launch("--admin", f"unix:{admin}", "--", "sh", "-c", script)
    assert process.wait(PATIENCE) == status
    assert proxy.ended() == 0


def test_without_a_sidecar_nothing_is_begun(launch: Launch, tmp_path: Path) -> None:
    words = ("--admin", f"unix:{tmp_path}/none", "--", "touch", str(tmp_path / "begun"))
    process = launch("--wait", "1ms", *words)
    assert process.wait(PATIENCE) == 1
    assert process.stderr is not None
    assert "the sidecar was not ready within 0.001 s" in process.stderr.read()
    process = launch("--wait", "10m", *words)
    # Its signals are blocked while it waits: from then on TERM ends the waiting, whenever it comes
    until(lambda: blocks_term(process.pid), "it waits", 3 * PATIENCE)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert not (tmp_path / "begun").exists()


def blocks_term(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigBlk:")), 16)
    return bool(mask >> (signal.SIGTERM - 1) & 1)


def test_what_cannot_be_run_is_said(start: Start, backend: Backend, launch: Launch, tmp_path: Path) -> None:
    sidecar(start, backend, tmp_path / "admin")
    process = launch("--admin", f"unix:{tmp_path}/admin", "--", str(tmp_path / "none"))
    assert process.wait(PATIENCE) == 1
    assert process.stderr is not None
    assert "cannot run" in process.stderr.read()
