"""What was held when a worker dies or the configuration changes."""

import os
import select
import signal
from contextlib import closing
from pathlib import Path

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab, make_config
from tests._fast.flow.peers import PATIENCE, Backend, Peer, request, response
from tests._fast.flow.sidecar import until


def worker_of(lab: Lab) -> int:
    """The lane's pid of the one worker that has a request."""
    stats = lab.sidecar.stats
    lanes = [stats.lane(index) for index in range(stats.lanes_used)]
    (pid,) = [lane["pid"] for lane in lanes if lane["requests_active"]]
    return int(pid)


def test_the_place_of_a_killed_worker_goes_to_who_waits_elsewhere(tmp_path: Path) -> None:
    cluster = {"circuit_breaker": {"max_connections": 1}, "pending_timeout": "60s"}
    with closing(Lab(tmp_path, workers=2, cluster=cluster)) as lab:
        lab.client().send(request("GET", "/first"))
        lab.accept().read_request()
        holder = worker_of(lab)
        # So many connections are spread over both workers: some wait in the other one
        waiting = [lab.client() for _ in range(30)]
        for client in waiting:
            client.send(request("GET", "/waiting"))
        until(lambda: lab.sidecar.limits()["pending"] == len(waiting), "all others wait")
        os.kill(holder, signal.SIGKILL)
        lab.accept().read_request()  # a place is free: the oldest waiter has it
        assert lab.sidecar.limits()["connections"] == 1
        for peer in lab.peers:
            peer.close()


def answer_next(backends: list[Backend], known: list[Peer]) -> int:
    """Answer the request that one of them gets; which."""
    while True:
        sources = [backend.listening for backend in backends] + [peer.connection for peer in known]
        ready = select.select(sources, [], [], PATIENCE)[0]
        assert ready, "no backend has got the request"
        for backend in backends:
            if backend.listening in ready:
                known.append(backend.accept())
        for peer in [peer for peer in known if peer.connection in ready]:
            if not peer.fill():
                known.remove(peer)
                peer.close()
                continue
            peer.read_request()
            peer.send(response())
            return int(peer.connection.getsockname()[1])


@pytest.mark.parametrize("begun", [False, True])
def test_an_endpoint_that_comes_back_while_it_still_serves(laboratory: Laboratory, begun: bool) -> None:
    """Its requests are counted once and to the end, in its old slot or in one of a new generation."""
    other = Backend()
    lab = laboratory(cluster={"load_balancer": "least_request"})
    known: list[Peer] = []

    def use(*backends: Backend) -> None:
        addresses = [backend.address for backend in backends]
        lab.sidecar.reload(make_config(addresses, cluster={"load_balancer": "least_request"}))

    try:
        slow = lab.client()
        slow.send(request("GET", "/slow"))
        upstream = lab.accept()
        upstream.read_request()
        if begun:  # then it holds the old configuration no more
            upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
            slow.read_until(b"\r\n\r\na")
        use(other)
        probe = lab.client()
        probe.send(request())
        assert answer_next([other], known) == other.port
        probe.read_response()
        use(lab.backend, other)
        chosen = set()
        for step in range(40):
            probe.send(request())
            chosen.add(answer_next([lab.backend, other], known))
            probe.read_response()
            if step == 0:
                upstream.send(b"b" if begun else response())
                slow.read(1) if begun else slow.read_response()
                known.append(upstream)
                chosen.clear()
        assert chosen == {lab.backend.port, other.port}
        for peer in known:
            peer.close()
        lab.tidy()
    finally:
        other.close()
        lab.sidecar.reload(make_config([lab.backend.address], cluster={"load_balancer": "least_request"}))
