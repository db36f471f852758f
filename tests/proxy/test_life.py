"""How a proxy begins, serves and leaves."""

import os
import resource
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.conftest import Start
from tests.proxy.running import PATIENCE, Backend, config, until
from tulle.proxy import loop
from tulle.proxy.loop import Future
from tulle.proxy.master import unless_told_to_leave
from tulle.proxy.waiting import Queue, Timeout


def test_it_serves_and_leaves_nothing(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], workers=2)).ready()
    assert proxy.get() == (200, b"backend")
    assert len(proxy.workers()) == 2
    proxy.signal(signal.SIGTERM)
    assert proxy.ended() == 0
    assert proxy.gone()


def test_it_runs_without_a_file(start: Start, backend: Backend) -> None:
    proxy = start(None, "--listen", "127.0.0.1:0", "--to", backend.address, "--workers", "1").ready()
    assert proxy.get(name="listener") == (200, b"backend")
    proxy.signal(signal.SIGHUP)
    proxy.wait_for("there is no file to reload")
    assert proxy.get(name="listener") == (200, b"backend")


def test_a_request_at_work_is_finished_before_it_leaves(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address])).ready()
    answers: list[Any] = []
    client = threading.Thread(target=lambda: answers.append(proxy.get("/held")))
    client.start()
    until(lambda: backend.held, "the request reaches the backend")
    proxy.signal(signal.SIGTERM)
    proxy.wait_for("draining")
    assert proxy.get("/ready", "admin") == (503, b"DRAINING\n")
    with pytest.raises(ConnectionError):
        proxy.get()
    backend.go.set()
    client.join(PATIENCE)
    assert answers == [(200, b"backend")]
    assert proxy.ended() == 0


def test_a_second_signal_ends_it_at_once(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], drain_timeout="1h")).ready()
    with socket.create_connection(proxy.place("web")) as client:
        client.sendall(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: backend.held, "the request reaches the backend")
        proxy.signal(signal.SIGINT)
        proxy.wait_for("draining")
        proxy.signal(signal.SIGTERM)
        assert proxy.ended() == 0
        assert proxy.gone()


def test_drain_timeout_is_the_most_that_it_waits(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], drain_timeout="200ms")).ready()
    with socket.create_connection(proxy.place("web")) as client:
        client.sendall(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: backend.held, "the request reaches the backend")
        proxy.signal(signal.SIGTERM)
        assert proxy.ended() == 0


def test_workers_finish_and_leave_when_the_master_is_killed(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], workers=2)).ready()
    with socket.create_connection(proxy.place("web"), timeout=PATIENCE) as client:
        client.sendall(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: backend.held, "the request reaches the backend")
        proxy.signal(signal.SIGKILL)
        proxy.process.wait()
        backend.go.set()
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    until(lambda: not proxy.session(), "all have left")


def test_the_pid_file_is_there_while_it_serves(start: Start, backend: Backend, tmp_path: Path) -> None:
    file = tmp_path / "tulle.pid"
    proxy = start(config([backend.address]), "--pid-file", str(file)).ready()
    assert int(file.read_text()) == proxy.pid
    proxy.signal(signal.SIGTERM)
    assert proxy.ended() == 0
    assert not file.exists()


def test_a_signal_ends_it_while_it_compiles(start: Start, tmp_path: Path) -> None:
    pipe = tmp_path / "tulle.json"
    os.mkfifo(pipe)
    proxy = start(None, "-c", str(pipe))
    with pipe.open("w"):  # the child reads, and waits for more
        proxy.signal(signal.SIGTERM)
        proxy.ended()
        assert proxy.gone()


def test_a_signal_ends_it_before_it_was_ready() -> None:
    async def scenario(*numbers: signal.Signals) -> bool:
        async def begin() -> None:
            await Future()

        signals: Queue[signal.Signals] = Queue()
        for number in numbers:
            signals.put(number)
        async with Timeout(PATIENCE):
            return await unless_told_to_leave(begin(), signals)

    assert not loop.run(scenario(signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM))


def test_a_signal_that_came_as_it_got_ready_is_not_lost() -> None:
    async def scenario() -> signal.Signals:
        signals: Queue[signal.Signals] = Queue()

        async def begin() -> None:
            signals.put(signal.SIGTERM)

        if await unless_told_to_leave(begin(), signals):
            return await signals.get()
        return signal.SIGTERM

    assert loop.run(scenario()) is signal.SIGTERM


def test_what_a_killed_proxy_left_is_removed_by_the_next(start: Start, backend: Backend) -> None:
    killed = start(config([backend.address])).ready()
    (left,) = killed.runtime.glob("tulle/*.sock")
    killed.signal(signal.SIGKILL)
    killed.process.wait()
    start(config([backend.address]), environment={"XDG_RUNTIME_DIR": str(killed.runtime)}).ready()
    assert not left.exists()


def test_a_pid_file_that_cannot_be_written_is_told(start: Start, backend: Backend, tmp_path: Path) -> None:
    proxy = start(config([backend.address]), "--pid-file", str(tmp_path / "missing" / "tulle.pid"))
    assert proxy.ended() == 1
    assert proxy.said().count("\n") == 1
    assert "cannot write the PID file" in proxy.said()
    assert proxy.gone()


def test_the_service_manager_is_told(start: Start, backend: Backend, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(PATIENCE)
        manager.bind(str(tmp_path / "notify"))
        proxy = start(config([backend.address]), environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert manager.recv(4096).splitlines()[:2] == [b"READY=1", b"MAINPID=%d" % proxy.pid]
        assert proxy.ready().get() == (200, b"backend")
        proxy.signal(signal.SIGHUP)
        reloading = manager.recv(4096).splitlines()
        assert reloading[0] == b"RELOADING=1"
        assert reloading[1].startswith(b"MONOTONIC_USEC=")
        assert manager.recv(4096).startswith(b"READY=1\n")
        proxy.signal(signal.SIGTERM)
        assert manager.recv(4096).startswith(b"STOPPING=1\n")


def test_a_port_in_use_is_one_clear_line(start: Start, backend: Backend) -> None:
    listeners = [{"name": "web", "address": backend.address, "routes": "main"}]
    proxy = start(config([backend.address], listeners=listeners))
    assert proxy.ended() == 1
    assert proxy.said().count("\n") == 1
    assert f"cannot listen on {backend.address}: the port is in use" in proxy.said()
    assert proxy.gone()


def test_all_errors_of_a_configuration_are_told(start: Start) -> None:
    proxy = start(config(["nowhere"], drain_timeout="soon", listenerz=[]))
    assert proxy.ended() == 1
    for word in ("nowhere", "soon", "listenerz"):
        assert word in proxy.said()
    assert "Traceback" not in proxy.said()


@pytest.mark.parametrize("kind", ["missing.json", "folder.json", "ending.xml"])
def test_a_configuration_that_cannot_be_read_is_one_line(start: Start, tmp_path: Path, kind: str) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "ending.xml").write_text("<a/>")
    proxy = start(None, "-c", str(tmp_path / kind))
    assert proxy.ended() == 1
    assert proxy.said().count("\n") == 1
    assert str(tmp_path / kind) in proxy.said()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_configuration_without_permission_is_one_line(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "secret.json"
    file.write_text("{}")
    file.chmod(0)
    proxy = start(None, "-c", str(file))
    assert proxy.ended() == 1
    assert "Permission denied" in proxy.said()


def test_a_unix_socket_is_served_and_removed(start: Start, backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))  # left by a proxy that was killed
    listeners = [{"name": "web", "address": f"unix:{path}", "routes": "main"}]
    proxy = start(config([backend.address], listeners=listeners)).ready()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    other = start(config([backend.address], listeners=listeners))
    assert other.ended() == 1
    assert "another process listens there" in other.said()
    proxy.signal(signal.SIGTERM)
    assert proxy.ended() == 0
    assert not path.exists()


def test_too_few_descriptors_are_told_with_what_to_do(start: Start, backend: Backend) -> None:
    listeners = [{"name": "web", "address": "127.0.0.1:0", "routes": "main", "max_connections": 100_000}]
    limit = 4096
    proxy = start(
        config([backend.address], listeners=listeners),
        before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
    )
    proxy.wait_for(f"and is allowed {limit}")
    assert proxy.ready().get() == (200, b"backend")


def test_a_runtime_directory_of_somebody_else_is_refused(start: Start, backend: Backend) -> None:
    folder = Path(os.environ.get("TMPDIR", "/tmp"))
    proxy = start(config([backend.address], runtime_dir=str(folder))).ready()
    assert "can be written by others" in proxy.said()
    assert not list(folder.glob(f"{proxy.pid}.sock"))
    assert proxy.get() == (200, b"backend")
