"""WebSocket with hosts over HTTP/2 (RFC 8441), asked for in either version; and through two sidecars."""

import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_backend import H2Backend, Request
from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab
from tests._fast.flow.mesh import Mesh
from tests._fast.flow.peers import Backend, Peer
from tests._fast.flow.sidecar import until


def accept_of(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def ask_http1(client: Peer, path: str = "/chat") -> bytes:
    """Sends a handshake; its key."""
    key = base64.b64encode(os.urandom(16))
    lines = [
        f"GET {path} HTTP/1.1".encode(),
        b"Host: ws.test",
        b"Connection: keep-alive, Upgrade",
        b"Upgrade: WebSocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Protocol: chat",
        b"Sec-WebSocket-Key: " + key,
    ]
    client.send(b"\r\n".join([*lines, b"", b""]))
    return key


def ask_http2(client: H2Peer, path: str = "/chat") -> int:
    client.need(lambda: client.http.remote_settings.enable_connect_protocol == 1, "the offer")
    head = [
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "ws.test"),
        (":path", path), ("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat"),
    ]  # fmt: skip
    return client.ask_raw(head, end=False)


@pytest.fixture
def lab(laboratory: Laboratory) -> Lab:
    return laboratory(cluster={"protocol": "http2"}, route={"upgrade": True})


def expect(host: H2Backend, index: int = 0) -> Request:
    seen = host.head(index)
    assert seen.fields[:5] == [
        (b":method", b"CONNECT"), (b":scheme", b"http"), (b":authority", b"ws.test"), (b":path", b"/chat"),
        (b":protocol", b"websocket"),
    ]  # fmt: skip
    assert seen.one(b"sec-websocket-protocol") == b"chat" and seen.one(b"sec-websocket-version") == b"13"
    for gone in (b"sec-websocket-key", b"upgrade", b"connection", b"host"):
        assert seen.one(gone) is None
    assert not seen.ended
    return seen


def until_seen(host: H2Backend, request: Request, body: bytes) -> None:
    while request.body != body:
        host.receive()


def test_http1_to_http2(lab: Lab) -> None:
    client = lab.client()
    key = ask_http1(client)
    host = H2Backend(lab.accept(), tunnels=True)
    seen = expect(host)
    host.answer(seen.stream, end=False, fields=[("sec-websocket-protocol", "chat")])
    answer = client.read_response()
    assert answer.start == b"HTTP/1.1 101 Switching Protocols"
    assert (answer.one(b"connection"), answer.one(b"upgrade")) == (b"upgrade", b"websocket")
    assert answer.one(b"sec-websocket-accept") == accept_of(key)
    assert answer.one(b"sec-websocket-protocol") == b"chat"
    until(lambda: lab.sidecar.total("tunnels_active") == 1, "the tunnel is counted")
    for number in range(20):
        client.send(b"up %d " % number)
        until_seen(host, seen, b"".join(b"up %d " % index for index in range(number + 1)))
        host.data(seen.stream, b"down %d " % number)
        assert client.read(len(b"down %d " % number)) == b"down %d " % number
    client.half_close()
    while not seen.ended:
        host.receive()
    host.data(seen.stream, b"bye", end=True)
    assert client.read_rest() == b"bye"


def test_http2_to_http2(lab: Lab) -> None:
    client = H2Peer(lab.client())
    stream = ask_http2(client)
    host = H2Backend(lab.accept(), tunnels=True)
    seen = expect(host)
    host.answer(seen.stream, end=False)
    assert client.head(stream).status == 200
    client.send(stream, b"up")
    until_seen(host, seen, b"up")
    host.data(seen.stream, b"down")
    answer = client.answers[stream]
    client.need(lambda: answer.body == b"down", "the bytes")
    # and requests beside it, on the same connections
    plain = client.ask("/plain")
    host.answer(host.whole(1).stream, b"plain")
    assert client.answer(plain).body == b"plain"
    host.data(seen.stream, b"", end=True)
    client.send(stream, b"", end=True)
    assert client.answer(stream).body == b"down"


def test_nothing_is_asked_before_the_host_has_said_that_it_may_be(lab: Lab) -> None:
    client = lab.client()
    ask_http1(client)
    peer = lab.accept()
    other = lab.client()
    other.send(b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n")
    peer.need(lambda: b"\x01\x05" in peer.unread, "the head of the plain request")
    host = H2Backend(peer, tunnels=True)
    assert host.head(0).one(b":path") == b"/plain"
    seen = host.head(1)
    assert seen.one(b":protocol") == b"websocket"
    host.answer(seen.stream, end=False)
    host.answer(host.head(0).stream, b"x")
    assert other.read_response().body == b"x"
    assert client.read_response().status == 101


def test_a_host_that_takes_no_tunnels(lab: Lab) -> None:
    """The request goes without its upgrade, which a server may leave unheeded (RFC 9110 section 7.8)."""
    client = lab.client()
    ask_http1(client)
    host = H2Backend(lab.accept())
    seen = host.whole()
    assert (seen.one(b":method"), seen.one(b":protocol")) == (b"GET", None)
    host.answer(seen.stream, b"no socket here")
    assert client.read_response().body == b"no socket here"
    other = H2Peer(lab.client())
    stream = ask_http2(other)
    host.answer(host.head(1).stream, b"no")
    assert other.answer(stream).status == 502


def test_a_host_that_refuses(lab: Lab) -> None:
    client = lab.client()
    ask_http1(client)
    host = H2Backend(lab.accept(), tunnels=True)
    host.answer(expect(host).stream, b"gone", status=404)
    answer = client.read_response()
    assert (answer.status, answer.body) == (404, b"gone")
    client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    host.answer(host.whole(1).stream, b"next")
    assert client.read_response().body == b"next"


CUTS: dict[str, Callable[[H2Backend, Request], None]] = {
    "reset": lambda host, seen: host.reset(seen.stream, 8),
    "end of the connection": lambda host, _: host.peer.close(),
}


@pytest.mark.parametrize("how", CUTS)
def test_a_tunnel_that_is_cut_off(lab: Lab, how: str) -> None:
    client = lab.client()
    ask_http1(client)
    host = H2Backend(lab.accept(), tunnels=True)
    seen = expect(host)
    host.answer(seen.stream, end=False)
    assert client.read_response().status == 101
    CUTS[how](host, seen)
    client.expect_reset()


def test_a_client_that_leaves(lab: Lab) -> None:
    client = lab.client()
    ask_http1(client)
    host = H2Backend(lab.accept(), tunnels=True)
    seen = expect(host)
    host.answer(seen.stream, end=False)
    assert client.read_response().status == 101
    client.reset()
    while seen.reset is None:
        host.receive()


@pytest.mark.parametrize("protocol", ["http1", "http2", "auto"])
@pytest.mark.parametrize("asked", ["HTTP/1.1", "HTTP/2"])
def test_through_a_pair_of_sidecars(tmp_path: Path, protocol: str, asked: str) -> None:
    backend = Backend()
    mesh = Mesh(tmp_path, backend.address, protocol=protocol)
    peers = [Peer(mesh.a.connect())]
    try:
        client = H2Peer(peers[0]) if asked == "HTTP/2" else None
        key = b"" if client else ask_http1(peers[0])
        stream = ask_http2(client) if client else 0
        peers.append(backend.accept())
        inner = peers[1].read_request()
        assert inner.start == b"GET /chat HTTP/1.1" and (inner.one(b"upgrade") or b"").lower() == b"websocket"
        inner_key = inner.one(b"sec-websocket-key") or b""
        peers[1].send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: " + accept_of(inner_key) + b"\r\n\r\nhello"
        )
        if client:
            assert client.head(stream).status == 200
            client.need(lambda: client.answers[stream].body == b"hello", "the first bytes")
            client.send(stream, b"and you")
        else:
            answer = peers[0].read_response()
            assert (answer.status, answer.one(b"sec-websocket-accept")) == (101, accept_of(key))
            assert peers[0].read(5) == b"hello"
            peers[0].send(b"and you")
        assert peers[1].read(7) == b"and you"
    finally:
        for peer in peers:
            peer.close()
        mesh.close()
        backend.close()
