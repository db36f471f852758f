"""HTTP/2 with endpoints over TLS: agreed upon by ALPN, shared; and HTTP/1.1 where they choose that."""

import select
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_backend import H2Backend
from tests._fast.flow.lab import Lab
from tests._fast.flow.papers import SERVER_ID, Papers, server_context
from tests._fast.flow.peers import PATIENCE, Peer, response
from tests._fast.flow.sidecar import until

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
Speaks = Callable[..., ssl.SSLContext]


@pytest.fixture(scope="module")
def pair(papers: Papers) -> tuple[str, str]:
    return papers.issue("stock", f"URI:{SERVER_ID}")


@pytest.fixture
def speaks(pair: tuple[str, str]) -> Speaks:
    """An endpoint that chooses among these protocols, as the client prefers; none: it knows no ALPN."""

    def make(*protocols: str) -> ssl.SSLContext:
        context = server_context(pair)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    return make


@pytest.fixture
def make(laboratory: Laboratory, papers: Papers) -> Callable[..., Lab]:
    def lab(protocol: str, **sections: Any) -> Lab:
        tls = {"ca": papers.ca, "verify": {"uri": [SERVER_ID]}}
        more = sections.pop("cluster", {})
        return laboratory(cluster={"protocol": protocol, "tls": tls, **more}, **sections)

    return lab


def accept(lab: Lab, context: ssl.SSLContext) -> Peer:
    raw = lab.backend.accept()
    return lab.keep(Peer(context.wrap_socket(raw.connection, server_side=True)))


def agreed(peer: Peer) -> str | None:
    assert isinstance(peer.connection, ssl.SSLSocket)
    return peer.connection.selected_alpn_protocol()


def get(path: str = "/", *fields: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: shop.test", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize("protocol", ["http2", "auto"])
def test_requests_share_a_connection(make: Callable[..., Lab], speaks: Speaks, protocol: str) -> None:
    lab = make(protocol)
    clients = [lab.client() for _ in range(10)]
    for number, client in enumerate(clients):
        client.send(get(f"/{number}"))
    until(lambda: lab.sidecar.total("requests_active") == 10, "all wait for the handshake")
    peer = accept(lab, speaks("h2", "http/1.1"))
    assert agreed(peer) == "h2"
    host = H2Backend(peer)
    for index in reversed(range(10)):
        seen = host.whole(index)
        assert seen.one(b":scheme") == b"https"
        host.answer(seen.stream, seen.one(b":path") or b"")
    for number, client in enumerate(clients):
        assert client.read_response().body == b"/%d" % number
    assert not lab.backend.waiting()


def test_large_bodies_both_ways(make: Callable[..., Lab], speaks: Speaks) -> None:
    lab = make("http2")
    client = lab.client()
    body = bytes(range(256)) * 800
    client.send(get(method="POST", body=body))
    host = H2Backend(accept(lab, speaks("h2")))
    seen = host.whole()
    assert seen.body == body
    host.answer(seen.stream, end=False)
    for _ in range(3):
        host.data(seen.stream, body[:16000])
    host.data(seen.stream, b"", end=True)
    assert client.read_response().body == body[:16000] * 3


@pytest.mark.parametrize("protocols", [(), ("http/1.1",)])
def test_an_endpoint_that_does_not_agree(
    make: Callable[..., Lab], speaks: Speaks, protocols: tuple[str, ...]
) -> None:
    lab = make("http2")
    before = lab.sidecar.total("tls_upstream_failed_protocol")
    clients = [lab.client() for _ in range(3)]
    for client in clients:
        client.send(get(method="POST", body=b"x"))
    until(lambda: lab.sidecar.total("requests_active") == 3, "all wait for the handshake")
    peer = accept(lab, speaks(*protocols))
    for client in clients:
        answer = client.read_response()
        assert answer.status == 503
        assert b"has not agreed to HTTP/2" in (answer.one(b"proxy-status") or b"")
    peer.expect_gone()
    until(lambda: lab.sidecar.total("tls_upstream_failed_protocol") == before + 1, "it is counted")


@pytest.mark.parametrize("protocols", [(), ("http/1.1",)])
def test_an_endpoint_that_chooses_http1(
    make: Callable[..., Lab], speaks: Speaks, protocols: tuple[str, ...]
) -> None:
    """Who has waited for the first connection gets one of its own, and who comes later does at once."""
    lab = make("auto")
    clients = [lab.client() for _ in range(4)]
    for number, client in enumerate(clients):
        client.send(get(f"/{number}", method="POST", body=b"x"))
    until(lambda: lab.sidecar.total("requests_active") == 4, "all wait for the handshake")
    context = speaks(*protocols)
    peers = [accept(lab, context)]
    peers += [accept(lab, context) for _ in range(3)]
    for peer in peers:
        assert agreed(peer) == (protocols[0] if protocols else None)
        seen = peer.read_request()
        assert seen.start.endswith(b" HTTP/1.1")
        peer.send(response(seen.start.split(b" ")[1]))
    for number, client in enumerate(clients):
        assert client.read_response().body == b"/%d" % number
    # kept and used again, one request at a time
    lab.sidecar.wait_for("connections_idle", 4)
    clients[0].send(get("/again"))
    [readable], _, _ = select.select([peer.connection for peer in peers], [], [], PATIENCE)
    [again] = [peer for peer in peers if peer.connection is readable]
    assert again.read_request().start == b"GET /again HTTP/1.1"
    again.send(response(b"again"))
    assert clients[0].read_response().body == b"again"


def test_an_endpoint_that_changes_its_mind(make: Callable[..., Lab], speaks: Speaks) -> None:
    """Where it was HTTP/1.1 the last time, nobody waits for another's handshake: each has its own."""
    lab = make("auto", cluster={"connection_pool": {"idle_timeout": "100ms"}})
    for protocol in ("http/1.1", "h2", "http/1.1", "h2"):
        clients = [lab.client() for _ in range(2)]
        for client in clients:
            client.send(get())
        until(lambda: lab.sidecar.total("requests_active") == 2, "both are under way")
        for _ in range(2):
            peer = accept(lab, speaks(protocol))
            if protocol == "h2":
                host = H2Backend(peer)
                host.answer(host.whole().stream, b"x")
            else:
                peer.read_request()
                peer.send(response(b"x"))
        for client in clients:
            assert client.read_response().body == b"x"
            client.close()
        lab.sidecar.wait_for("connections_active", 0)


def test_an_upgrade_goes_by_http1(make: Callable[..., Lab], speaks: Speaks) -> None:
    lab = make("auto", route={"upgrade": True})
    plain = lab.client()
    plain.send(get("/plain"))
    host = H2Backend(accept(lab, speaks("h2", "http/1.1")))
    seen = host.whole()
    client = lab.client()
    client.send(get("/ws", "Connection: upgrade", "Upgrade: websocket"))
    peer = accept(lab, speaks("h2", "http/1.1"))
    assert agreed(peer) == "http/1.1"
    assert peer.read_request().one(b"upgrade") == b"websocket"
    peer.send(SWITCHING + b"hello")
    assert client.read_response().status == 101
    assert client.read(5) == b"hello"
    host.answer(seen.stream, b"still shared")
    assert plain.read_response().body == b"still shared"
    plain.send(get("/again"))
    host.answer(host.whole(1).stream, b"again")
    assert plain.read_response().body == b"again"


def test_limits_count_connections_whatever_they_carry(make: Callable[..., Lab], speaks: Speaks) -> None:
    """One connection is allowed: HTTP/2 carries all on it, HTTP/1.1 one after the other."""
    lab = make("auto", cluster={"circuit_breaker": {"max_connections": 1}})
    clients = [lab.client() for _ in range(3)]
    for client in clients:
        client.send(get())
    until(lambda: lab.sidecar.total("requests_active") == 3, "all wait")
    peer = accept(lab, speaks("http/1.1"))
    for _ in range(3):
        peer.read_request()
        peer.send(response(b"x"))
    for client in clients:
        assert client.read_response().body == b"x"
    assert not lab.backend.waiting()
    assert lab.sidecar.limits()["connections"] == 1


def test_a_post_on_an_idle_connection_that_ends(make: Callable[..., Lab], speaks: Speaks) -> None:
    """The endpoint has said GOAWAY and gone, while nobody asked: the POST is not lost on it."""
    lab = make("http2")
    client = lab.client()
    client.send(get())
    host = H2Backend(accept(lab, speaks("h2")))
    host.answer(host.whole().stream, b"1")
    assert client.read_response().body == b"1"
    host.http.close_connection(last_stream_id=1)
    host.flush()
    host.peer.close()
    client.send(get(method="POST", body=b"once"))
    other = H2Backend(accept(lab, speaks("h2")))
    seen = other.whole()
    assert seen.body == b"once"
    other.answer(seen.stream, b"2")
    assert client.read_response().body == b"2"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(make: Callable[..., Lab], speaks: Speaks, version: ssl.TLSVersion) -> None:
    lab = make("http2", cluster={"connection_pool": {"idle_timeout": "100ms"}})
    context = speaks("h2")
    context.minimum_version = context.maximum_version = version
    client = lab.client()
    reused = []
    for _ in range(2):
        client.send(get())
        peer = accept(lab, context)
        assert isinstance(peer.connection, ssl.SSLSocket)
        reused.append(peer.connection.session_reused)
        host = H2Backend(peer)
        host.answer(host.whole().stream, b"x")
        assert client.read_response().body == b"x"
        lab.sidecar.wait_for("connections_active", 0)
    assert reused == [False, True]
