"""Adaptive concurrency in a sidecar: the limit over all workers, and a backend that can only do so much."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.hosts import Host, command
from bench.load.own import Load
from bench.process import Running
from bench.sockets import free_ports
from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Peer, request, response
from tests._fast.flow.sidecar import until
from tulle._fast.base.adaptive_figures import Adaptive, adaptive

CPUS = frozenset(os.sched_getaffinity(0))
FINE = response(b"ok", b"Connection: close")
FAILED = response(b"no", b"Connection: close", status=b"500 Odd")


def adapting(count: int = 50, least: int = 3, **breaker: object) -> dict[str, object]:
    rtt = {"request_count": count, "min_concurrency": least}
    return {"circuit_breaker": {"adaptive_concurrency": {"min_rtt_calc_params": rtt}} | breaker}


def state(lab: Lab) -> Adaptive:
    return next(iter(adaptive(lab.sidecar.stats).values()))


def begin(lab: Lab) -> tuple[Peer, Peer]:
    """A request under way: its client and the backend's end."""
    client = lab.client()
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    return client, upstream


def end(pair: tuple[Peer, Peer], answer: bytes = FINE) -> int:
    client, upstream = pair
    upstream.send(answer)
    upstream.close()
    return client.read_response().status


def test_over_all_workers(laboratory: Laboratory) -> None:
    """Whichever workers have them, there are never more than the limit; a free place is free for all."""
    lab = laboratory(workers=3, cluster=adapting(count=1000, least=4))
    for _round in range(5):
        pairs = [begin(lab) for _ in range(4)]
        for _ in range(6):
            client = lab.client()
            client.send(request())
            got = client.read_response()
            assert (got.status, b"adaptive concurrency" in got.body) == (503, True)
        assert [end(pair) for pair in pairs] == [200] * 4
        until(lambda: lab.sidecar.limits()["requests"] == 0, "the places are free")
    assert lab.sidecar.cluster("overflow_adaptive") == 30
    assert lab.sidecar.cluster("overflow_requests") == 0
    until(lambda: lab.sidecar.flags().get("UO") == 30, "all that were refused are counted")


def test_the_lower_limit_holds(laboratory: Laboratory) -> None:
    lab = laboratory(cluster=adapting(count=1000, least=4, max_requests=2))
    pairs = [begin(lab) for _ in range(2)]
    client = lab.client()
    client.send(request())
    assert client.read_response().status == 503
    assert (lab.sidecar.cluster("overflow_adaptive"), lab.sidecar.cluster("overflow_requests")) == (0, 1)
    assert [end(pair) for pair in pairs] == [200] * 2


def test_what_fails_at_once_is_no_sample_what_times_out_is(laboratory: Laboratory) -> None:
    lab = laboratory(cluster=adapting(count=2), route={"timeouts": {"request": "100ms"}})
    for _ in range(3):
        assert end(begin(lab), FAILED) == 500
        client, upstream = begin(lab)
        upstream.close()
        assert client.read_response().status == 503
    assert state(lab).measuring
    for _ in range(2):
        client, _ = begin(lab)
        assert client.read_response().status == 504
    until(lambda: not state(lab).measuring, "minRTT is known")
    assert state(lab).min_rtt > 90_000_000


def test_switched_by_a_reload(laboratory: Laboratory) -> None:
    lab = laboratory()
    pairs = [begin(lab) for _ in range(3)]
    cluster = lab.config["clusters"]["c"]
    lab.sidecar.reload(lab.config | {"clusters": {"c": cluster | adapting(count=1000, least=1)}})
    client = lab.client()
    client.send(request())
    assert client.read_response().status == 503  # those from before count
    assert [end(pair) for pair in pairs] == [200] * 3
    assert end(begin(lab)) == 200
    lab.sidecar.reload(lab.config)
    pairs = [begin(lab) for _ in range(3)]
    assert [end(pair) for pair in pairs] == [200] * 3


@contextmanager
def overloaded(folder: Path) -> Iterator[str]:
    """The address of a backend that works on 8 requests at a time, 10 ms each, and has all others wait."""
    (port,) = free_ports(1)
    host = Host(least=0.005, more=0.005, slots=8, queue=100_000)
    running = Running("hosts", command([host], [port]), port=port, folder=folder, cpus=CPUS)
    try:
        running.wait_ready("/counts")
        yield f"127.0.0.1:{port}"
    finally:
        running.stop()


def asked(lab: Lab, seconds: float) -> tuple[int, float]:
    """Twice what the backend can do: good answers of the last second, and the median of their times."""
    port = next(iter(lab.sidecar.ports.values()))
    with Load(port, connections=1000, seconds=seconds, cpus=CPUS, rate=1600, stamps=True) as load:
        stamps = load.result().stamps
    end = min(one.written for one in stamps) + seconds
    latencies = [one.answered - one.written for one in stamps if end - 1 < one.answered <= end]
    return len(latencies), median(latencies)


def test_a_backend_with_a_capacity(laboratory: Laboratory, tmp_path: Path) -> None:
    """Goodput stays, latency stays: without a limit each request waits behind all that came before it."""
    with overloaded(tmp_path) as address:
        limits = {"max_connections": None, "max_pending_requests": None, "max_requests": None}
        lab = laboratory(workers=2, endpoints=[address], cluster={"circuit_breaker": limits})
        answered, latency = asked(lab, 2.5)
    with overloaded(tmp_path) as address:
        lab = laboratory(workers=2, endpoints=[address], cluster=adapting(**limits))
        bounded, short = asked(lab, 2.5)
        assert lab.sidecar.cluster("overflow_adaptive") > 0
        known = state(lab)
    assert bounded > 0.75 * answered
    assert short < latency / 3
    assert 6 <= known.limit <= 100
    assert known.measurements >= 1
