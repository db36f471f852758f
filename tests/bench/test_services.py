"""Hosts that take their time, fail or are overloaded, on sockets."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import mean

import pytest

from bench.hosts import Host, command, counts, set_speed
from bench.load.own import Load
from bench.load.result import LoadResult
from bench.process import Running, fetch
from bench.sockets import free_ports

CPUS = frozenset(os.sched_getaffinity(0))
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@contextmanager
def serving(folder: Path, *hosts: Host) -> Iterator[tuple[int, ...]]:
    ports = free_ports(len(hosts))
    running = Running("hosts", command(hosts, ports), port=ports[0], folder=folder, cpus=CPUS)
    try:
        running.wait_ready("/counts")
        yield ports
    finally:
        running.stop()


def loaded(port: int, rate: float) -> LoadResult:
    with Load(port, connections=50, seconds=0.5, cpus=CPUS, rate=rate, stamps=True) as load:
        return load.result()


def wait_until(port: int, *, present: int) -> None:
    """Until so many requests are at work or wait."""
    end = time.monotonic() + 10
    while counts(port).present != present:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_each_host_has_its_own_way(tmp_path: Path) -> None:
    with serving(tmp_path, Host(), Host(failing=1), Host(least=0.2)) as (well, failing, slow):
        assert fetch(well, "/any")[0] == 200
        assert fetch(failing, "/any")[0] == 503
        began = time.monotonic()
        assert fetch(slow, "/any")[0] == 200
        assert time.monotonic() - began >= 0.2
        assert (counts(well).requests, counts(failing).failed, counts(slow).present) == (1, 1, 0)


def test_times_have_their_least_and_their_mean(tmp_path: Path) -> None:
    with serving(tmp_path, Host(least=0.01, more=0.02)) as (port,):
        taken = [stamp.answered - stamp.written for stamp in loaded(port, 800).stamps]
    assert len(taken) == pytest.approx(400, abs=4)
    assert min(taken) >= 0.01
    assert mean(taken) == pytest.approx(0.03, rel=0.25)


def test_a_share_of_the_requests_fails(tmp_path: Path) -> None:
    with serving(tmp_path, Host(failing=0.5)) as (port,):
        result = loaded(port, 800)
        assert result.kinds == {"status": pytest.approx(200, abs=50)}
        assert counts(port).failed == result.failed


def test_only_so_many_are_at_work_and_only_so_many_wait(tmp_path: Path) -> None:
    """Of five requests two are at work, two wait for them, and one is refused."""
    with serving(tmp_path, Host(least=0.5, slots=2, queue=2)) as (port,), ExitStack() as clients:
        connections = []
        for sent in range(1, 5):
            connections.append(clients.enter_context(socket.create_connection(("127.0.0.1", port), 10)))
            connections[-1].sendall(REQUEST)
            wait_until(port, present=sent)
        assert fetch(port, "/")[0] == 503
        assert counts(port).refused == 1
        answered = []
        for connection in connections:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            answered.append(time.monotonic())
        assert answered[2] - answered[1] > 0.25  # they were begun when the first two had ended


def test_a_slower_host_takes_longer(tmp_path: Path) -> None:
    with serving(tmp_path, Host(least=0.02)) as (port,):
        set_speed(port, 0.1)
        began = time.monotonic()
        fetch(port, "/")
        assert time.monotonic() - began >= 0.2


def test_work_that_nobody_waits_for_is_done_and_counted(tmp_path: Path) -> None:
    with serving(tmp_path, Host(least=0.3, slots=1, queue=1)) as (port,):
        with socket.create_connection(("127.0.0.1", port), 10) as impatient:
            impatient.sendall(REQUEST)
            wait_until(port, present=1)
        assert fetch(port, "/")[0] == 200  # it has waited behind what was given up
        assert counts(port)[2:] == (0, 1, 0)


def test_pipelined_requests_are_answered_one_after_the_other(tmp_path: Path) -> None:
    with (
        serving(tmp_path, Host(least=0.01)) as (port,),
        socket.create_connection(("127.0.0.1", port), 10) as connection,
    ):
        connection.sendall(REQUEST * 3)
        received = b""
        while received.count(b"HTTP/1.1 200") < 3 or not received.endswith(b"0123456789"):
            chunk = connection.recv(4096)
            assert chunk
            received += chunk
