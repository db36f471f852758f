"""After 101, or 2xx to a CONNECT, bytes go both ways until both have ended (RFC 9110 sections 7.8, 9.3.6)."""

import os
import select
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import PATIENCE, Peer, request, response
from tests._fast.flow.sidecar import until
from tests.descriptors import open_files

PIPES_KEPT = 8  # by a worker, for whoever needs one next
WEBSOCKET = [
    b"Connection: keep-alive, Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
]
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def open_tunnel(lab: Lab, early: bytes = b"", first: bytes = b"") -> tuple[Peer, Peer]:
    """`early` comes right behind the request, `first` right behind the 101."""
    client = lab.client()
    client.send(request("GET", "/chat", *WEBSOCKET) + early)
    upstream = lab.accept()
    seen = upstream.read_head()
    assert seen.one(b"upgrade") == b"websocket"
    assert (seen.one(b"connection") or b"").lower() == b"upgrade"
    assert seen.one(b"sec-websocket-key") == b"dGhlIHNhbXBsZSBub25jZQ=="
    upstream.send(SWITCHING + first)
    got = client.read_head()
    assert got.status == 101
    assert got.one(b"upgrade") == b"websocket"
    assert (got.one(b"connection") or b"").lower() == b"upgrade"
    assert got.one(b"sec-websocket-accept") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    return client, upstream


def test_bytes_go_both_ways(lab: Lab) -> None:
    client, upstream = open_tunnel(lab)
    until(lambda: lab.sidecar.total("tunnels_active") == 1, "the tunnel is counted")
    for index in range(50):
        client.send(b"ping %d" % index)
        assert upstream.read(len(b"ping %d" % index)) == b"ping %d" % index
        upstream.send(b"pong %d" % index)
        assert client.read(len(b"pong %d" % index)) == b"pong %d" % index


def test_bytes_that_come_with_the_heads(lab: Lab) -> None:
    """What follows a head in the same packet belongs to the tunnel, even what looks like HTTP."""
    client, upstream = open_tunnel(lab, b"GET / HTTP/1.1\r\n\r\n", response(b"x"))
    assert upstream.read(18) == b"GET / HTTP/1.1\r\n\r\n"
    assert client.read(len(response(b"x"))) == response(b"x")


def test_many_bytes_both_ways_at_once(lab: Lab) -> None:
    client, upstream = open_tunnel(lab)
    data = os.urandom(1 << 16)
    for _ in range(16):
        client.send(data)
        upstream.send(data[::-1])
        assert upstream.read(len(data)) == data
        assert client.read(len(data)) == data[::-1]


def test_the_client_ends_first(lab: Lab) -> None:
    client, upstream = open_tunnel(lab)
    client.send(b"last words")
    client.half_close()
    assert upstream.read_rest() == b"last words"
    upstream.send(b"and ")
    assert client.read(4) == b"and "
    upstream.send(b"an answer")
    upstream.close()
    assert client.read_rest() == b"an answer"


def test_the_backend_ends_first(lab: Lab) -> None:
    client, upstream = open_tunnel(lab)
    upstream.send(b"last words")
    upstream.half_close()
    assert client.read_rest() == b"last words"
    client.send(b"and ")
    assert upstream.read(4) == b"and "
    client.send(b"an answer")
    client.close()
    assert upstream.read_rest() == b"an answer"


def test_a_long_farewell_to_a_slow_reader(lab: Lab) -> None:
    """More than the sockets hold is on its way when both ends have been sent: all of it arrives."""
    client, upstream = open_tunnel(lab)
    data = os.urandom(1 << 20)
    client.half_close()
    assert upstream.read_rest() == b""
    upstream.connection.setblocking(False)
    sent = 0
    while sent < len(data):
        try:
            sent += upstream.connection.send(data[sent : sent + 65536])
        except BlockingIOError:
            client.fill()
    upstream.close()
    client.read_rest()
    assert bytes(client.received).endswith(data)


def stuff(sender: Peer) -> int:
    """Send until nobody takes any more; the number of bytes."""
    sender.connection.setblocking(False)
    sent, idle = 0, 0
    while idle < 20:
        try:
            sent += sender.connection.send(bytes(65536))
            idle = 0
        except BlockingIOError:
            idle += 1
            select.select([], [sender.connection], [], 0.01)
    sender.connection.settimeout(PATIENCE)
    return sent


def test_an_end_that_has_to_wait_for_a_slow_backend(lab: Lab) -> None:
    """The client's FIN comes while what it sent before still waits: it is passed on, then the tunnel ends."""
    client, upstream = open_tunnel(lab)
    sent = stuff(client)
    client.half_close()
    assert len(upstream.read_rest()) == sent
    upstream.close()
    assert client.read_rest() == b""
    until(lambda: lab.sidecar.total("tunnels_active") == 0, "the tunnel has ended")


def test_a_slow_client_gets_all_after_both_ends(lab: Lab) -> None:
    """The tunnel is not over while bytes wait for a client that does not read."""
    client, upstream = open_tunnel(lab)
    client.half_close()
    assert upstream.read_rest() == b""
    sent = stuff(upstream)
    upstream.close()
    until(lambda: lab.sidecar.total("bytes_downstream_sent") > 0, "the first of it is sent")
    assert lab.sidecar.total("tunnels_active") == 1
    assert len(client.read_rest()) == sent


def test_bulk_goes_through_a_pipe_and_talk_does_not(lab: Lab) -> None:
    """Long runs of bytes each way, then short ones, then the ends: nothing is lost where the ways change."""
    client, upstream = open_tunnel(lab)
    data = os.urandom(8 << 20)
    for sender, receiver in ((client, upstream), (upstream, client)):
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(sender.send, data)
            assert receiver.read(len(data)) == data
            sending.result()
        for index in range(20):
            sender.send(b"talk %d" % index)
            assert receiver.read(len(b"talk %d" % index)) == b"talk %d" % index
    assert pipes(lab.sidecar.workers()[0]) <= PIPES_KEPT, "an idle tunnel holds no pipe of its own"
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(lambda: (client.send(data), client.half_close()))
        assert upstream.read_rest() == data
        sending.result()
    upstream.send(b"bye")
    upstream.close()
    assert client.read_rest() == b"bye"


def pipes(pid: int) -> int:
    """How many pipes a process has open."""
    names = set(open_files(pid).values())
    return sum(name.startswith("pipe:") for name in names)


@pytest.mark.parametrize("who", ["client", "upstream"])
def test_a_reset_ends_both_sides(lab: Lab, who: str) -> None:
    client, upstream = open_tunnel(lab)
    gone, left = (client, upstream) if who == "client" else (upstream, client)
    gone.reset()
    left.expect_gone()
    left.close()


def test_a_backend_that_has_left_is_not_written_to_for_ever(lab: Lab) -> None:
    """It has closed both ways: once that shows, the client's side ends too, though the client has not."""
    client, upstream = open_tunnel(lab)
    upstream.close()
    assert client.read_rest() == b""
    client.send(b"anybody there?")
    until(lambda: lab.sidecar.total("tunnels_active") == 0, "the tunnel has ended")


def test_a_client_that_has_left_is_not_written_to_for_ever(lab: Lab) -> None:
    client, upstream = open_tunnel(lab)
    client.close()
    assert upstream.read_rest() == b""
    upstream.send(b"anybody there?")
    until(lambda: lab.sidecar.total("tunnels_active") == 0, "the tunnel has ended")


def test_an_idle_tunnel_ends(laboratory: Laboratory) -> None:
    lab = laboratory(route={"timeouts": {"idle": "200ms"}})
    client, upstream = open_tunnel(lab)
    for _ in range(5):
        client.send(b"x")
        assert upstream.read(1) == b"x"
    client.expect_gone()
    upstream.expect_gone()
    until(lambda: lab.sidecar.flags().get("SI") == 1, "it is counted")


def test_the_request_timeout_does_not_end_a_tunnel(laboratory: Laboratory) -> None:
    lab = laboratory(route={"timeouts": {"request": "100ms", "per_try": "100ms", "idle": "400ms"}})
    client, upstream = open_tunnel(lab)
    client.expect_gone()
    until(lambda: lab.sidecar.flags() == {"SI": 1}, "it is counted")
    upstream.expect_gone()


# -- upgrades that do not come about -------------------------------------------------------------------


def test_a_refused_upgrade_is_an_ordinary_answer(lab: Lab) -> None:
    client = lab.client()
    client.send(request("GET", "/chat", *WEBSOCKET))
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(b"no", status=b"403 Forbidden"))
    assert client.read_response().body == b"no"
    client.send(request())
    upstream.read_request()
    upstream.send(response(b"yes"))
    assert client.read_response().body == b"yes"


def test_an_upgrade_that_the_route_forbids_is_not_asked_for(laboratory: Laboratory) -> None:
    lab = laboratory(route={"upgrade": False})
    seen, got = lab.exchange(request("GET", "/chat", *WEBSOCKET), response(b"plain"))
    assert seen.all(b"upgrade") == seen.all(b"connection") == []
    assert got.body == b"plain"


def test_101_that_nobody_asked_for(lab: Lab) -> None:
    client = lab.client()
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(SWITCHING)
    assert client.read_response().status == 502
    upstream.expect_gone()


def test_an_upgrade_in_http_1_0_is_ignored(lab: Lab) -> None:
    seen, _ = lab.exchange(
        b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", response(b"plain")
    )
    assert seen.all(b"upgrade") == []


def test_an_upgrade_without_the_connection_option_is_ignored(lab: Lab) -> None:
    seen, _ = lab.exchange(request("GET", "/", b"Upgrade: websocket"), response())
    assert seen.all(b"upgrade") == []


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket, H2C", b"HTTP/2.0", b"TLS/1.0, HTTP/1.1"])
def test_an_upgrade_to_another_http_is_not_passed_on(lab: Lab, protocol: bytes) -> None:
    """Its requests would reach the backend unseen, past routes and policies."""
    seen, _ = lab.exchange(
        request(
            "GET",
            "/",
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: " + protocol,
            b"HTTP2-Settings: AAMA",
        ),
        response(),
    )
    assert seen.all(b"upgrade") == seen.all(b"http2-settings") == []


@pytest.mark.parametrize(
    ("framing", "body"),
    [(b"Content-Length: 5", b"hello"), (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n")],
)
def test_an_upgrade_with_a_body_is_not_asked_for(lab: Lab, framing: bytes, body: bytes) -> None:
    """A 101 in the middle of the body would leave in doubt where the tunnel begins."""
    seen, got = lab.exchange(request("POST", "/", *WEBSOCKET, framing) + body, response(b"plain"))
    assert seen.all(b"upgrade") == []
    assert seen.body == b"hello"
    assert got.body == b"plain"


# -- CONNECT -------------------------------------------------------------------------------------------

CONNECT = b"CONNECT db.test:5432 HTTP/1.1\r\nHost: db.test:5432\r\n\r\n"


def test_connect_is_refused(lab: Lab) -> None:
    client = lab.client()
    client.send(CONNECT)
    assert client.read_response().status == 405
    client.expect_end()
    assert not lab.backend.waiting()


def test_connect_where_a_route_allows_it(laboratory: Laboratory) -> None:
    lab = laboratory(route={"connect": True})
    client = lab.client()
    client.send(CONNECT + b"early")
    upstream = lab.accept()
    assert upstream.read_head().start == b"CONNECT db.test:5432 HTTP/1.1"
    assert upstream.silent(), "what may be for the tunnel waits for its opening"
    upstream.send(b"HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n\r\nfirst")
    head = client.read_head()
    assert head.status == 200
    assert head.all(b"content-length") == head.all(b"transfer-encoding") == []
    assert client.read(5) == b"first"
    assert upstream.read(5) == b"early"
    client.half_close()
    assert upstream.read_rest() == b""
    upstream.send(b"bye")
    upstream.close()
    assert client.read_rest() == b"bye"


def test_connect_that_the_backend_refuses(laboratory: Laboratory) -> None:
    lab = laboratory(route={"connect": True})
    client = lab.client()
    client.send(CONNECT)
    upstream = lab.accept()
    upstream.read_head()
    upstream.send(response(b"no", status=b"403 Forbidden"))
    got = client.read_response()
    assert (got.status, got.body) == (403, b"no")
    assert got.one(b"connection") == b"close"
    client.expect_end()
