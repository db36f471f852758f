"""Handshakes are bounded in number, and established connections go on beside as many as come."""

import ssl
from collections.abc import Iterator

import pytest

from tests._fast.flow.lab import Lab
from tests._fast.flow.papers import Papers, client_context
from tests._fast.flow.peers import Peer
from tests._fast.flow.sidecar import until
from tests._fast.flow.test_tls_downstream import client_hello

GET = b"GET /x HTTP/1.1\r\nhost: shop.example\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello"
MOST = 3


@pytest.fixture
def lab(papers: Papers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    certificate, key = papers.issue("server", "DNS:localhost")
    tls = {
        "certificate": certificate, "key": key, "max_handshakes": MOST, "handshake_timeout": "1m",
    }  # fmt: skip
    made = Lab(tmp_path_factory.mktemp("lab"), listener={"tls": tls})
    yield made
    made.tidy()
    made.close()


def greet(lab: Lab, papers: Papers) -> Peer:
    context: ssl.SSLContext = client_context(papers.ca)
    return lab.keep(Peer(context.wrap_socket(lab.sidecar.connect(), server_hostname="localhost")))


def ask(lab: Lab, client: Peer) -> None:
    client.send(GET)
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(ANSWER)
    assert client.read_response("GET").body == b"hello"


def displaced(lab: Lab) -> int:
    return lab.sidecar.total("tls_downstream_failed_displaced")


def test_a_flood_of_silent_clients_keeps_nobody_out(lab: Lab, papers: Papers) -> None:
    """Each that comes takes the place of the one that has stalled longest, never of an established one."""
    established = greet(lab, papers)
    stalled = [lab.client() for _ in range(2 * MOST)]
    ask(lab, established)
    ask(lab, greet(lab, papers))
    until(lambda: displaced(lab) == MOST + 1, "all that came above the limit have taken a place")
    for client in stalled[: MOST + 1]:
        client.expect_end()
    for client in stalled[MOST + 1 :]:
        assert client.silent()
    ask(lab, established)


def test_who_has_said_nothing_goes_first(lab: Lab, papers: Papers) -> None:
    begun = lab.client()
    lab.deliver(begun, client_hello(papers)[:50])
    stalled = [lab.client() for _ in range(MOST - 1)]
    ask(lab, greet(lab, papers))
    stalled[0].expect_end()
    assert begun.silent()
    begun.close()
    until(lambda: lab.sidecar.total("tls_downstream_failed_closed") == 1, "the one that left is counted")
    assert displaced(lab) == 1


def test_who_has_begun_is_displaced_by_and_by(lab: Lab, papers: Papers) -> None:
    begun = [lab.client() for _ in range(MOST)]
    for client in begun:
        lab.deliver(client, client_hello(papers)[:50])
    ask(lab, greet(lab, papers))
    begun[0].expect_end()
    assert displaced(lab) == 1
