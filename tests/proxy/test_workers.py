"""What becomes of workers that die, and of the processes around them."""

import os
import signal
import socket
import threading
from pathlib import Path

from tests.descriptors import open_files
from tests.proxy.conftest import Start
from tests.proxy.running import PATIENCE, Backend, config, until
from tulle._fast.base import process


def children(pid: int, name: str) -> list[int]:
    """Children of this name, of a process or of its spawner."""
    found = []
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            stat = (place / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        title, _, fields = stat.partition("(")[2].rpartition(")")
        if title == name and int(fields.split()[1]) == pid:
            found.append(int(place.name))
    return found


def test_processes_have_names() -> None:
    before = Path("/proc/self/comm").read_text().strip()
    process.set_name(b"a name that is longer than it may be")
    assert Path("/proc/self/comm").read_text() == "a name that is \n"
    process.set_name(before.encode())


def test_a_killed_worker_takes_only_its_own_requests_with_it(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], workers=2)).ready()
    first, second = proxy.workers()
    clients = [socket.create_connection(proxy.place("web"), PATIENCE) for _ in range(40)]
    for client in clients:
        client.sendall(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
    until(lambda: backend.held == len(clients), "all requests reach the backend")
    stats = proxy.admin("/stats")
    assert stats["requests"]["active"] == len(clients)
    os.kill(first, signal.SIGKILL)
    proxy.wait_for(f"worker {first} (lane 0) was ended by SIGKILL")
    until(lambda: len(proxy.workers()) == 2 and first not in proxy.workers(), "another worker is ready")
    backend.go.set()
    answers = [answer(client) for client in clients]
    assert set(answers) == {b"", b"HTTP/1.1 200 OK"}  # the balance gives both of them some
    assert second in proxy.workers()
    for client in clients:
        client.close()
    assert proxy.get() == (200, b"backend")
    until(lambda: proxy.admin("/stats")["requests"]["active"] == 0, "nothing is held for the dead worker")
    held = proxy.admin("/clusters")["v1"]
    assert [held[f"held_{limit}"] for limit in ("requests", "pending", "retries")] == [0, 0, 0]
    assert proxy.admin("/stats")["workers"]["restarts"] == 1


def answer(client: socket.socket) -> bytes:
    """The status line, or nothing if the connection has died."""
    try:
        return client.recv(4096).partition(b"\r\n")[0]
    except ConnectionError:
        return b""


def test_counters_survive_a_killed_worker(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address])).ready()
    for _ in range(5):
        assert proxy.get() == (200, b"backend")
    os.kill(proxy.workers()[0], signal.SIGKILL)
    proxy.wait_for("another begins")
    assert proxy.get() == (200, b"backend")
    until(lambda: proxy.admin("/stats")["requests"]["classes"]["2xx"] == 6, "all are counted")


def test_a_worker_that_keeps_dying_is_begun_again_ever_later(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address])).ready()
    for pause in ("another begins\n", "another begins in 0.1 s", "another begins in 0.2 s"):
        known = proxy.said().count("another begins")
        os.kill(until(proxy.workers, "a worker is ready")[0], signal.SIGKILL)
        proxy.wait_for("another begins", known + 1)
        assert pause in proxy.said()
    until(proxy.workers, "a worker is ready")
    assert proxy.get() == (200, b"backend")


def test_the_number_of_workers_follows_the_configuration(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], workers=1)).ready()
    proxy.reload(config([backend.address], workers=3))
    until(lambda: len(proxy.workers()) == 3, "three workers are ready")
    proxy.reload(config([backend.address], workers=2))
    until(lambda: len(proxy.admin("/server_info")["workers"]) == 2, "one has left")
    assert proxy.get() == (200, b"backend")


def test_no_request_is_lost_while_the_number_of_workers_changes(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], workers=3)).ready()
    stop = threading.Event()
    seen: list[object] = []

    def ask() -> None:
        while not stop.wait(0.005):  # the sidecar is to have the CPU
            try:
                seen.append(proxy.get())
            except OSError as error:
                seen.append(error)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    for count in (1, 3, 2, 1):
        proxy.reload(config([backend.address], workers=count))
        until(lambda count=count: len(proxy.admin("/server_info")["workers"]) == count, "as many as wanted")
    stop.set()
    for client in clients:
        client.join(PATIENCE)
    assert set(seen) == {(200, b"backend")}


def test_the_proxy_outlives_its_spawner(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], workers=2)).ready()
    (spawner,) = children(proxy.pid, "tulle-spawner")
    os.kill(spawner, signal.SIGKILL)
    proxy.wait_for("the spawner was ended by SIGKILL; another begins")
    assert proxy.get() == (200, b"backend")
    orphan = until(lambda: children(proxy.pid, "tulle-worker"), "the master has the workers")[0]
    os.kill(orphan, signal.SIGKILL)
    proxy.wait_for(f"worker {orphan} ")
    until(lambda: len(proxy.workers()) == 2, "the new spawner forks")
    proxy.reload(config([backend.address], workers=1))
    proxy.signal(signal.SIGTERM)
    assert proxy.ended() == 0
    assert proxy.gone()


def test_workers_begin_with_few_descriptors(start: Start, backend: Backend) -> None:
    """Nothing of the master's: neither the ends of others' sockets nor the admin server's."""
    proxy = start(config([backend.address], workers=2)).ready()
    for pid in proxy.workers():
        until(lambda pid=pid: len(sockets_of(held_by(pid))) >= 2, "it has control and one listener")
        held = held_by(pid)
        assert len(sockets_of(held)) == 2, held
        assert sum("tulle-shared" in name for name in held) == 1


def held_by(pid: int) -> list[str]:
    """What the descriptors of a process lead to."""
    return list(open_files(pid).values())


def sockets_of(held: list[str]) -> list[str]:
    return [name for name in held if name.startswith("socket:")]
