"""Connections with hosts over HTTP/2 in time: ages, GOAWAY in two steps, second and further tries."""

import select

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_backend import H2Backend
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import PATIENCE, request

CANCEL = 8
HIGHEST = 2**31 - 1


def make(laboratory: Laboratory, **sections: object) -> Lab:
    cluster = {"protocol": "http2"} | dict(sections.pop("cluster", {}))  # type: ignore[call-overload]
    return laboratory(cluster=cluster, **sections)


def goaway(host: H2Backend, last: int) -> None:
    """The frame alone: the package takes nothing more after one of its own."""
    host.peer.send(bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + last.to_bytes(4, "big") + (0).to_bytes(4, "big"))


def comes_here(lab: Lab, host: H2Backend, index: int) -> bool:
    """Whether the request that was sent comes on this connection, as number `index`; False: on a new one."""
    while len(host.requests) <= index:
        places = [host.peer.connection, lab.backend.listening]
        ready, _, _ = select.select(places, [], [], PATIENCE)
        assert ready, "the request comes nowhere"
        if lab.backend.listening in ready:
            return False
        host.receive()
    return True


def test_an_old_connection_takes_no_more_and_ends_with_its_last_stream(laboratory: Laboratory) -> None:
    lab = make(laboratory, cluster={"connection_pool": {"max_connection_age": "200ms"}})
    slow, client = lab.client(), lab.client()
    slow.send(request(path="/slow"))
    host = H2Backend(lab.accept())
    seen = host.whole()
    client.send(request(path="/other"))
    while comes_here(lab, host, len(host.requests)):
        host.answer(host.whole(len(host.requests) - 1).stream, b"x")
        assert client.read_response().body == b"x"
        client.send(request(path="/other"))
    other = H2Backend(lab.accept())
    other.answer(other.whole().stream, b"new")
    assert client.read_response().body == b"new"
    host.answer(seen.stream, b"old")
    assert slow.read_response().body == b"old"
    host.peer.expect_gone()


def test_a_host_that_leaves_in_two_steps(laboratory: Laboratory) -> None:
    """With the first GOAWAY no more is asked of it; with the second nothing that it has is given up."""
    lab = make(laboratory)
    first, second = lab.client(), lab.client()
    first.send(request(path="/first"))
    host = H2Backend(lab.accept())
    seen = host.whole()
    goaway(host, HIGHEST)
    host.ping()
    second.send(request("POST", "/second", body=b"x"))
    other = H2Backend(lab.accept())
    other.answer(other.whole().stream, b"2")
    assert second.read_response().body == b"2"
    goaway(host, seen.stream)
    host.answer(seen.stream, b"1")
    assert first.read_response().body == b"1"
    host.peer.expect_gone()


def test_a_second_try_beside_the_first(laboratory: Laboratory) -> None:
    """A hedge is a stream of its own; when it is answered, the first is reset and the connection goes on."""
    lab = make(laboratory, route={"hedging": {"delay": "20ms"}})
    client = lab.client()
    client.send(request())
    host = H2Backend(lab.accept())
    slow, hedge = host.whole(0), host.whole(1)
    host.answer(hedge.stream, b"hedge")
    assert client.read_response().body == b"hedge"
    while slow.reset is None:
        host.receive()
    assert slow.reset == CANCEL
    assert not lab.backend.waiting()


def test_an_answer_that_is_asked_for_again(laboratory: Laboratory) -> None:
    lab = make(laboratory, route={"retries": {"attempts": 2, "on": ["5xx"]}})
    client = lab.client()
    client.send(request(body=b"kept for another try"))
    host = H2Backend(lab.accept())
    for index in range(2):
        host.answer(host.whole(index).stream, b"busy", status=503)
    last = host.whole(2)
    assert last.body == b"kept for another try"
    host.answer(last.stream, b"done")
    assert client.read_response().body == b"done"
    assert not lab.backend.waiting()
