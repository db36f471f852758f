"""WebSocket over HTTP/2 (RFC 8441) and CONNECT (RFC 9113 section 8.5): DATA are the bytes of a tunnel."""

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Peer
from tests._fast.flow.sidecar import until

SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
)


def ask(lab: Lab) -> tuple[H2Peer, int]:
    client = H2Peer(lab.client())
    client.need(lambda: client.http.remote_settings.enable_connect_protocol == 1, "the offer")
    fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "ws.test"),
        (":path", "/chat"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
    ]
    return client, client.ask_raw(fields, end=False)


def open_tunnel(lab: Lab) -> tuple[H2Peer, int, Peer]:
    client, stream = ask(lab)
    upstream = lab.accept()
    seen = upstream.read_head()
    assert seen.start == b"GET /chat HTTP/1.1"
    assert (seen.one(b"upgrade"), seen.one(b"connection")) == (b"websocket", b"upgrade")
    assert seen.one(b"host") == b"ws.test"
    key = seen.one(b"sec-websocket-key")
    assert key and len(key) == 24 and key.endswith(b"==")
    upstream.send(SWITCHING)
    answer = client.head(stream)
    assert answer.status == 200
    assert answer.one(b"sec-websocket-accept") is None
    assert answer.one(b"upgrade") is None
    assert answer.one(b"sec-websocket-protocol") == b"chat"
    return client, stream, upstream


def test_bytes_go_both_ways_and_each_side_ends_by_itself(lab: Lab) -> None:
    client, stream, upstream = open_tunnel(lab)
    until(lambda: lab.sidecar.total("tunnels_active") == 1, "the tunnel is counted")
    answer = client.answers[stream]
    for number in range(30):
        client.send(stream, b"ping %d" % number)
        assert upstream.read(len(b"ping %d" % number)) == b"ping %d" % number
        upstream.send(b"pong %d" % number)
    client.need(lambda: answer.body.endswith(b"pong 29"), "all that was said")
    client.send(stream, b"bye", True)
    assert upstream.read_rest() == b"bye"
    upstream.send(b"and me")
    upstream.close()
    assert client.answer(stream).body.endswith(b"pong 29and me")


def test_two_tunnels_and_requests_on_one_connection(lab: Lab) -> None:
    client, first, upstream = open_tunnel(lab)
    stream = client.ask("/plain")
    other = lab.accept()
    other.read_request()
    other.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert client.answer(stream).body == b"ok"
    upstream.send(b"still there")
    client.need(lambda: client.answers[first].body == b"still there", "the tunnel")


def test_a_cancelled_tunnel_is_cut_off(lab: Lab) -> None:
    client, stream, upstream = open_tunnel(lab)
    client.cancel(stream)
    with pytest.raises((ConnectionResetError, AssertionError)):
        upstream.read(1)


def test_a_backend_that_is_cut_off_resets_the_stream(lab: Lab) -> None:
    client, stream, upstream = open_tunnel(lab)
    upstream.reset()
    assert client.answer(stream).reset is not None


@pytest.mark.parametrize(("said", "status"), [(b"200 OK", 502), (b"404 Not Found", 404)])
def test_an_answer_that_opens_no_tunnel(lab: Lab, said: bytes, status: int) -> None:
    client, stream = ask(lab)
    upstream = lab.accept()
    upstream.read_head()
    upstream.send(b"HTTP/1.1 " + said + b"\r\nContent-Length: 2\r\n\r\nno")
    answer = client.answer(stream)
    assert (answer.status, answer.body) == (status, b"no")


def test_a_route_without_upgrades(laboratory: Laboratory) -> None:
    lab = laboratory(route={"upgrade": False})
    client, stream = ask(lab)
    assert client.answer(stream).status == 501


def test_connect(laboratory: Laboratory) -> None:
    lab = laboratory(route={"connect": True})
    client = H2Peer(lab.client())
    stream = client.ask_raw([(":method", "CONNECT"), (":authority", "far.test:443")], end=False)
    upstream = lab.accept()
    seen = upstream.read_head()
    assert seen.start == b"CONNECT far.test:443 HTTP/1.1"
    assert seen.one(b"host") == b"far.test:443"
    upstream.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
    client.need(lambda: client.answers[stream].body == b"hello", "the first bytes")
    client.send(stream, b"answer")
    assert upstream.read(6) == b"answer"
