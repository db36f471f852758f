"""USR2 under traffic: nothing that passes is lost, and no counter falls, also with another shared memory."""

import http.client
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.conftest import Start
from tests.proxy.running import PATIENCE, Backend, Proxy, config, until
from tests.proxy.versions import NO_KEEPER, Installation

SAME, OTHER = 0, 1  # how many more than ours the number of a layout is
CLIENTS = 4
COUNTER = r"^(tulle_\S*(?:_total|_count|_bucket|_sum)\S*) (\S+)$"


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def upgrade(proxy: Proxy) -> None:
    done = proxy.said().count("upgraded to Tulle")
    proxy.signal(signal.SIGUSR2)
    proxy.wait_for("upgraded to Tulle", done + 1)


class Clients:
    """Ask without pause, every second of them on a connection of its own each time; and note what fails."""

    def __init__(self, proxy: Proxy) -> None:
        self.place = proxy.place("web")
        self.stop = threading.Event()
        self.answered = [0] * CLIENTS
        self.failed: list[object] = []
        self.threads = [threading.Thread(target=self.ask, args=(number,)) for number in range(CLIENTS)]

    def ask(self, number: int) -> None:
        client = http.client.HTTPConnection(*self.place, timeout=PATIENCE)
        while not self.stop.is_set():
            try:
                client.request("GET", "/", headers={"connection": "close"} if number % 2 else {})
                answer = client.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(error)
                client.close()
                continue
            if (answer.status, body) != (200, b"backend"):
                self.failed.append((answer.status, body))
            self.answered[number] += 1
        client.close()

    def more(self, count: int = 20) -> None:
        """Wait until each has so many more answers."""
        goal = [answered + count for answered in self.answered]
        until(
            lambda: all(answered >= wanted for answered, wanted in zip(self.answered, goal, strict=True)),
            f"{count} more answers, {self.failed[:3]}",
        )


@contextmanager
def traffic(proxy: Proxy) -> Iterator[Clients]:
    clients = Clients(proxy)
    for thread in clients.threads:
        thread.start()
    try:
        yield clients
    finally:
        clients.stop.set()
        for thread in clients.threads:
            thread.join(PATIENCE)


class Counters:
    """Every counter that the metrics have, as it was read last."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.values: dict[str, float] = {}

    def read(self) -> dict[str, float]:
        """Read again; none may have fallen."""
        status, text = self.proxy.get("/stats/prometheus", "admin")
        assert status == 200, text
        found = {name: float(value) for name, value in re.findall(COUNTER, text.decode(), re.M)}
        for name, value in self.values.items():
            assert found.get(name, -1) >= value, name
        self.values = found
        return found

    def total(self, name: str) -> float:
        """Of all series with this name."""
        return sum(value for series, value in self.read().items() if series.partition("{")[0] == name)


class Peer:
    """A connection that stays open, and what has come on it."""

    def __init__(self, place: tuple[str, int], head: bytes) -> None:
        self.connection = socket.create_connection(place, PATIENCE)
        self.connection.sendall(head)
        self.received = b""

    def wait_for(self, text: bytes) -> None:
        while text not in self.received:
            data = self.connection.recv(65536)
            assert data, f"closed before {text!r}: {self.received!r}"
            self.received += data


@contextmanager
def held(proxy: Proxy, backend: Backend) -> Iterator[tuple[Peer, Peer]]:
    """An event stream and a tunnel."""
    place, streams = proxy.place("web"), len(backend.streams)
    events = Peer(place, b"GET /events HTTP/1.1\r\nhost: a\r\n\r\n")
    tunnel = Peer(place, b"GET /echo HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
    with events.connection, tunnel.connection:
        events.wait_for(b"\r\n\r\n")
        tunnel.wait_for(b"\r\n\r\n")
        until(lambda: len(backend.streams) > streams, "the backend streams")
        yield events, tunnel


def talk(backend: Backend, events: Peer, tunnel: Peer, word: bytes) -> None:
    backend.emit(b"data: %s\n\n" % word)
    tunnel.connection.sendall(word)
    events.wait_for(word)
    tunnel.wait_for(word)


@pytest.mark.parametrize("layout", [SAME, OTHER])
def test_no_request_no_event_and_no_tunnel_is_lost(
    start: Start, backend: Backend, installation: Installation, layout: int
) -> None:
    proxy = start(config([backend.address], workers=2), directory=installation.directory).ready()
    counters = Counters(proxy)
    with held(proxy, backend) as (events, tunnel), traffic(proxy) as clients:
        clients.more()
        counters.read()
        old = proxy.workers()
        talk(backend, events, tunnel, b"before")
        installation.install(layout, keeper=NO_KEEPER if layout else None)
        upgrade(proxy)
        counters.read()
        clients.more()
        talk(backend, events, tunnel, b"after")
        counters.read()
        assert not set(proxy.workers()) & set(old)
        assert set(proxy.session()) & set(old), "an old worker holds the stream and the tunnel"
    assert clients.failed == []
    until(lambda: not set(proxy.session()) & set(old), "the old workers leave")
    until(lambda: len(proxy.admin("/server_info")["workers"]) == 2, "and are forgotten")
    # the stream and the tunnel ended in the old workers, after the new ones had begun
    asked = sum(clients.answered) + 2
    until(lambda: counters.total("tulle_requests_total") == asked, "every request is counted once")
    assert counters.total("tulle_request_duration_seconds_count") == asked


def test_figures_of_old_workers_are_seen_while_they_work(
    start: Start, backend: Backend, installation: Installation
) -> None:
    proxy = start(config([backend.address]), directory=installation.directory).ready()
    place = proxy.place("web")
    with (
        socket.create_connection(place, PATIENCE) as client,
        held(proxy, backend) as (events, tunnel),
    ):
        client.sendall(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: backend.held, "the request reaches the backend")
        installation.install(OTHER)
        upgrade(proxy)
        stats = proxy.admin("/stats")
        assert stats["requests"]["active"] == 3
        assert stats["requests"]["total"] == 0
        assert stats["connections"]["tunnels_active"] == 1
        backend.go.set()
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        until(lambda: proxy.admin("/stats")["requests"]["total"] == 1, "it is counted, by the old worker")
        talk(backend, events, tunnel, b"go on")
    until(lambda: proxy.admin("/stats")["requests"]["total"] == 3, "so are the stream and the tunnel")
    until(lambda: len(proxy.admin("/server_info")["workers"]) == 1, "the old worker leaves")
    stats = proxy.admin("/stats")
    assert (stats["requests"]["total"], stats["requests"]["active"]) == (3, 0)
    assert stats["connections"]["tunnels_active"] == 0
    assert proxy.admin("/clusters")["v1"]["requests_total"] == 3
    assert not keepers(proxy)


def keepers(proxy: Proxy) -> list[int]:
    found = []
    for pid in proxy.session():
        with suppress(FileNotFoundError):  # it has just left
            if Path(f"/proc/{pid}/comm").read_text() == "tulle-keeper\n":
                found.append(pid)
    return found


@pytest.mark.parametrize("second", [OTHER, 2 * OTHER])
def test_an_upgrade_of_an_upgrade_counts_nothing_twice(
    start: Start, backend: Backend, installation: Installation, second: int
) -> None:
    """The second has the layout of the first, or a third one; old workers of both live on."""
    proxy = start(config([backend.address]), directory=installation.directory).ready()
    counters = Counters(proxy)
    with held(proxy, backend) as oldest:
        proxy.get()
        installation.install(OTHER)
        upgrade(proxy)
        proxy.get()
        assert counters.total("tulle_requests_total") == 2
        with held(proxy, backend) as old:
            installation.install(second)
            upgrade(proxy)
            proxy.get()
            assert counters.total("tulle_requests_total") == 3
            assert len(keepers(proxy)) == second
            talk(backend, *oldest, b"oldest")
            talk(backend, *old, b"old")
        until(lambda: counters.total("tulle_requests_total") == 5, "those of the second are counted")
    until(lambda: counters.total("tulle_requests_total") == 7, "those of the first are counted")
    until(lambda: not keepers(proxy), "the keepers leave")
    assert counters.total("tulle_requests_total") == 7
    assert proxy.admin("/clusters")["v1"]["requests_total"] == 7
    proxy.reload(config([backend.address], workers=2))
    assert proxy.get() == (200, b"backend")
    assert counters.total("tulle_requests_total") == 8


def test_lines_of_old_workers_reach_the_access_log(
    start: Start, backend: Backend, installation: Installation, tmp_path: Path
) -> None:
    path = tmp_path / "access.log"
    log = {"path": str(path), "format": "text", "format_string": "%REQ(:PATH)%\n"}
    proxy = start(config([backend.address], access_log=log), directory=installation.directory).ready()
    with socket.create_connection(proxy.place("web"), PATIENCE) as client:
        client.sendall(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: backend.held, "the request reaches the backend")
        proxy.get("/before")
        installation.install(OTHER)
        upgrade(proxy)
        proxy.get("/after")
        until(lambda: "/after" in path.read_text(), "the line is written")
        path.rename(tmp_path / "rotated")
        proxy.signal(signal.SIGUSR1)
        until(path.exists, "the log is opened anew")
        backend.go.set()
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    until(lambda: path.read_text().split() == ["/held"], "the old worker's line is in the new file")
    assert (tmp_path / "rotated").read_text().split() == ["/before", "/after"]


def test_a_killed_keeper_costs_figures_and_nothing_else(
    start: Start, backend: Backend, installation: Installation
) -> None:
    proxy = start(config([backend.address]), directory=installation.directory).ready()
    proxy.get()
    with held(proxy, backend) as (events, tunnel):
        installation.install(OTHER)
        upgrade(proxy)
        (keeper,) = keepers(proxy)
        os.kill(keeper, signal.SIGKILL)
        proxy.wait_for("the keeper of the former program's figures has died")
        stats = proxy.admin("/stats")
        assert (stats["requests"]["total"], stats["requests"]["active"]) == (1, 0)
        talk(backend, events, tunnel, b"go on")
    until(lambda: len(proxy.admin("/server_info")["workers"]) == 1, "the old worker leaves")
    assert proxy.get() == (200, b"backend")


def test_a_drain_leaves_no_keeper_behind(start: Start, backend: Backend, installation: Installation) -> None:
    proxy = start(config([backend.address]), directory=installation.directory).ready()
    with held(proxy, backend):
        installation.install(OTHER)
        upgrade(proxy)
        assert keepers(proxy)
        proxy.signal(signal.SIGTERM)
        proxy.wait_for("draining")
        proxy.signal(signal.SIGTERM)
        assert proxy.ended() == 0
    assert proxy.gone()


def test_limits_hold_in_each_memory(start: Start, backend: Backend, installation: Installation) -> None:
    """What old workers hold of a limit does not count among the new ones', and comes back to nobody twice."""
    limits: Any = {"max_connections": 1, "max_pending_requests": 1}
    settings = config([backend.address])
    settings["clusters"]["v1"]["circuit_breaker"] = limits
    proxy = start(settings, directory=installation.directory).ready()
    with held_request(proxy, backend):
        installation.install(OTHER)
        upgrade(proxy)
        # the old worker, which has no place left, may take a connection until it hears that it is to drain
        until(lambda: proxy.get() == (200, b"backend"), "a new worker answers")
        assert proxy.admin("/clusters")["v1"]["held_connections"] <= 1
        backend.go.set()
    until(lambda: len(proxy.admin("/server_info")["workers"]) == 1, "the old worker leaves")
    assert proxy.get() == (200, b"backend")


@contextmanager
def held_request(proxy: Proxy, backend: Backend) -> Iterator[None]:
    with socket.create_connection(proxy.place("web"), PATIENCE) as client:
        client.sendall(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: backend.held, "the request reaches the backend")
        yield
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
