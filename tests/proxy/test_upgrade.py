"""USR2: another program in the same process, and nobody notices."""

import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.conftest import Start
from tests.proxy.running import PATIENCE, Backend, Proxy, config, until
from tulle.proxy import handover, preflight
from tulle.proxy.failure import Failure


def upgrade(proxy: Proxy) -> None:
    done = proxy.said().count("upgraded to Tulle")
    proxy.signal(signal.SIGUSR2)
    proxy.wait_for("upgraded to Tulle", done + 1)


def test_the_process_stays_and_its_workers_are_new(start: Start, backend: Backend, tmp_path: Path) -> None:
    file = tmp_path / "tulle.pid"
    proxy = start(config([backend.address], workers=2), "--pid-file", str(file)).ready()
    place, before = proxy.place("web"), proxy.workers()
    began = proxy.admin("/server_info")["start_time"]
    upgrade(proxy)
    assert int(file.read_text()) == proxy.pid
    assert proxy.place("web") == place
    until(lambda: len(proxy.workers()) == 2 and not set(proxy.workers()) & set(before), "all workers are new")
    assert proxy.admin("/server_info")["start_time"] == began
    assert proxy.get() == (200, b"backend")
    proxy.reload(config([backend.address], workers=1))
    proxy.signal(signal.SIGTERM)
    assert proxy.ended() == 0
    assert proxy.gone()
    assert not file.exists()


def test_no_request_is_lost(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], workers=2)).ready()
    place = proxy.place("web")
    stop = threading.Event()
    seen: set[Any] = set()

    def ask() -> None:
        while not stop.wait(0.005):  # the sidecar is to have the CPU
            try:
                with socket.create_connection(place, PATIENCE) as client:
                    client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                    received = b""
                    while data := client.recv(4096):
                        received += data
                    seen.add(received.partition(b"\r\n")[0])
            except OSError as error:
                seen.add(error)

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    for _ in range(3):
        upgrade(proxy)
    stop.set()
    for client in clients:
        client.join(PATIENCE)
    assert seen == {b"HTTP/1.1 200 OK"}


def test_a_request_at_work_is_finished_by_the_old_worker(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address])).ready()
    (old,) = proxy.workers()
    with socket.create_connection(proxy.place("web"), PATIENCE) as client:
        client.sendall(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: backend.held, "the request reaches the backend")
        upgrade(proxy)
        states = {worker["pid"]: worker["state"] for worker in proxy.admin("/server_info")["workers"]}
        assert states[old] == "draining"
        assert len(states) == 2
        backend.go.set()
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    until(lambda: old not in proxy.session(), "the old worker has left")
    until(lambda: len(proxy.admin("/server_info")["workers"]) == 1, "and is forgotten")


def test_an_old_worker_leaves_at_its_deadline(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], upgrade_drain_timeout="100ms")).ready()
    (old,) = proxy.workers()
    with socket.create_connection(proxy.place("web"), PATIENCE) as client:
        client.sendall(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: backend.held, "the request reaches the backend")
        upgrade(proxy)
        until(lambda: old not in proxy.session(), "the old worker has left")


def test_figures_go_on(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address])).ready()
    proxy.get()
    proxy.reload(config([backend.address]))
    upgrade(proxy)
    proxy.get()
    until(lambda: proxy.admin("/stats")["requests"]["total"] == 2, "both are counted")
    info = proxy.admin("/server_info")
    assert info["reloads"] == {"success": 1, "refused": 0}
    assert info["version"] == 3


def test_a_killed_old_worker_is_not_replaced(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address])).ready()
    (old,) = proxy.workers()
    with socket.create_connection(proxy.place("web"), PATIENCE) as client:
        client.sendall(b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: backend.held, "the request reaches the backend")
        upgrade(proxy)
        os.kill(old, signal.SIGKILL)
        until(lambda: len(proxy.admin("/server_info")["workers"]) == 1, "it is forgotten")
    assert proxy.admin("/server_info")["restarts"] == 0
    assert proxy.get() == (200, b"backend")


def test_a_bad_file_changes_nothing(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address])).ready()
    before = proxy.workers()
    proxy.file.write_text('{"listenerz": []}')
    proxy.signal(signal.SIGUSR2)
    proxy.wait_for("upgrade refused; the program that runs goes on")
    assert "listenerz" in proxy.said()
    assert proxy.workers() == before
    assert proxy.get() == (200, b"backend")
    proxy.reload(config([backend.address]))


def test_another_way_to_hand_over_is_refused_by_the_preflight() -> None:
    assert "hands over in another way" in preflight.find_reasons({"format": 0}, {}, None)[0]


def test_a_handover_that_makes_no_sense_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TULLE_HANDOVER", "not a number")
    with pytest.raises(Failure, match="left nothing that can be used"):
        handover.receive()
