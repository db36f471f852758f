"""The circuit breaker over four workers: never one too many, nobody starves, nothing stays occupied."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.crowd import Server, crowd
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Peer, request, response
from tests._fast.flow.sidecar import until

WORKERS = 4


def some_requests(count: int) -> Callable[[int], Iterator[bytes]]:
    return lambda client: (request("GET", f"/{client}/{index}") for index in range(count))


def clients_per_worker(lab: Lab, count: int = 1) -> list[list[Peer]]:
    """By worker: so many connections that it has accepted."""
    found: dict[int, list[Peer]] = {}
    lanes = range(lab.sidecar.stats.lanes_used)
    workers = len(lab.sidecar.workers())
    tries = 0
    while len(found) < workers or any(len(clients) < count for clients in found.values()):
        before = [lab.sidecar.stats.lane(lane)["downstream_total"] for lane in lanes]
        client = lab.client()

        def accepted(before: list[int] = before) -> list[int]:
            return [lane for lane in lanes if lab.sidecar.stats.lane(lane)["downstream_total"] > before[lane]]

        until(accepted, "somebody accepts")
        [lane] = accepted()
        found.setdefault(lane, []).append(client)
        tries += 1
        assert tries < 200 * count, "one worker gets no connections"
    for clients in found.values():
        for client in clients[count:]:
            client.close()
    return [found[lane][:count] for lane in sorted(found)]


def wait_in_line(lab: Lab, client: Peer, path: str) -> None:
    pending = lab.sidecar.limits()["pending"]
    client.send(request("GET", path))
    until(lambda: lab.sidecar.limits()["pending"] == pending + 1, "it waits")


def next_request(lab: Lab, upstream: Peer) -> tuple[Peer, bytes]:
    """On the same connection, or on the one that has taken its place."""
    until(lambda: not upstream.silent(), "the place is passed on")
    if upstream.fill():
        return upstream, upstream.read_request().start
    upstream.close()
    upstream = lab.accept()
    return upstream, upstream.read_request().start


def breaker(**limits: int) -> dict[str, object]:
    return {"circuit_breaker": limits}


# -- connections ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fresh", [False, True], ids=["kept", "fresh"])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_never_more_connections_than_allowed(laboratory: Laboratory, most: int, fresh: bool) -> None:
    with Server() as server:
        lab = laboratory(
            endpoints=[server.address],
            workers=WORKERS,
            cluster=breaker(max_connections=most) | {"pending_timeout": "60s"},
        )
        began = time.monotonic()
        with crowd(lab.sidecar.connect, 24, some_requests(40), fresh) as clients:
            pass
        took = time.monotonic() - began
        for client in clients:
            assert [answer.status for answer in client.answers] == [200] * 40
        assert server.most_open <= most
        assert took < 20, "somebody has waited for a time-out"
        assert sum(server.seen.values()) == 24 * 40
        assert lab.sidecar.flags() == {}
        assert lab.sidecar.limits()["pending"] == 0


def test_one_place_goes_round_among_the_workers(laboratory: Laboratory) -> None:
    """In the order in which they have asked, whichever worker has them."""
    lab = laboratory(workers=WORKERS, cluster=breaker(max_connections=1) | {"pending_timeout": "60s"})
    groups = clients_per_worker(lab, 3)
    first, *waiting = [group[index] for index in range(3) for group in groups]
    first.send(request("GET", "/first"))
    upstream = lab.accept()
    upstream.read_request()
    for index, client in enumerate(waiting):
        wait_in_line(lab, client, f"/{index}")
    for index in range(len(waiting)):
        upstream.send(response(b"done"))
        upstream, start = next_request(lab, upstream)
        assert start == b"GET /%d HTTP/1.1" % index
        assert not lab.backend.waiting(), "two connections at a time"
    upstream.send(response(b"done"))
    for client in [first, *waiting]:
        assert client.read_response().body == b"done"


def test_idle_connections_of_another_worker_make_room(laboratory: Laboratory) -> None:
    """All places are held by idle connections of one worker; each of two requests to another gets one."""
    lab = laboratory(workers=WORKERS, cluster=breaker(max_connections=2) | {"pending_timeout": "60s"})
    groups = clients_per_worker(lab, 2)
    for client in groups[0]:
        client.send(request())
    idle = [lab.accept(), lab.accept()]
    for upstream in idle:
        upstream.read_request()
        upstream.send(response())
    lab.sidecar.wait_for("connections_idle", 2)
    for client in groups[1]:
        client.send(request())
    upstreams = [lab.accept() for _ in groups[1]]
    for upstream in upstreams:
        upstream.read_request()
        upstream.send(response(b"served"))
    for client in groups[1]:
        assert client.read_response().body == b"served"
    for upstream in idle:
        upstream.expect_end()


def test_waiters_of_all_workers_get_the_idle_places_of_one(laboratory: Laboratory) -> None:
    lab = laboratory(workers=WORKERS, cluster=breaker(max_connections=3) | {"pending_timeout": "60s"})
    groups = clients_per_worker(lab, 3)
    for client in groups[0]:
        client.send(request())
    for _ in range(3):
        upstream = lab.accept()
        upstream.read_request()
        upstream.send(response())
    lab.sidecar.wait_for("connections_idle", 3)
    with lab.sidecar.asleep():
        for group in groups[1:]:
            group[0].send(request())
    upstreams = [lab.accept() for _ in groups[1:]]
    for upstream in upstreams:
        upstream.read_request()
        upstream.send(response(b"served"))
    for group in groups[1:]:
        assert group[0].read_response().body == b"served"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_dead_worker_leaves_its_place_to_those_that_wait(
    laboratory: Laboratory, number: signal.Signals
) -> None:
    lab = laboratory(workers=WORKERS, cluster=breaker(max_connections=1) | {"pending_timeout": "60s"})
    [[victim], *others] = clients_per_worker(lab)
    victim.send(request())
    upstream = lab.accept()
    upstream.read_request()
    for [client] in others:
        wait_in_line(lab, client, "/waiting")
    os.kill(worker_of_request(lab), number)
    upstream.expect_gone()
    victim.expect_gone()
    for _ in others:
        upstream = lab.accept()
        upstream.read_request()
        upstream.send(response(b"served", b"Connection: close"))
    for [client] in others:
        assert client.read_response().body == b"served"
    lab.expect_death()


def worker_of_request(lab: Lab) -> int:
    """The process that has a connection to the backend."""
    lanes = [lab.sidecar.stats.lane(lane) for lane in range(lab.sidecar.stats.lanes_used)]
    [pid] = [lane["pid"] for lane in lanes if lane["upstream_active"]]
    return pid


# -- the queue -----------------------------------------------------------------------------------------


def test_a_full_queue_overflows_at_once(laboratory: Laboratory) -> None:
    lab = laboratory(
        workers=WORKERS,
        cluster=breaker(max_connections=1, max_pending_requests=2) | {"pending_timeout": "60s"},
    )
    [[first], [second], [third], [fourth]] = clients_per_worker(lab)
    first.send(request())
    upstream = lab.accept()
    upstream.read_request()
    wait_in_line(lab, second, "/2")
    wait_in_line(lab, third, "/3")
    fourth.send(request())
    got = fourth.read_response()
    assert got.status == 503
    assert b"error=connection_limit_reached" in (got.one(b"proxy-status") or b"")
    until(lambda: lab.sidecar.flags() == {"UO": 1}, "the flag is counted")
    assert lab.sidecar.cluster("overflow_pending") == 1
    for start in (b"GET /2 HTTP/1.1", b"GET /3 HTTP/1.1"):
        upstream.send(response())
        upstream, seen = next_request(lab, upstream)
        assert seen == start


def test_who_waits_too_long_is_told_so(laboratory: Laboratory) -> None:
    lab = laboratory(workers=WORKERS, cluster=breaker(max_connections=1) | {"pending_timeout": "150ms"})
    [[first], *others] = clients_per_worker(lab)
    first.send(request())
    upstream = lab.accept()
    upstream.read_request()
    for [client] in others:
        client.send(request())
    for [client] in others:
        assert client.read_response().status == 503
    until(lambda: lab.sidecar.flags() == {"PT": WORKERS - 1}, "the flags are counted")
    assert lab.sidecar.limits()["pending"] == 0
    upstream.send(response(b"in time"))
    assert first.read_response().body == b"in time"


@pytest.mark.parametrize("end", ["close", "reset"])
def test_who_leaves_while_waiting_loses_its_turn_only(laboratory: Laboratory, end: str) -> None:
    lab = laboratory(workers=WORKERS, cluster=breaker(max_connections=1) | {"pending_timeout": "60s"})
    [[first], [second], [third], [fourth]] = clients_per_worker(lab)
    first.send(request())
    upstream = lab.accept()
    upstream.read_request()
    for client in (second, third, fourth):
        wait_in_line(lab, client, f"/{client is fourth}")
    for client in (second, third):
        client.close() if end == "close" else client.reset()
    until(lambda: lab.sidecar.limits()["pending"] == 1, "their places in the queue are free")
    upstream.send(response())
    upstream, start = next_request(lab, upstream)
    assert start == b"GET /True HTTP/1.1"
    upstream.send(response(b"served"))
    assert fourth.read_response().body == b"served"


def test_who_leaves_at_the_moment_of_its_turn(laboratory: Laboratory) -> None:
    """The place that was offered to it goes to the next, though that one is another worker's."""
    lab = laboratory(workers=WORKERS, cluster=breaker(max_connections=1) | {"pending_timeout": "60s"})
    [[first], [second], [third], _] = clients_per_worker(lab)
    for _ in range(10):
        first.send(request())
        upstream = lab.accept()
        upstream.read_request()
        second = lab.client() if second.connection.fileno() < 0 else second
        wait_in_line(lab, second, "/second")
        wait_in_line(lab, third, "/third")
        with lab.sidecar.asleep():
            second.reset()
            upstream.send(response(b"first", b"Connection: close"))
        upstream = lab.accept()
        if not upstream.fill() or b"/second" in upstream.unread:
            # the connection of the one that left, opened before its leaving was seen
            upstream.close()
            upstream = lab.accept()
        assert upstream.read_request().start == b"GET /third HTTP/1.1"
        upstream.send(response(b"third", b"Connection: close"))
        assert first.read_response().body == b"first"
        assert third.read_response().body == b"third"


# -- requests and retries ------------------------------------------------------------------------------


def test_never_more_requests_than_allowed(laboratory: Laboratory) -> None:
    lab = laboratory(workers=WORKERS, cluster=breaker(max_requests=3))
    [[first], [second], [third], [fourth]] = clients_per_worker(lab)
    upstreams = []
    for client in (first, second, third):
        client.send(request())
        upstreams.append(lab.accept())
    for _ in range(3):
        fourth.send(request())
        assert fourth.read_response().status == 503
    assert lab.sidecar.cluster("overflow_requests") == 3
    until(lambda: lab.sidecar.flags() == {"UO": 3}, "the flags are counted")
    upstreams[0].read_request()
    upstreams[0].send(response(b"done"))
    assert first.read_response().body == b"done"
    until(lambda: lab.sidecar.limits()["requests"] == 2, "its place is free")
    fourth.send(request())
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(b"now"))
    assert fourth.read_response().body == b"now"


def test_the_limit_of_requests_under_load(laboratory: Laboratory) -> None:
    """Refusals are refusals: whoever is answered was counted, and all places are free in the end."""
    with Server() as server:
        lab = laboratory(endpoints=[server.address], workers=WORKERS, cluster=breaker(max_requests=2))
        with crowd(lab.sidecar.connect, 16, some_requests(60)) as clients:
            pass
        answers = [answer.status for client in clients for answer in client.answers]
        assert len(answers) == 16 * 60
        assert set(answers) <= {200, 503}
        assert sum(server.seen.values()) == answers.count(200) > 0
        assert lab.sidecar.cluster("overflow_requests") == answers.count(503)


def test_never_more_retries_than_allowed(laboratory: Laboratory) -> None:
    lab = laboratory(
        workers=WORKERS,
        cluster=breaker(max_retries=1),
        route={"retries": {"on": ["503"], "attempts": 1, "backoff": {"base": "1ms", "max": "1ms"}}},
    )
    [[first], [second], *_] = clients_per_worker(lab)
    refusal = response(status=b"503 Service Unavailable")
    first.send(request("GET", "/1"))
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(refusal)
    retried = lab.accept()
    retried.read_request()
    second.send(request("GET", "/2"))
    another = lab.accept()
    another.read_request()
    another.send(refusal)
    assert second.read_response().status == 503
    assert lab.sidecar.cluster("overflow_retries") == 1
    retried.send(response(b"at last"))
    assert first.read_response().body == b"at last"
    assert lab.sidecar.cluster("retries_succeeded") == 1
    assert not lab.backend.waiting()
