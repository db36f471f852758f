"""A second try beside a slow one: which answer wins, when there is none, and nothing stays of the other."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab, Section
from tests._fast.flow.peers import Backend, Ended, Peer, Unconnectable, request, response
from tests._fast.flow.sidecar import until

UNAVAILABLE = response(b"no", status=b"503 Service Unavailable")
SOON = "20ms"
CHUNKED = b"Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def backends() -> Iterator[list[Backend]]:
    made = [Backend(), Backend()]
    yield made
    for backend in made:
        backend.close()


@pytest.fixture
def hosts(backends: list[Backend]) -> list[Backend]:
    """Two, to which nobody is connected: what an earlier test has left is accepted first."""
    for backend in backends:
        while backend.waiting():
            backend.accept().close()
    return backends


def is_older(peer: Peer, other: Peer) -> bool:
    """Whether what came last to `peer` came before what came last to `other`, by the kernel's clocks."""
    while True:
        before, age, after = silence(other), silence(peer), silence(other)
        if age > after:
            return True
        if age < before:
            return False


def silence(peer: Peer) -> int:
    """Milliseconds since the last data came (`tcpi_last_data_recv`)."""
    offset = 8 + 11 * 4
    size = offset + 4
    found = peer.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
    return int.from_bytes(found[offset:size], sys.byteorder)


class Hedged:
    """A sidecar that sends a request to a second host of two when the first is slow."""

    def __init__(self, lab: Lab, hosts: list[Backend]) -> None:
        self.lab = lab
        self.hosts = hosts
        self.before = self.counts()

    def counts(self) -> dict[str, int]:
        names = ("hedges_won", "hedges_lost", "hedges_refused")
        return {name.removeprefix("hedges_"): self.lab.sidecar.cluster(name) for name in names}

    def since(self) -> dict[str, int]:
        """How hedges have ended since the test began."""
        return {name: new for name, count in self.counts().items() if (new := count - self.before[name])}

    def expect(self, **outcomes: int) -> None:
        until(lambda: self.since() == outcomes, f"the hedges are {outcomes}, not {self.since()}")

    def take(self) -> Peer:
        """The next connection, to whichever host."""
        until(lambda: any(host.waiting() for host in self.hosts), "a host is connected to")
        return self.lab.keep(next(host for host in self.hosts if host.waiting()).accept())

    def both(self, sent: bytes | None = None) -> tuple[Peer, Peer, Peer]:
        """A client whose request two hosts have read."""
        client = self.lab.client()
        client.send(request() if sent is None else sent)
        first = self.take()
        seen = first.read_request()
        second = self.take()
        again = second.read_request()
        if is_older(second, first):  # both were there before this process had its turn
            first, second = second, first
        assert (again.raw, again.body) == (seen.raw, seen.body)
        assert first.connection.getsockname() != second.connection.getsockname()
        return client, first, second

    def waiting(self) -> bool:
        return any(host.waiting() for host in self.hosts)


@pytest.fixture
def hedged(laboratory: Laboratory, hosts: list[Backend]) -> Hedged:
    return make(laboratory, hosts)


def make(
    laboratory: Laboratory,
    hosts: list[Backend],
    delay: str = SOON,
    route: Section | None = None,
    **more: object,
) -> Hedged:
    lab = laboratory(
        endpoints=[host.address for host in hosts],
        route={"hedging": {"delay": delay}} | (route or {}),
        **more,
    )
    return Hedged(lab, hosts)


# -- which answer wins --------------------------------------------------------------------------------


def test_the_second_wins(hedged: Hedged) -> None:
    client, first, second = hedged.both()
    second.send(response(b"second"))
    assert client.read_response().body == b"second"
    first.expect_end()
    hedged.expect(won=1)
    assert hedged.lab.sidecar.limits()["retries"] == 0
    # the winner's connection is kept, and for the loser's host there is another one
    for body in (b"next", b"and next"):
        client.send(request())
        until(lambda: hedged.waiting() or not second.silent(), "it has come")
        upstream = second if not second.silent() else hedged.take()
        upstream.read_request()
        upstream.send(response(body))
        assert client.read_response().body == body


def test_the_first_wins(hedged: Hedged) -> None:
    client, first, second = hedged.both()
    first.send(response(b"first"))
    assert client.read_response().body == b"first"
    second.expect_end()
    hedged.expect(lost=1)


def test_a_quick_answer_has_no_second(laboratory: Laboratory, hosts: list[Backend]) -> None:
    hedged = make(laboratory, hosts, delay="10s")
    client = hedged.lab.client()
    client.send(request())
    upstream = hedged.take()
    upstream.read_request()
    upstream.send(response(b"quick"))
    assert client.read_response().body == b"quick"
    assert not hedged.waiting()
    assert hedged.since() == {}


def take_with(hedged: Hedged, path: str) -> Peer:
    """The next connection with a request for the path; cancelled ones of others come in between."""
    while True:
        peer = hedged.take()
        with suppress(Ended):
            if peer.read_request().start.split(b" ")[1] == path.encode():
                return peer


def test_an_answer_just_as_the_second_is_sent(hedged: Hedged) -> None:
    """Both are due in the same turn of the loop: one answer, whole, and nothing occupied."""
    for number in range(10):
        client = hedged.lab.client()
        client.send(request("GET", f"/{number}"))
        first = take_with(hedged, f"/{number}")
        with hedged.lab.sidecar.asleep():
            first.send(response(b"one", b"Connection: close"))
        assert client.read_response().body == b"one"
        assert client.silent()
        first.close()


def test_two_answers_at_once(hedged: Hedged) -> None:
    client, first, second = hedged.both()
    with hedged.lab.sidecar.asleep():
        first.send(response(b"answer"))
        second.send(response(b"answer"))
    assert client.read_response().body == b"answer"
    until(lambda: sum(hedged.since().values()) == 1, "one has won")
    client.send(request())
    until(lambda: hedged.waiting() or not first.silent() or not second.silent(), "it has come")


def test_answers_in_pieces(hedged: Hedged) -> None:
    """Until its head is there an answer has won nothing; from then on the rest is awaited."""
    client, first, second = hedged.both()
    hedged.lab.deliver(first, b"HTTP/1.1 200 OK\r\nContent-", "bytes_upstream_received")
    second.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    assert client.read_head().status == 200
    first.expect_end()
    second.send(b" and h")
    assert client.read(10) == b"half and h"
    hedged.expect(won=1)


@pytest.mark.parametrize("failing", ["first", "second"])
@pytest.mark.parametrize("failure", [UNAVAILABLE, None, b"garbage\r\n\r\n"], ids=["503", "closed", "garbage"])
def test_a_failure_does_not_win(hedged: Hedged, failing: str, failure: bytes | None) -> None:
    client, first, second = hedged.both()
    loser, winner = (first, second) if failing == "first" else (second, first)
    if failure is None:
        loser.close()
    else:
        loser.send(failure)
        loser.expect_gone()
    hedged.expect(**{"won" if failing == "first" else "lost": 1})
    assert client.silent()
    assert hedged.lab.sidecar.limits()["retries"] == 0
    winner.send(response(b"fine"))
    assert client.read_response().body == b"fine"


def test_the_last_answer_is_passed_on(hedged: Hedged) -> None:
    client, first, second = hedged.both()
    first.send(UNAVAILABLE)
    first.expect_end()
    second.send(response(b"neither", status=b"500 Odd"))
    got = client.read_response()
    assert (got.start, got.body) == (b"HTTP/1.1 500 Odd", b"neither")
    assert not hedged.waiting()


def test_both_break_off(hedged: Hedged) -> None:
    client, first, second = hedged.both()
    before = hedged.lab.sidecar.flags().get("UC", 0)
    second.close()
    hedged.expect(lost=1)
    first.close()
    assert client.read_response().status == 503
    until(lambda: hedged.lab.sidecar.flags().get("UC", 0) == before + 1, "the reset is flagged")
    assert not hedged.waiting()


def test_retries_come_when_both_have_failed(laboratory: Laboratory, hosts: list[Backend]) -> None:
    """And each has a second try of its own."""
    retries = {"on": ["409"], "attempts": 1, "backoff": {"base": "1ms", "max": "1ms"}}
    hedged = make(laboratory, hosts, route={"retries": retries})
    client, first, second = hedged.both()
    for peer in (second, first):
        peer.send(response(b"conflict", status=b"409 Conflict"))
        peer.expect_end()
    third = hedged.take()
    third.read_request()
    fourth = hedged.take()
    fourth.read_request()
    fourth.send(response(b"at last"))
    assert client.read_response().body == b"at last"
    third.expect_end()
    hedged.expect(lost=1, won=1)


def test_early_hints_are_those_of_the_first(hedged: Hedged) -> None:
    client, first, second = hedged.both()
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </%s>\r\n\r\n"
    hedged.lab.deliver(second, hints % b"second", "bytes_upstream_received")
    hedged.lab.deliver(first, hints % b"first", "bytes_upstream_received")
    second.send(response(b"fine"))
    got = client.read_response()
    assert got.body == b"fine"
    assert [early.one(b"link") for early in got.informational] == [b"</first>"]


# -- which requests -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        request("PUT", body=bytes(range(256)) * 200),
        request("PUT", "/", CHUNKED) + b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n",
        request("DELETE", body=b"x"),
    ],
    ids=["length", "chunked", "short"],
)
def test_the_body_goes_twice(hedged: Hedged, sent: bytes) -> None:
    client, first, second = hedged.both(sent)
    second.send(response(b"fine"))
    assert client.read_response().body == b"fine"
    first.expect_end()


def test_a_body_that_comes_slowly(hedged: Hedged) -> None:
    """The delay begins with its end."""
    client = hedged.lab.client()
    client.send(request("PUT", "/", CHUNKED) + b"5\r\nfirst\r\n")
    first = hedged.take()
    first.read_until(b"first\r\n")
    witness(hedged)
    assert not hedged.waiting()
    client.send(b"4\r\nlast\r\n0\r\n\r\n")
    second = hedged.take()
    assert second.read_request().body == b"firstlast"
    second.send(response(b"fine"))
    assert client.read_response().body == b"fine"


def witness(hedged: Hedged) -> None:
    """Another request, sent later, has got its second try, and so have all that were to get one."""
    client, first, second = hedged.both()
    first.send(response(b"", b"Connection: close"))
    client.read_response()
    first.close()
    second.close()


@pytest.mark.parametrize(
    "sent",
    [
        request("POST", body=b"body"),
        request("PATCH", body=b"body"),
        request("PUT", body=b"x" * 70_000),
        request("PUT", "/", CHUNKED) + b"1\r\nx\r\n0\r\nT: 1\r\n\r\n",
        request("GET", "/", b"Connection: upgrade", b"Upgrade: websocket"),
    ],
    ids=["POST", "PATCH", "too large to be kept", "trailers", "upgrade"],
)
def test_what_is_sent_once(hedged: Hedged, sent: bytes) -> None:
    client = hedged.lab.client()
    client.send(sent)
    upstream = hedged.take()
    upstream.read_request()
    witness(hedged)
    assert not hedged.waiting()
    upstream.send(response(b"once", b"Connection: close"))
    assert client.read_response().body == b"once"


def test_an_unsafe_request_where_the_route_says_so(laboratory: Laboratory, hosts: list[Backend]) -> None:
    hedged = make(laboratory, hosts, route={"retries": {"attempts": 0, "unsafe_methods": True}})
    client, first, second = hedged.both(request("POST", body=b"body"))
    second.send(response(b"fine"))
    assert client.read_response().body == b"fine"
    first.expect_end()


def test_a_session_that_is_bound(laboratory: Laboratory, hosts: list[Backend]) -> None:
    """Its host has what no other has, so it is waited for."""
    hedged = make(laboratory, hosts, cluster={"session_affinity": {"cookie": {"name": "home"}}})
    client, first, second = hedged.both()
    second.send(response(b"bound"))
    cookie = (client.read_response().one(b"set-cookie") or b"").partition(b";")[0]
    first.expect_end()
    client.send(request("GET", "/", b"Cookie: " + cookie))
    second.read_request()
    witness(hedged)
    assert not hedged.waiting()
    second.send(response(b"home"))
    assert client.read_response().body == b"home"


# -- where there is no room ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits",
    [{"max_retries": 1}, {"retry_budget": {"percent": 40, "min_per_second": 0}}],
    ids=["limit", "budget"],
)
def test_a_place_among_the_retries(laboratory: Laboratory, hosts: list[Backend], limits: Section) -> None:
    """Three requests, and one place; without one they are as if there was no hedging."""
    hedged = make(laboratory, hosts, cluster={"circuit_breaker": limits})
    clients = [hedged.lab.client() for _ in range(3)]
    with hedged.lab.sidecar.asleep():
        for client in clients:
            client.send(request())
    peers = [hedged.take() for _ in range(4)]
    hedged.expect(refused=2)
    assert hedged.lab.sidecar.limits()["retries"] == 1
    for peer in peers:
        peer.read_request()
        peer.send(response(b"", b"Connection: close"))
        peer.close()
    assert [client.read_response().status for client in clients] == [200] * 3
    assert hedged.lab.sidecar.limits()["retries"] == 0
    assert "UO" not in hedged.lab.sidecar.flags()


def test_no_connection_for_it(laboratory: Laboratory, hosts: list[Backend]) -> None:
    """It does not wait for one: that would be at the cost of others."""
    hedged = make(laboratory, hosts, cluster={"circuit_breaker": {"max_connections": 1}})
    for count in (1, 2):
        client = hedged.lab.client()
        client.send(request())
        upstream = hedged.take()
        upstream.read_request()
        hedged.expect(refused=count)
        assert hedged.lab.sidecar.limits() == {"connections": 1, "pending": 0, "requests": 1, "retries": 0}
        upstream.send(response(b"alone", b"Connection: close"))
        assert client.read_response().body == b"alone"
        upstream.close()


def test_who_waits_for_a_connection_is_sent_once_it_has_one(
    laboratory: Laboratory, hosts: list[Backend]
) -> None:
    hedged = make(laboratory, hosts, cluster={"circuit_breaker": {"max_connections": 2}})
    occupied, first, second = hedged.both()
    client = hedged.lab.client()
    client.send(request())
    until(lambda: hedged.lab.sidecar.limits()["pending"] == 1, "it waits")
    second.send(response(b"one"))
    assert occupied.read_response().body == b"one"
    until(lambda: hedged.waiting() or not second.silent(), "it has a connection")
    third = second if not second.silent() else hedged.take()
    third.read_request()
    third.send(response(b"two"))
    assert client.read_response().body == b"two"
    first.expect_end()


def test_a_single_host(laboratory: Laboratory) -> None:
    """Behind one address there may be many: the second try goes there too."""
    lab = laboratory(route={"hedging": {"delay": SOON}})
    client = lab.client()
    client.send(request())
    first, second = lab.accept(), lab.accept()
    first.read_request()
    second.read_request()
    second.send(response(b"same host"))
    assert client.read_response().body == b"same host"
    first.expect_end()


@pytest.mark.parametrize("balancer", ["random", "least_request", "peak_ewma", "maglev"])
def test_another_host_where_there_is_one(laboratory: Laboratory, hosts: list[Backend], balancer: str) -> None:
    hedged = make(laboratory, hosts, cluster={"load_balancer": balancer})
    for _ in range(8):
        client, first, second = hedged.both()
        second.send(response(b"", b"Connection: close"))
        client.read_response()
        first.expect_end()
        second.close()


def test_a_host_that_cannot_be_connected_to(laboratory: Laboratory) -> None:
    """Of two requests one at least goes there first; both are answered by the other host."""
    hole, good = Unconnectable(blackhole=True), Backend()
    lab = laboratory(endpoints=[hole.address, good.address], route={"hedging": {"delay": SOON}})
    hedged = Hedged(lab, [good])
    for _ in range(2):
        client = lab.client()
        client.send(request())
        upstream = hedged.take()
        upstream.read_request()
        upstream.send(response(b"good", b"Connection: close"))
        assert client.read_response().body == b"good"
        upstream.close()
    until(hedged.since, "the hedge is counted")
    assert list(hedged.since()) == ["won"]
    lab.tidy()
    hole.close()
    good.close()


# -- the end of both ----------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", [Peer.close, Peer.reset])
def test_the_client_leaves(hedged: Hedged, leave: object) -> None:
    client, first, second = hedged.both()
    assert callable(leave)
    leave(client)
    first.expect_end()
    second.expect_end()
    hedged.expect(lost=1)


def test_a_try_has_its_own_time(laboratory: Laboratory, hosts: list[Backend]) -> None:
    hedged = make(laboratory, hosts, route={"timeouts": {"per_try": "150ms"}})
    timeouts = hedged.lab.sidecar.endpoint("timeouts")
    client, first, second = hedged.both()
    first.expect_end()
    hedged.expect(won=1)
    assert client.silent()
    assert client.read_response().status == 504
    second.expect_end()
    assert hedged.lab.sidecar.endpoint("timeouts") == timeouts + 2


def test_the_second_try_may_end_first_by_time(laboratory: Laboratory, hosts: list[Backend]) -> None:
    """As when it began at once, while the connection of the first had to wait."""
    hedged = make(laboratory, hosts, route={"timeouts": {"per_try": "100ms", "request": "5s"}})
    client, first, second = hedged.both()
    first.expect_end()
    second.send(response(b"late", status=b"503 Service Unavailable"))
    assert client.read_response().body == b"late"


def test_the_request_has_one_time(laboratory: Laboratory, hosts: list[Backend]) -> None:
    hedged = make(laboratory, hosts, route={"timeouts": {"request": "100ms"}})
    client, first, second = hedged.both()
    assert client.read_response().status == 504
    first.expect_end()
    second.expect_end()
    hedged.expect(lost=1)


def test_who_only_loses_has_not_failed(laboratory: Laboratory, hosts: list[Backend]) -> None:
    rate = {"minimum_requests": 1, "threshold": 1, "open": "1h", "max_open": "1h"}
    hedged = make(
        laboratory, hosts,
        cluster={
            "circuit_breaker": {"failure_rate": rate | {"scope": ["endpoint", "cluster"]}},
            "outlier_detection": {
                "consecutive_local_origin_failure": 1,
                "split_external_local_origin_errors": True,
            },
            "load_balancer": "peak_ewma",
        },
    )  # fmt: skip
    for _ in range(4):
        client, first, second = hedged.both()
        second.send(response(b"", b"Connection: close"))
        assert client.read_response().status == 200
        first.expect_end()
        second.close()
    assert hedged.lab.sidecar.endpoint("local_failures") == 0
    hedged.expect(won=4)


def test_a_copy_of_it_goes_once(laboratory: Laboratory, hosts: list[Backend]) -> None:
    shadow = Backend()
    hedged = make(
        laboratory, hosts, route={"mirror": [{"cluster": "m"}]},
        more_clusters={"m": {"endpoints": [{"address": shadow.address}]}},
    )  # fmt: skip
    client, first, second = hedged.both(request("PUT", body=b"body"))
    copy = hedged.lab.keep(shadow.accept())
    assert copy.read_request().body == b"body"
    second.send(response(b"fine", b"Connection: close"))
    assert client.read_response().body == b"fine"
    first.expect_end()
    second.close()
    witness(hedged)
    other = hedged.lab.keep(shadow.accept())
    other.read_request()
    assert not shadow.waiting()
    other.send(response())
    copy.send(response())
    until(lambda: hedged.lab.sidecar.cluster("mirrored_answered") == 2, "both copies are answered")
    shadow.close()


def test_a_reload_meanwhile(laboratory: Laboratory, hosts: list[Backend]) -> None:
    """Without hedging in the new one, and without the host of the first try."""
    hedged = make(laboratory, hosts, workers=1, route={"name": "reloaded"})
    client, first, second = hedged.both()
    config = hedged.lab.config
    other = {"endpoints": [{"address": f"127.0.0.1:{second.connection.getsockname()[1]}"}]}
    route = {"name": "reloaded", "backends": [{"cluster": "c"}]}
    hedged.lab.sidecar.reload(config | {"clusters": {"c": other}, "routes": {"main": [route]}})
    second.send(response(b"fine"))
    assert client.read_response().body == b"fine"
    first.expect_end()
    hedged.lab.sidecar.reload(config)


def test_a_worker_is_killed_meanwhile(laboratory: Laboratory, hosts: list[Backend]) -> None:
    hedged = make(laboratory, hosts, route={"name": "killed"})
    client, first, second = hedged.both()
    os.kill(hedged.lab.sidecar.workers()[0], signal.SIGKILL)
    for peer in (client, first, second):
        peer.expect_gone()
    hedged.lab.expect_death()
    until(lambda: not hedged.lab.sidecar.held(), "what it held is free")


def test_a_drain_meanwhile(laboratory: Laboratory, hosts: list[Backend]) -> None:
    hedged = make(laboratory, hosts, route={"name": "drained"})
    client, first, second = hedged.both()
    hedged.lab.sidecar.terminate()
    until(lambda: hedged.lab.sidecar.stats.lane(0)["state"] == 2, "the worker drains")
    second.send(response(b"fine"))
    got = client.read_response()
    assert (got.body, got.one(b"connection")) == (b"fine", b"close")
    first.expect_end()


# -- by quantile --------------------------------------------------------------------------------------


def test_a_quantile_of_what_is_usual(laboratory: Laboratory, hosts: list[Backend]) -> None:
    """Unknown at first, so the first requests are sent once however long they take."""
    hedging = {"quantile": 0.9, "min_delay": SOON}
    hedged = make(laboratory, hosts, route={"hedging": hedging})
    client = hedged.lab.client()
    peers: list[Peer] = []
    known = time.monotonic() + 0.2  # what has been answered is summed up ten times a second
    answers = 0
    while answers < 12 or time.monotonic() < known:
        answers += 1
        client.send(request())
        until(lambda: hedged.waiting() or any(not peer.silent() for peer in peers), "it has come")
        if hedged.waiting():
            peers.append(hedged.take())
        upstream = next(peer for peer in peers if not peer.silent() or peer is peers[-1])
        upstream.read_request()
        upstream.send(response(b"quick"))
        assert client.read_response().body == b"quick"
    assert hedged.since() == {}
    client.send(request())
    until(lambda: all(not peer.silent() for peer in peers), "both have got it")
    peers[0].send(response(b"slow"))
    assert client.read_response().body == b"slow"
    until(lambda: sum(hedged.since().values()) == 1, "it is counted")
    assert "refused" not in hedged.since()


def test_tries_are_logged_together(
    laboratory: Laboratory, hosts: list[Backend], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("log") / "log"
    log = {"path": str(file), "format": "text", "format_string": "%ATTEMPTS% %UPSTREAM_HOST%"}
    hedged = make(laboratory, hosts, access_log=log)
    client, _, second = hedged.both()
    address = "{}:{}".format(*second.connection.getsockname())
    second.send(response(b"fine"))
    client.read_response()
    until(lambda: file.exists() and file.read_text() == f"2 {address}\n", "the line is written")
