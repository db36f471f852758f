"""Mirrored requests: whole copies, whose fate the original never feels."""

from collections.abc import Iterator

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab, Section
from tests._fast.flow.peers import Backend, Peer, Unconnectable, request, response
from tests._fast.flow.sidecar import until

CHUNKED = b"Transfer-Encoding: chunked"
GONE = b"connection: close"


@pytest.fixture
def shadow() -> Iterator[Backend]:
    backend = Backend()
    yield backend
    backend.close()


def mirrored(lab: Lab) -> dict[str, int]:
    outcomes = ("answered", "failed", "abandoned")
    return {name: count for name in outcomes if (count := lab.sidecar.cluster(f"mirrored_{name}"))}


def to(*addresses: str, route: Section | None = None, **mirror: object) -> Section:
    """Sections with a mirror at each address."""
    clusters = {f"m{index}": {"endpoints": [{"address": each}]} for index, each in enumerate(addresses)}
    mirrors = [{"cluster": name, **mirror} for name in clusters]
    return {"more_clusters": clusters, "route": {"mirror": mirrors, **(route or {})}}


def answer(lab: Lab, client: Peer) -> None:
    """The backend answers the original."""
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(b"yes", GONE))
    assert client.read_response().body == b"yes"
    upstream.close()


def take(lab: Lab, backend: Backend) -> Peer:
    peer = backend.accept()
    lab.peers.append(peer)
    return peer


def test_a_copy_goes_there_too_and_its_answer_nowhere(laboratory: Laboratory, shadow: Backend) -> None:
    lab = laboratory(**to(shadow.address))
    client = lab.client()
    client.send(request("POST", "/path?query", b"X-Some: thing", body=b"a body"))
    upstream = lab.accept()
    original = upstream.read_request()
    peer = take(lab, shadow)
    copy = peer.read_request()
    assert (copy.start, copy.body) == (original.start, b"a body")
    assert copy.one(b"host") == b"proxy.test-shadow"
    changed = {(name, value) for name, value in copy.fields if name.lower() != b"host"}
    assert changed == {(name, value) for name, value in original.fields if name.lower() != b"host"}
    peer.send(response(b"nobody reads this", status=b"500 No"))
    upstream.send(response(b"yes", GONE))
    got = client.read_response()
    assert (got.status, got.body) == (200, b"yes")
    upstream.close()
    until(lambda: mirrored(lab) == {"answered": 1}, "it is counted")
    assert client.silent()
    # its connection is kept for the next
    client.send(request())
    answer(lab, client)
    assert peer.read_request().start == b"GET / HTTP/1.1"
    peer.send(response())
    until(lambda: mirrored(lab) == {"answered": 2}, "it is counted")


def test_the_host_may_stay_and_a_port_comes_last(laboratory: Laboratory, shadow: Backend) -> None:
    for suffix, host, seen in (
        (False, b"a.b:80", b"a.b:80"),
        (True, b"a.b:80", b"a.b-shadow:80"),
        (True, b"[::1]:1", b"[::1]:1"),
    ):
        lab = laboratory(**to(shadow.address, shadow_host=suffix))
        client = lab.client()
        client.send(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        answer(lab, client)
        peer = take(lab, shadow)
        assert peer.read_request().one(b"host") == seen
        peer.close()


def test_several_targets(laboratory: Laboratory) -> None:
    backends = [Backend() for _ in range(3)]
    lab = laboratory(**to(*[backend.address for backend in backends]))
    client = lab.client()
    client.send(request("PUT", "/", CHUNKED) + b"3\r\nabc\r\n")
    upstream = lab.accept()
    upstream.read_head()
    client.send(b"2\r\nde\r\n0\r\n\r\n")
    for backend in backends:
        peer = take(lab, backend)
        assert peer.read_request().body == b"abcde"
        peer.send(response())
    upstream.send(response(b"", GONE))
    assert client.read_response().status == 200
    upstream.close()
    until(lambda: mirrored(lab) == {"answered": 3}, "all three")
    for backend in backends:
        backend.close()


@pytest.mark.parametrize("blackhole", [False, True])
def test_a_mirror_that_cannot_be_reached_is_not_felt(laboratory: Laboratory, blackhole: bool) -> None:
    nowhere = Unconnectable(blackhole=blackhole)
    sections = to(nowhere.address)
    sections["more_clusters"]["m0"]["connect_timeout"] = "300ms"
    lab = laboratory(**sections)
    client = lab.client()
    client.send(request("POST", "/", body=b"x" * 100_000))
    answer(lab, client)
    until(lambda: mirrored(lab) == {"failed": 1}, "it is counted")
    until(lambda: lab.sidecar.flags() == {"UF": 1}, "it is counted")
    nowhere.close()


def test_a_mirror_is_never_tried_again(laboratory: Laboratory, shadow: Backend) -> None:
    retries = {"attempts": 3, "on": ["5xx", "reset"], "backoff": {"base": "1ms", "max": "1ms"}}
    lab = laboratory(**to(shadow.address, route={"retries": retries}))
    client = lab.client()
    for end in ("answer", "close"):
        client.send(request())
        answer(lab, client)
        peer = take(lab, shadow)
        peer.read_request()
        if end == "answer":
            peer.send(response(b"", GONE, status=b"503 No"))
        peer.close()
    until(lambda: mirrored(lab) == {"answered": 1, "failed": 1}, "both are over")
    assert lab.sidecar.cluster("retries") == 0
    assert not shadow.waiting()


def test_a_mirror_that_is_too_slow_is_abandoned_and_holds_nothing_back(
    laboratory: Laboratory, shadow: Backend
) -> None:
    lab = laboratory(**to(shadow.address))
    client = lab.client()
    size = 32 << 20
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
    peer = take(lab, shadow)  # and does not read
    upstream = lab.accept()
    upstream.read_head()
    block = b"x" * (1 << 20)
    for _ in range(size // len(block)):
        client.send(block)
        assert upstream.read(len(block)) == block
    upstream.send(response(b"yes", GONE))
    assert client.read_response().body == b"yes"
    upstream.close()
    until(lambda: mirrored(lab) == {"abandoned": 1}, "it is counted")
    peer.close()


def test_a_copy_ends_with_an_original_that_breaks_off(laboratory: Laboratory, shadow: Backend) -> None:
    lab = laboratory(**to(shadow.address))
    client = lab.client()
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
    peer = take(lab, shadow)
    peer.read_head()
    assert peer.read(5) == b"12345"
    lab.accept().read_head()
    client.reset()
    peer.expect_gone()
    until(lambda: mirrored(lab) == {"failed": 1}, "it has ended too")


def test_an_original_that_is_over_first_leaves_its_copy_to_itself(
    laboratory: Laboratory, shadow: Backend
) -> None:
    lab = laboratory(**to(shadow.address))
    client = lab.client()
    client.send(request())
    answer(lab, client)
    client.close()
    peer = take(lab, shadow)
    peer.read_request()
    lab.sidecar.reload(lab.config | {"drain_timeout": "28s"})
    peer.send(response(b"x" * 200_000))
    until(lambda: mirrored(lab) == {"answered": 1}, "all of the answer was read")
    lab.sidecar.reload(lab.config)


def test_limits_are_those_of_its_own_cluster(laboratory: Laboratory, shadow: Backend) -> None:
    sections = to(shadow.address)
    sections["more_clusters"]["m0"]["circuit_breaker"] = {"max_requests": 1}
    lab = laboratory(**sections)
    clients = [lab.client(), lab.client()]
    clients[0].send(request())
    answer(lab, clients[0])
    peer = take(lab, shadow)
    peer.read_request()
    clients[1].send(request())
    answer(lab, clients[1])
    until(lambda: mirrored(lab) == {"failed": 1}, "the second copy has no place")
    assert lab.sidecar.cluster("overflow_requests") == 1
    peer.send(response(b"", GONE))
    until(lambda: mirrored(lab) == {"failed": 1, "answered": 1}, "the first is answered")


def test_no_copy_when_none_is_drawn(laboratory: Laboratory, shadow: Backend) -> None:
    lab = laboratory(**to(shadow.address, percentage=0))
    client = lab.client()
    client.send(request())
    answer(lab, client)
    assert not shadow.waiting()
    assert mirrored(lab) == {}


def test_to_a_subset(laboratory: Laboratory, shadow: Backend) -> None:
    """Copies go to the endpoints that the mirror asks for, and nowhere else when there are none."""
    other = Backend()
    endpoints = [
        {"address": shadow.address, "metadata": {"version": "v2"}},
        {"address": other.address, "metadata": {"version": "v1"}},
    ]
    mirrors = [{"cluster": "m", "subset": {"version": version}} for version in ("v2", "v3")]
    lab = laboratory(more_clusters={"m": {"endpoints": endpoints}}, route={"mirror": mirrors})
    try:
        for _ in range(5):
            client = lab.client()
            client.send(request())
            answer(lab, client)
            peer = take(lab, shadow)
            peer.read_request()
            peer.send(response(b"", GONE))
        until(lambda: mirrored(lab) == {"answered": 5, "failed": 5}, "all copies have come to an end")
        assert not other.waiting()
    finally:
        other.close()
