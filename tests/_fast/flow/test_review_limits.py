"""What was held when a worker dies or the configuration changes."""

import os
import signal
from contextlib import closing
from pathlib import Path

from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import request
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
