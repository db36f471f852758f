"""HTTP/2 from clients over TLS: agreed upon by ALPN; and who the client is, is known to every request."""

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab
from tests._fast.flow.papers import CLIENT_ID, Papers, client_context
from tests._fast.flow.peers import Peer, response
from tests._fast.flow.sidecar import until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
PROTOCOL_ERROR = 1
Client = Callable[..., Peer]


@pytest.fixture(scope="module")
def tls(papers: Papers) -> dict[str, Any]:
    certificate, key = papers.issue("server", "DNS:localhost")
    return {"certificate": certificate, "key": key, "client_ca": papers.ca}


@pytest.fixture
def lab(tls: dict[str, Any], papers: Papers, laboratory: Laboratory) -> Lab:
    others = {
        "action": "deny", "routes": {"main": ["cart"]},
        "rules": [{"from": [{"not_principals": [CLIENT_ID]}]}],
    }  # fmt: skip
    return laboratory(
        listener={"tls": tls},
        routes=[{"name": "cart", "matches": [{"path": {"exact": "/cart"}}], "backends": [{"cluster": "c"}]}],
        policies={"no-others": others},
        access_log={"path": str(papers.folder / "access.log"), "format": "json"},
    )


@pytest.fixture
def client(lab: Lab, papers: Papers) -> Client:
    def connect(
        *offered: str, version: Any = None, name: str = "cart", uri: str = CLIENT_ID, to: Lab = lab
    ) -> Peer:
        context = client_context(papers.ca, papers.issue(name, f"URI:{uri}"))
        if offered:
            context.set_alpn_protocols(list(offered))
        if version:
            context.minimum_version = context.maximum_version = version
        raw = to.sidecar.connect()
        return to.keep(
            Peer(context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False))
        )

    return connect


def agreed(peer: Peer) -> str | None:
    assert isinstance(peer.connection, ssl.SSLSocket)
    return peer.connection.selected_alpn_protocol()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_on_one_connection(lab: Lab, client: Client, version: ssl.TLSVersion) -> None:
    peer = client("http/1.1", "h2", version=version)
    assert agreed(peer) == "h2"
    http = H2Peer(peer)
    streams = [http.ask(f"/{number}") for number in range(5)]
    for number, stream in enumerate(streams):
        upstream = lab.accept()
        seen = upstream.read_request()
        assert seen.start == b"GET /%d HTTP/1.1" % number
        assert seen.one(b"x-forwarded-proto") == b"https"
        upstream.send(response(b"x" * 50_000))
        assert http.answer(stream).body == b"x" * 50_000


def test_who_asks_is_known(lab: Lab, client: Client) -> None:
    """Every request is of the one whom the certificate names: in policies and in the log."""
    log = Path(lab.config["access_log"]["path"])
    http = H2Peer(client("h2"))
    stream = http.ask("/cart")
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(b"yes"))
    assert (http.answer(stream).status, http.answer(stream).body) == (200, b"yes")
    other = "spiffe://example.org/ns/shop/sa/other"
    http = H2Peer(client("h2", name="other", uri=other))
    assert http.answer(http.ask("/cart")).status == 403
    until(lambda: other in log.read_text(), "the second is logged")
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"/cart"' in line]
    assert [(line["principal"], line["protocol"]) for line in lines] == [
        (CLIENT_ID, "HTTP/2"), (other, "HTTP/2"),
    ]  # fmt: skip


@pytest.mark.parametrize("offered", [(), ("http/1.1",)])
def test_http1_where_that_is_agreed(lab: Lab, client: Client, offered: tuple[str, ...]) -> None:
    peer = client(*offered)
    assert agreed(peer) == (offered[0] if offered else None)
    peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(b"one"))
    assert peer.read_response().body == b"one"


@pytest.mark.parametrize("offered", [(), ("http/1.1",)])
def test_http2_that_was_not_agreed(client: Client, offered: tuple[str, ...]) -> None:
    """RFC 9113 section 3.3: over TLS nothing is known beforehand."""
    peer = client(*offered)
    peer.send(PREFACE + SETTINGS)
    assert peer.read_response().status == 400


def goaway_error(sent: bytes) -> int | None:
    """Of the frames that a server has sent: the error in the last of type GOAWAY."""
    error = None
    while len(sent) >= 9:
        length = int.from_bytes(sent[:3], "big") + 9
        if sent[3] == 7:
            error = int.from_bytes(sent[13:17], "big")
        sent = sent[length:]
    return error


def test_http1_where_http2_is_agreed(client: Client) -> None:
    peer = client("h2")
    peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert goaway_error(peer.read_rest()) == PROTOCOL_ERROR


@pytest.mark.parametrize("sent", [b"", PREFACE[:10], PREFACE, PREFACE + SETTINGS[:5]])
def test_nobody_who_says_too_little_is_kept(
    laboratory: Laboratory, tls: dict[str, Any], client: Client, sent: bytes
) -> None:
    peer = client("h2", to=laboratory(listener={"tls": tls, "request_head_timeout": "500ms"}))
    if sent:
        peer.send(sent)
    peer.expect_gone()


def test_a_greeting_in_small_pieces(lab: Lab, client: Client) -> None:
    peer = client("h2")
    for byte in PREFACE + SETTINGS:
        peer.send(bytes([byte]))
    peer.send(bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]) + b"in pieces"[:8])
    peer.read_until(b"in piece")


def test_a_cut_in_the_middle_is_no_end(lab: Lab, client: Client) -> None:
    """A body is cut off by a FIN without close_notify: the backend must not take it for the whole."""
    peer = client("h2")
    http = H2Peer(peer)
    stream = http.ask("/", method="POST", end=False)
    http.send(stream, b"half of it")
    upstream = lab.accept()
    upstream.read_until(b"half of it")
    peer.connection.close()
    upstream.expect_gone()
    assert b"\r\n0\r\n" not in bytes(upstream.received)


def test_a_drain_in_two_steps(lab: Lab, client: Client) -> None:
    """What was asked until a reload takes the listener away is answered."""
    config = json.loads(json.dumps(lab.config))
    http = H2Peer(client("h2"))
    stream = http.ask("/begun")
    upstream = lab.accept()
    upstream.read_request()
    config["listeners"][0]["name"] = "another"
    lab.sidecar.reload(config)
    http.need(lambda: len(http.goaways) == 1, "the first GOAWAY")
    assert http.goaways == [(2**31 - 1, 0)]
    http.need(lambda: len(http.goaways) == 2, "the second")
    assert http.goaways[1] == (stream, 0)
    upstream.send(response(b"answered"))
    assert http.answer(stream).body == b"answered"
    http.read_rest()
    lab.sidecar.reload(lab.config)
