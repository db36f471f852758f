"""TLS with endpoints: only to the one that is meant, and what a client learns when it is not."""

import contextlib
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.papers import CLIENT_ID, DAY, SERVER_ID, Papers, server_context
from tests._fast.flow.peers import Ended, Message, Peer
from tests._fast.flow.sidecar import until

GET = b"GET /x HTTP/1.1\r\nhost: shop.example\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 2\r\n\r\nhi"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


@pytest.fixture(scope="module")
def tls(papers: Papers) -> dict[str, Any]:
    certificate, key = papers.issue("client", f"URI:{CLIENT_ID}")
    return {
        "ca": papers.ca, "certificate": certificate, "key": key, "sni": "stock.example",
        "verify": {"uri": [SERVER_ID], "dns": ["stock.example"]},
    }  # fmt: skip


@pytest.fixture
def lab(tls: dict[str, Any], laboratory: Laboratory) -> Lab:
    return laboratory(cluster={"tls": tls, "connect_timeout": "2s"})


@pytest.fixture
def right(papers: Papers) -> ssl.SSLContext:
    return server_context(papers.issue("stock", f"URI:{SERVER_ID}"), papers.ca)


def accept(lab: Lab, context: ssl.SSLContext) -> Peer:
    """The next connection to the backend, its handshake done."""
    raw = lab.backend.accept()
    return lab.keep(Peer(context.wrap_socket(raw.connection, server_side=True)))


def refuse(lab: Lab, context: ssl.SSLContext) -> None:
    """The same, for a backend that the sidecar will not talk to."""
    raw = lab.backend.accept()
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        connection = context.wrap_socket(raw.connection, server_side=True)
        connection.recv(1)
        connection.close()
    raw.close()


def failure(lab: Lab, context: ssl.SSLContext, reason: str) -> Message:
    before = lab.sidecar.total(f"tls_upstream_failed_{reason}")
    client = lab.client()
    client.send(GET)
    refuse(lab, context)
    answer = client.read_response("GET")
    assert answer.status == 503
    until(
        lambda: lab.sidecar.total(f"tls_upstream_failed_{reason}") > before, f"the failure is one of {reason}"
    )
    return answer


def test_requests_go_through_and_the_connection_is_kept(lab: Lab, right: ssl.SSLContext) -> None:
    client = lab.client()
    upstream = None
    for sent in (GET, POST, GET):
        client.send(sent)
        upstream = upstream or accept(lab, right)
        upstream.read_request()
        upstream.send(ANSWER)
        assert client.read_response("GET").body == b"hello"
    assert upstream is not None
    connection: Any = upstream.connection
    assert ("URI", CLIENT_ID) in connection.getpeercert()["subjectAltName"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(lab: Lab, right: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    right.minimum_version = right.maximum_version = version
    reused = []
    for _ in range(3):
        client = lab.client()
        client.send(GET)
        upstream = accept(lab, right)
        connection: Any = upstream.connection
        reused.append(connection.session_reused)
        upstream.read_request()
        upstream.send(ANSWER.replace(b"content-length", b"connection: close\r\ncontent-length"))
        assert client.read_response("GET").body == b"hello"
        upstream.close()
    assert reused[-1]


def test_the_name_is_asked_for(lab: Lab, right: ssl.SSLContext) -> None:
    names = []
    right.sni_callback = lambda connection, name, context: names.append(name)
    client = lab.client()
    client.send(GET)
    upstream = accept(lab, right)
    upstream.read_request()
    upstream.send(ANSWER)
    client.read_response("GET")
    assert names == ["stock.example"]


def test_a_certificate_by_dns_name_is_as_good(lab: Lab, papers: Papers) -> None:
    for name in ("DNS:stock.example", "DNS:*.example", "DNS:STOCK.example"):
        context = server_context(papers.issue("dns", name), papers.ca)
        client = lab.client()
        client.send(GET)
        if name == "DNS:*.example":
            # A wildcard with one label behind it stands for nothing
            refuse(lab, context)
            assert client.read_response("GET").status == 503
            continue
        upstream = accept(lab, context)
        upstream.read_request()
        upstream.send(ANSWER.replace(b"content-length", b"connection: close\r\ncontent-length"))
        assert client.read_response("GET").body == b"hello"
        upstream.close()


@pytest.mark.parametrize(
    "name", ["URI:spiffe://example.org/ns/shop/sa/other", "DNS:stock.example.org", f"URI:{SERVER_ID}/"]
)
def test_another_name(lab: Lab, papers: Papers, name: str) -> None:
    answer = failure(lab, server_context(papers.issue("impostor", name)), "name")
    assert b"not for the name" in answer.body
    assert b"tls_certificate_error" in (answer.one(b"proxy-status") or b"")


@pytest.mark.parametrize(
    ("begins", "ends", "word"), [(-2 * DAY, -DAY, b"expired"), (DAY, 2 * DAY, b"not yet valid")]
)
def test_out_of_its_time(lab: Lab, papers: Papers, begins: float, ends: float, word: bytes) -> None:
    pair = papers.issue("untimely", f"URI:{SERVER_ID}", begins=begins, ends=ends)
    answer = failure(lab, server_context(pair), "certificate")
    assert word in answer.body, answer.body


def test_another_ca(lab: Lab, tmp_path: Path) -> None:
    pair = Papers(tmp_path, "other").issue("stock", f"URI:{SERVER_ID}")
    assert b"issuer" in failure(lab, server_context(pair), "certificate").body


def test_a_server_that_speaks_no_tls(lab: Lab) -> None:
    client = lab.client()
    client.send(GET)
    upstream = lab.accept()
    upstream.send(ANSWER)
    answer = client.read_response("GET")
    assert answer.status == 503
    assert b"TLS" in answer.body


def test_a_server_that_refuses_us(lab: Lab, papers: Papers, tmp_path: Path) -> None:
    """In TLS 1.2 it says so in the handshake; in 1.3 it comes behind it, in place of an answer."""
    context = server_context(papers.issue("stock", f"URI:{SERVER_ID}"), Papers(tmp_path, "other").ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    answer = failure(lab, context, "alert")
    assert b"tls_alert_received" in (answer.one(b"proxy-status") or b"")
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    client = lab.client()
    client.send(GET)
    for _ in range(3):  # it may be tried again: nobody has taken the request
        refuse(lab, context)
        if not lab.backend.waiting():
            break
    assert client.read_response("GET").status == 503


def test_a_handshake_that_stalls_is_a_failed_connection(lab: Lab) -> None:
    client = lab.client()
    client.send(GET)
    raw = lab.accept()
    answer = client.read_response("GET")
    assert answer.status == 503
    assert b"took too long" in answer.body
    raw.close()


def test_a_server_that_leaves_in_the_handshake(lab: Lab) -> None:
    for end in ("close", "reset"):
        client = lab.client()
        client.send(GET)
        raw = lab.accept()
        raw.read(10)
        raw.close() if end == "close" else raw.reset()
        assert client.read_response("GET").status == 503


def test_a_body_to_the_end_needs_close_notify(lab: Lab, right: ssl.SSLContext) -> None:
    for orderly in (True, False):
        client = lab.client()
        client.send(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n")
        upstream = accept(lab, right)
        upstream.read_request()
        upstream.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end")
        client.read_until(b"to the end")
        connection: Any = upstream.connection
        if orderly:
            with contextlib.suppress(OSError):
                connection.unwrap()
        raw = socket.socket(fileno=connection.detach())
        raw.close()
        if orderly:
            assert client.read_until(b"0\r\n\r\n")
        else:
            with pytest.raises((Ended, ConnectionError)):
                client.read_until(b"0\r\n\r\n")


def test_large_bodies_both_ways(lab: Lab, right: ssl.SSLContext) -> None:
    size = 3_000_000
    body = bytes(range(250)) * (size // 250)
    client = lab.client()
    client.send(b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size)
    upstream = accept(lab, right)
    upstream.read_until(b"\r\n\r\n")
    for start in range(0, size, 50_000):
        client.send(body[start : start + 50_000])
        assert upstream.read(50_000) == body[start : start + 50_000]
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
    client.read_until(b"\r\n\r\n")
    for start in range(0, size, 50_000):
        upstream.send(body[start : start + 50_000])
        assert client.read(50_000) == body[start : start + 50_000]
    upstream.close()
