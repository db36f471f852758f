"""Relay, backend and load against each other, on sockets: not a byte may be lost, not a failure unseen."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.load.own import Load, held_connections
from bench.process import Failed, Running, fetch, python_module, whole_answer
from bench.sockets import free_port, listen

CPUS = frozenset(os.sched_getaffinity(0))


@contextmanager
def running(module: str, folder: Path, *arguments: object) -> Iterator[Running]:
    port = free_port()
    command = python_module(module, "--port", port, *arguments)
    process = Running(module, command, port=port, folder=folder, cpus=CPUS)
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Running]:
    with running("bench.backend", tmp_path) as process:
        process.wait_ready("/")
        yield process


@pytest.fixture(params=["backend", "relay"])
def port(request: pytest.FixtureRequest, backend: Running, tmp_path: Path) -> Iterator[int]:
    """The backend itself, and the backend behind the relay."""
    if request.param == "backend":
        yield backend.port
        return
    with running("bench.relay", tmp_path, "--backend-port", backend.port) as relay:
        relay.wait_ready("/")
        yield relay.port


def exchange(port: int, data: bytes, end: bytes) -> bytes:
    """What comes back for `data`, until it ends with `end`."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        threading.Thread(target=connection.sendall, args=(data,)).start()
        received = bytearray()
        while not received.endswith(end):
            chunk = connection.recv(1 << 20)
            assert chunk, f"closed after {bytes(received[-200:])!r}"
            received += chunk
        return bytes(received)


BODY = b"0123456789" * 10


def test_the_answer_is_100_bytes(port: int) -> None:
    assert fetch(port, "/any") == (200, BODY)


def test_pipelined_requests_are_answered_in_order_and_in_pieces(port: int) -> None:
    one = b"GET /bytes/7 HTTP/1.1\r\nHost: a\r\n\r\n"
    other = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = exchange(port, one + other, BODY)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.index(b"\0" * 7) < answer.index(BODY)


def test_a_head_may_come_byte_by_byte(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc":
            connection.sendall(bytes([byte]))
        received = b""
        while (answer := whole_answer(received)) is None:
            received += connection.recv(4096)
    assert answer == (200, BODY)


def test_large_bodies_arrive_whole_both_ways(port: int) -> None:
    assert fetch(port, "/bytes/5000000")[1] == bytes(5_000_000)
    upload = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" + bytes(5_000_000)
    assert exchange(port, upload, BODY).startswith(b"HTTP/1.1 200")


def test_a_request_without_a_length_is_refused(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchange(port, head, b"\r\n\r\n").startswith(b"HTTP/1.1 501")


def test_the_load_counts_what_it_asked_for(port: int) -> None:
    with Load(port, ("/", "/bytes/1000"), connections=4, seconds=0.2, cpus=CPUS) as load:
        result = load.result()
    assert result.requests > 10
    assert result.failed == 0
    assert result.bytes == pytest.approx(result.requests * 550, abs=4 * 1000)
    assert 0 < result.p50 <= result.p99


def test_a_fixed_rate_is_kept(port: int) -> None:
    with Load(port, connections=4, seconds=0.5, rate=400, cpus=CPUS) as load:
        assert load.result().requests == pytest.approx(200, abs=2)


def test_what_falls_due_during_a_stall_is_counted(backend: Running) -> None:
    """100 requests fall due; the backend sleeps from the first on, and wakes only after the last."""
    with Load(backend.port, connections=2, seconds=0.5, rate=200, cpus=CPUS) as load:
        backend.signal(signal.SIGSTOP)
        woken = threading.Timer(1.5, backend.signal, (signal.SIGCONT,))
        woken.start()
        result = load.result()
        woken.join()
    assert result.requests + result.failed == pytest.approx(100, abs=2)
    assert result.p99 > 500_000


def test_what_is_never_answered_is_a_failure() -> None:
    with listen(0) as silent:
        assert failures(silent.getsockname()[1], "--rate", 50) == {"unanswered": pytest.approx(10, abs=1)}


def test_uploads_and_held_connections(port: int) -> None:
    with Load(port, connections=2, seconds=0.2, upload=300_000, cpus=CPUS) as load:
        result = load.result()
    assert result.requests > 0
    assert result.failed == 0
    with held_connections(port, "/", count=300, cpus=CPUS) as held:
        assert (held.requests, held.failed) == (300, 0)
    with held_connections(port, "/a/events", count=5, cpus=CPUS) as held:
        assert (held.requests, held.failed) == (5, 0)


def failures(port: int, *arguments: object) -> dict[str, int]:
    """The failures that a short load reports, by kind."""
    command = python_module("bench.load", "--port", port, "--connections", 2, "--seconds", 0.2, *arguments)
    said = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
    kinds = ("connect", "reset", "status", "malformed", "unanswered")
    assert said["failed"] == sum(said[kind] for kind in kinds)
    return {kind: said[kind] for kind in kinds if said[kind]}


@contextmanager
def answering(text: bytes) -> Iterator[int]:
    """A server that answers each connection's first bytes with `text` and closes it."""
    with listen(0) as listener:
        listener.setblocking(True)
        listener.settimeout(10)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(text)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "status"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "reset"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "malformed"),
        (b"", "reset"),
    ],
)
def test_each_kind_of_failure_is_seen(text: bytes, kind: str) -> None:
    with answering(text) as port:
        assert set(failures(port, "--rate", 50)) == {kind}


def test_nobody_there_is_a_failure_to_connect() -> None:
    assert set(failures(free_port(), "--rate", 50)) == {"connect"}


def test_a_backend_that_closes_at_random_does_close(tmp_path: Path) -> None:
    with running("bench.backend", tmp_path, "--close-rate", 1000) as closing:
        closing.wait_ready("/")
        with socket.create_connection(("127.0.0.1", closing.port), 10) as idle:
            assert idle.recv(1) == b""


def test_an_answer_ends_with_its_length_and_not_with_the_connection() -> None:
    """A server that keeps the connection open must not seem slow (Envoy does so for a second)."""
    with listen(0) as listener:
        listener.setblocking(True)
        answers: list[tuple[int, bytes]] = []
        asked = threading.Thread(target=fetch_into, args=(listener.getsockname()[1], answers))
        asked.start()
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            asked.join(4)
            assert answers == [(200, b"ok")]


def fetch_into(port: int, answers: list[tuple[int, bytes]]) -> None:
    answers.append(fetch(port, "/", timeout=10))


def test_a_process_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo no such file >&2; exit 3"]
    process = Running("proxy", command, port=1, folder=tmp_path, cpus=CPUS)
    try:
        with pytest.raises(Failed, match=r"proxy ended with status 3\n    no such file"):
            process.wait_ready("/")
    finally:
        process.stop()


def test_stamps_are_the_times_of_the_good_answers(backend: Running) -> None:
    began = time.monotonic()
    with Load(backend.port, connections=4, seconds=0.2, rate=200, stamps=True, cpus=CPUS) as load:
        result = load.result()
    assert len(result.stamps) == result.requests == pytest.approx(40, abs=2)
    assert all(began < stamp.written < stamp.answered < time.monotonic() for stamp in result.stamps)
    assert result.stamps[-1].answered - result.stamps[0].answered == pytest.approx(0.195, abs=0.05)


def test_a_connection_goes_on_after_an_answer_that_is_not_good() -> None:
    """The server takes one connection: were it not used again, the second request would fail otherwise."""
    with listen(0) as listener:
        listener.setblocking(True)
        listener.settimeout(10)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                while connection.recv(65536):
                    connection.sendall(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")

        server = threading.Thread(target=serve)
        server.start()
        port = listener.getsockname()[1]
        with Load(port, connections=1, seconds=0.2, rate=50, cpus=CPUS) as load:
            assert load.result().kinds == {"status": pytest.approx(10, abs=1)}
        server.join(10)
