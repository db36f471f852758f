"""Circuit breakers that open by failure rate, in a sidecar whose backends fail."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Backend, Peer, request, response
from tests._fast.flow.sidecar import until
from tulle._fast.base.breaker_figures import cluster_breakers, endpoint_breakers

FAILED = response(b"no", b"Connection: close", status=b"500 Odd")
FINE = response(b"ok", b"Connection: close")


def breaking(scope: str, open_time: str = "1h", **more: object) -> dict[str, object]:
    rate = {"minimum_requests": 3, "threshold": 60, "open": open_time, "max_open": "1h", "scope": [scope]}
    return {"circuit_breaker": {"failure_rate": rate | more}}


def states(lab: Lab) -> list[str]:
    """Of the cluster's breaker and those of its endpoints, as far as they have seen requests."""
    both = (cluster_breakers(lab.sidecar.stats), endpoint_breakers(lab.sidecar.stats))
    return [state for found in both for state, _ in found.values()]


def ask(lab: Lab, answer: bytes | None, backend: Backend | None = None) -> int:
    """One request that gets this answer; None: the backend breaks off."""
    client = lab.client()
    client.send(request())
    upstream = (backend or lab.backend).accept()
    upstream.read_request()
    if answer is not None:
        upstream.send(answer)
    upstream.close()
    return client.read_response().status


@pytest.mark.parametrize("failure", [FAILED, None], ids=["500", "reset"])
def test_an_open_cluster_answers_at_once(laboratory: Laboratory, failure: bytes | None) -> None:
    lab = laboratory(cluster=breaking("cluster", half_open_requests=2 if failure else 3))
    for answer in (FINE, failure, failure):
        ask(lab, answer)
    assert states(lab) == ["open"]
    client = lab.client()
    client.send(request())
    got = client.read_response()
    assert (got.status, b"circuit breaker is open" in got.body) == (503, True)
    assert 3500 < int(got.one(b"retry-after") or b"0") <= 3601
    assert not lab.backend.waiting()
    until(lambda: lab.sidecar.flags().get("UO"), "it is flagged")
    assert lab.sidecar.cluster("breaker_refused") == 1


def test_enough_successes_keep_it_closed(laboratory: Laboratory) -> None:
    lab = laboratory(cluster=breaking("cluster", threshold=61))
    for answer in (FINE, FINE, FAILED, FAILED, FINE, FAILED, FAILED) * 2:
        ask(lab, answer)
    assert states(lab) == ["closed"]


def test_half_open_lets_one_through_and_success_closes(laboratory: Laboratory) -> None:
    lab = laboratory(workers=2, cluster=breaking("cluster", "300ms"))
    for _ in range(3):
        ask(lab, FAILED)
    assert states(lab) == ["open"]
    probe, upstream = half_open(lab)
    others = [lab.client() for _ in range(8)]
    for other in others:
        other.send(request())
        assert other.read_response().status == 503
    assert not lab.backend.waiting()
    upstream.send(FINE)
    assert probe.read_response().status == 200
    until(lambda: states(lab) == ["closed"], "it is closed")
    assert ask(lab, FINE) == 200


def half_open(lab: Lab) -> tuple[Peer, Peer]:
    """Ask until one gets through: its client and the backend's end, the request read."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        client = lab.client()
        client.send(request())
        until(lambda client=client: lab.backend.waiting() or not client.silent(), "one or the other")
        if lab.backend.waiting():
            upstream = lab.accept()
            upstream.read_request()
            return client, upstream
        assert client.read_response().status == 503
        client.close()
    raise AssertionError("it never opens half")


@pytest.mark.parametrize("end", ["failure", "client", "killed"])
def test_half_open_without_success(laboratory: Laboratory, end: str) -> None:
    """A failure opens it again. A probe that its client or its worker left says nothing: another follows."""
    workers = 2 if end == "killed" else 1
    lab = laboratory(workers=workers, cluster=breaking("cluster", "200ms", minimum_requests=4 + len(end)))
    for _ in range(4 + len(end)):
        ask(lab, FAILED)
    opened = transitions(lab)[2]
    client, upstream = half_open(lab)
    if end == "failure":
        upstream.send(FAILED)
        assert client.read_response().status == 500
        until(lambda: transitions(lab)[2] == opened + 1, "it is open again")
    elif end == "client":
        client.close()
    else:
        for worker in lab.sidecar.workers():
            os.kill(worker, signal.SIGKILL)
        lab.deaths += 1
        lab.expect_death()
    client, upstream = half_open(lab)
    upstream.send(FINE)
    assert client.read_response().status == 200
    until(lambda: states(lab) == ["closed"], "it is closed")


def transitions(lab: Lab) -> tuple[int, int, int]:
    return next(iter(cluster_breakers(lab.sidecar.stats).values()))[1]


@pytest.fixture
def pair() -> Iterator[list[Backend]]:
    backends = [Backend(), Backend()]
    yield backends
    for backend in backends:
        backend.close()


def test_an_open_endpoint_is_passed_over(laboratory: Laboratory, pair: list[Backend]) -> None:
    """By all workers; the other one gets everything."""
    lab = laboratory(endpoints=[backend.address for backend in pair], workers=2, cluster=breaking("endpoint"))
    bad, good = pair
    failures = 0
    for _ in range(100):
        client = lab.client()
        client.send(request())
        until(lambda: bad.waiting() or good.waiting(), "it goes to one of them")
        chosen = bad if bad.waiting() else good
        failures += chosen is bad
        upstream = chosen.accept()
        upstream.read_request()
        upstream.send(FAILED if chosen is bad else FINE)
        upstream.close()
        client.read_response()
        if "open" in states(lab):
            break
    assert failures == 3
    for _ in range(20):
        assert ask(lab, FINE, good) == 200
    assert not bad.waiting()
    assert sorted(states(lab)) == ["closed", "open"]


def test_no_endpoint_left(laboratory: Laboratory) -> None:
    lab = laboratory(cluster=breaking("endpoint"))
    for _ in range(3):
        ask(lab, FAILED)
    client = lab.client()
    client.send(request())
    assert client.read_response().status == 503
    until(lambda: lab.sidecar.flags().get("UH"), "no host is healthy")


def test_no_retry_against_an_open_cluster(laboratory: Laboratory) -> None:
    retries = {"on": ["5xx"], "attempts": 5, "backoff": {"base": "1ms", "max": "1ms"}}
    lab = laboratory(cluster=breaking("cluster"), route={"retries": retries})
    client = lab.client()
    client.send(request())
    for _ in range(3):
        upstream = lab.accept()
        upstream.read_request()
        upstream.send(FAILED)
    assert client.read_response().body == b"no"
    assert not lab.backend.waiting()


def test_a_request_that_takes_too_long_is_a_failure(laboratory: Laboratory) -> None:
    lab = laboratory(cluster=breaking("cluster"), route={"timeouts": {"request": "50ms"}})
    for _ in range(3):
        client = lab.client()
        client.send(request())
        upstream = lab.accept()
        upstream.read_request()
        assert client.read_response().status == 504
    assert states(lab) == ["open"]
