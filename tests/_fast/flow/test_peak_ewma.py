"""Peak EWMA and Retry-After in a real sidecar: who is slow, fails or asks for it is left alone by all."""

import email.utils
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Backend, Peer
from tulle._fast.base import figures

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
EWMA = {"load_balancer": "peak_ewma"}


class Pair:
    """A sidecar before two backends, that answer what a test says."""

    def __init__(self, lab: Lab, other: Backend) -> None:
        self.lab = lab
        self.backends = [lab.backend, other]
        self.kept: dict[int, Peer] = {}

    def ask(self, answers: list[bytes], client: Peer | None = None) -> int:
        """One request; which backend it came to, that answered with its own of these."""
        asking = client or self.lab.client()
        asking.send(REQUEST)
        which, upstream = self.arrived()
        upstream.read_request()
        upstream.send(answers[which])
        asking.read_response("GET")
        upstream.close()
        if client is None:
            asking.close()
        return which

    def arrived(self) -> tuple[int, Peer]:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for which, backend in enumerate(self.backends):
                if backend.waiting():
                    peer = backend.accept()
                    self.lab.peers.append(peer)
                    return which, peer
            time.sleep(0.0005)
        raise AssertionError("no connection came to either backend")


@contextmanager
def pair(laboratory: Laboratory, **cluster: object) -> Iterator[Pair]:
    first, second = Backend(), Backend()
    lab = laboratory(
        endpoints=[first.address, second.address], workers=1,
        cluster=EWMA | {"connection_pool": {"max_requests_per_connection": 1}} | cluster,
    )  # fmt: skip
    lab.backend.close()
    lab.backend = first
    try:
        yield Pair(lab, second)
    finally:
        second.close()


def seeds(lab: Lab) -> list[int]:
    """Microseconds that workers have told each other, the fastest first."""
    return sorted(latency for _, latency in figures.learnt(lab.sidecar.stats).values())


@pytest.mark.parametrize("failure", [b"500 Broken", b"429 Enough"])
def test_a_failing_host_is_avoided(laboratory: Laboratory, failure: bytes) -> None:
    with pair(laboratory, peak_ewma={"failure_penalty": f"{len(failure)}s"}) as hosts:
        broken = b"HTTP/1.1 " + failure + b"\r\nContent-Length: 0\r\n\r\n"
        went = [hosts.ask([broken, OK]) for _ in range(30)]
        assert went.count(0) <= 1


def test_a_slow_host_is_avoided(laboratory: Laboratory) -> None:
    with pair(laboratory, peak_ewma={"default_rtt": "20ms"}) as hosts:
        client = hosts.lab.client()
        went = []
        while not went or went[-1] != 0:
            client.send(REQUEST)
            which, upstream = hosts.arrived()
            went.append(which)
            upstream.read_request()
            if which == 0:
                time.sleep(0.2)  # the host is slow: this is what is tested, not a wait for something
            upstream.send(OK)
            client.read_response("GET")
            upstream.close()
            assert len(went) < 200
        assert [hosts.ask([OK, OK], client) for _ in range(30)] == [1] * 30


@pytest.mark.parametrize("algorithm", ["peak_ewma", "round_robin"])
@pytest.mark.parametrize("status", [b"503 Busy", b"429 Enough"])
@pytest.mark.parametrize("dated", [False, True])
def test_retry_after_makes_a_host_step_back(
    laboratory: Laboratory, algorithm: str, status: bytes, dated: bool
) -> None:
    settings = {"load_balancer": algorithm, "max_step_back": f"{600 + dated + 2 * (status[0] == 53)}s"}
    with pair(laboratory, **settings) as hosts:
        value = email.utils.formatdate(time.time() + 300, usegmt=True) if dated else "300"
        busy = b"HTTP/1.1 %s\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n" % (status, value.encode())
        went = [hosts.ask([busy, OK])]
        while went[-1] != 0:
            went.append(hosts.ask([busy, OK]))
            assert len(went) < 500
        assert [hosts.ask([busy, OK]) for _ in range(10)] == [1] * 10
        (until,) = (until for until, _ in figures.learnt(hosts.lab.sidecar.stats).values() if until)
        assert 200 < until / 1e9 - time.monotonic() < 301
        assert hosts.lab.sidecar.endpoint("step_backs") == 1


def test_a_step_back_is_bounded_and_ends(laboratory: Laboratory) -> None:
    with pair(laboratory, load_balancer="round_robin", max_step_back="150ms") as hosts:
        busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 300\r\nContent-Length: 0\r\n\r\n"
        went = [hosts.ask([busy, OK])]
        while went[-1] != 0:
            went.append(hosts.ask([busy, OK]))
        begun = time.monotonic()
        while hosts.ask([OK, OK]) == 1:
            assert time.monotonic() < begun + 10
        assert time.monotonic() >= begun + 0.14


def test_hosts_that_all_step_back_are_asked(laboratory: Laboratory) -> None:
    with pair(laboratory, load_balancer="round_robin", max_step_back="700s") as hosts:
        busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n"
        assert {hosts.ask([busy, busy]) for _ in range(6)} == {0, 1}


def test_workers_share_what_they_learn(laboratory: Laboratory) -> None:
    """A worker that takes the place of a killed one knows the host that failed, which it has never asked."""
    with pair(laboratory, peak_ewma={"failure_penalty": "100s", "decay": "1h"}) as hosts:
        broken = b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"
        went = [hosts.ask([broken, OK])]
        while went[-1] != 0:
            went.append(hosts.ask([broken, OK]))
        assert seeds(hosts.lab)[-1] > 99_000_000
        os.kill(hosts.lab.sidecar.workers()[0], signal.SIGKILL)
        hosts.lab.expect_death()
        assert [hosts.ask([broken, OK]) for _ in range(20)] == [1] * 20


def test_a_request_that_is_given_up_tells_of_its_host(laboratory: Laboratory) -> None:
    with pair(laboratory, peak_ewma={"default_rtt": "1ms"}) as hosts:
        client = hosts.lab.client()
        client.send(REQUEST)
        which, upstream = hosts.arrived()
        upstream.read_request()
        time.sleep(0.05)  # so long its client has waited
        client.close()
        hosts.lab.sidecar.wait_for("requests_active", 0)
        upstream.close()
        assert seeds(hosts.lab)[-1] > 40_000
        assert [hosts.ask([OK, OK]) for _ in range(10)] == [1 - which] * 10
