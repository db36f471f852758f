"""From one configuration to the next: whole or not at all."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.descriptors import open_files
from tests.proxy.conftest import Start
from tests.proxy.running import PATIENCE, ROOT, Backend, Proxy, config, until


@pytest.fixture
def other() -> Iterator[Backend]:
    running = Backend("other")
    yield running
    running.close()


def command(proxy: Proxy, *words: str) -> subprocess.CompletedProcess[str]:
    """`tulle reload` as its user would say it."""
    return subprocess.run(
        [sys.executable, "-m", "tulle", "reload", *words],
        cwd=ROOT,
        env={"XDG_RUNTIME_DIR": str(proxy.runtime), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_command_says_the_new_version(
    start: Start, backend: Backend, other: Backend, tmp_path: Path
) -> None:
    file = tmp_path / "tulle.pid"
    proxy = start(config([backend.address]), "--pid-file", str(file)).ready()
    proxy.write(config([other.address]))
    done = command(proxy, "--pid-file", str(file))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "tulle: version 2 is in use\n")
    assert proxy.get() == (200, b"other")
    assert proxy.admin("/server_info")["reloads"] == {"success": 1, "refused": 0}


def test_a_bad_file_is_refused_with_every_reason(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address])).ready()
    proxy.write(config([backend.address], workers=0, drain_timeout="soon"))
    done = command(proxy, "--pid", str(proxy.pid))
    assert done.returncode == 1
    assert "workers" in done.stderr
    assert "drain_timeout" in done.stderr
    assert done.stderr.endswith("tulle: refused; version 1 serves on\n")
    assert proxy.get() == (200, b"backend")
    assert proxy.admin("/server_info")["reloads"] == {"success": 0, "refused": 1}
    proxy.reload(config([backend.address]))
    assert proxy.get() == (200, b"backend")


def test_a_port_in_use_refuses_all_of_it(start: Start, backend: Backend, other: Backend) -> None:
    proxy = start(config([backend.address])).ready()
    new = config([other.address])
    new["listeners"] = [
        *new["listeners"],
        {"name": "free", "address": "127.0.0.1:0", "routes": "main"},
        {"name": "taken", "address": backend.address, "routes": "main"},
    ]
    proxy.write(new)
    done = command(proxy, "--pid", str(proxy.pid))
    assert done.returncode == 1
    assert f"cannot listen on {backend.address}: the port is in use" in done.stderr
    assert proxy.get() == (200, b"backend")
    assert list(proxy.admin("/server_info")["addresses"]) == ["web"]


def test_the_command_without_a_proxy_says_so(start: Start, backend: Backend, tmp_path: Path) -> None:
    proxy = start(config([backend.address])).ready()
    proxy.signal(signal.SIGTERM)
    assert proxy.ended() == 0
    (tmp_path / "wrong.pid").write_text("seven\n")
    for words, expected in (
        (["--pid", str(proxy.pid)], "no process has the PID"),
        (["--pid", "1"], "no proxy answers for PID 1"),
        (["--pid-file", str(tmp_path / "missing.pid")], "cannot read the PID file"),
        (["--pid-file", str(tmp_path / "wrong.pid")], "is no PID file"),
    ):
        done = command(proxy, *words)
        assert done.returncode == 1
        assert expected in done.stderr
        assert "Traceback" not in done.stderr


def test_listeners_come_go_and_stay(start: Start, backend: Backend) -> None:
    first = config([backend.address])
    proxy = start(first).ready()
    place = proxy.place("web")
    second = config([backend.address])
    second["listeners"].append({"name": "more", "address": "127.0.0.1:0", "routes": "main"})
    proxy.reload(second)
    host, port = proxy.admin("/server_info")["addresses"]["more"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        proxy.reload(first)
        assert proxy.place("web") == place

        def refused() -> bool:
            try:
                socket.create_connection((host, int(port)), PATIENCE).close()
            except ConnectionRefusedError:
                return True
            return False

        until(refused, "nobody listens any more")
    assert proxy.get() == (200, b"backend")


def test_a_renamed_listener_keeps_its_socket(start: Start, backend: Backend) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"

    def named(name: str) -> dict[str, Any]:
        listeners = [{"name": name, "address": address, "routes": "main"}]
        return config([backend.address], listeners=listeners)

    proxy = start(named("web")).ready()
    stop = threading.Event()
    seen: set[Any] = set()

    def ask() -> None:
        while not stop.wait(0.005):  # the sidecar is to have the CPU
            try:
                seen.add(proxy.get())
            except OSError as error:
                seen.add(error)

    client = threading.Thread(target=ask)
    client.start()
    for name in ("site", "web", "page"):
        proxy.reload(named(name))
    stop.set()
    client.join(PATIENCE)
    assert seen == {(200, b"backend")}
    assert proxy.admin("/server_info")["addresses"] == {"page": address}


def test_the_admin_server_moves_with_its_address(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address])).ready()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    proxy.reload(config([backend.address], admin={"address": f"127.0.0.1:{port}"}))
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(b"GET /ready HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"LIVE" in client.recv(4096)
    with pytest.raises(ConnectionRefusedError):
        proxy.get("/ready", "admin")


def test_no_request_is_lost_by_many_reloads(start: Start, backend: Backend, other: Backend) -> None:
    proxy = start(config([backend.address], workers=2)).ready()
    stop = threading.Event()
    seen: set[Any] = set()

    def ask() -> None:
        while not stop.is_set():
            try:
                seen.add(proxy.get())
            except OSError as error:
                seen.add(error)

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    for round_ in range(10):
        proxy.reload(config([(backend, other)[round_ % 2].address], workers=2))
    stop.set()
    for client in clients:
        client.join(PATIENCE)
    assert seen == {(200, b"backend"), (200, b"other")}


def test_reloads_at_once_are_merged_and_the_last_word_counts(
    start: Start, backend: Backend, other: Backend
) -> None:
    proxy = start(config([backend.address])).ready()
    for _ in range(20):
        proxy.signal(signal.SIGHUP)
    proxy.write(config([other.address]))
    done = command(proxy, "--pid", str(proxy.pid))
    assert done.returncode == 0
    assert proxy.get() == (200, b"other")
    assert proxy.admin("/server_info")["version"] <= 5


def test_memory_of_old_versions_is_let_go(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address])).ready()

    def images() -> int:
        return sum("tulle-routes" in link for link in open_files(proxy.pid).values())

    def mapped() -> int:
        maps = Path(f"/proc/{proxy.workers()[0]}/maps").read_text().splitlines()
        return sum("tulle-routes" in line for line in maps)

    for _ in range(5):
        proxy.reload(config([backend.address]))
        assert proxy.get() == (200, b"backend")
    assert images() == 1
    until(lambda: mapped() == 1, "the worker maps only the newest")


def test_names_keep_their_counters_and_go_with_the_configuration(
    start: Start, backend: Backend, other: Backend
) -> None:
    proxy = start(config([backend.address])).ready()
    assert proxy.get() == (200, b"backend")
    proxy.reload(config([backend.address, other.address]))
    assert proxy.get()[0] == 200
    until(lambda: proxy.admin("/stats")["clusters"]["v1"]["total"] == 2, "both are counted")
    renamed = config([backend.address])
    renamed["clusters"] = {"v2": renamed["clusters"]["v1"]}
    renamed["routes"]["main"][0]["backends"] = [{"cluster": "v2"}]
    proxy.reload(renamed)
    assert proxy.get() == (200, b"backend")
    until(lambda: proxy.admin("/stats")["clusters"]["v2"]["total"] == 1, "the new name counts from zero")
    assert list(proxy.admin("/clusters")) == ["v2"]
