"""TLS with clients: who is let in, who is refused and how, and that a request is the same as without."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.papers import CLIENT_ID, DAY, Papers, client_context
from tests._fast.flow.peers import Peer
from tests._fast.flow.sidecar import until

GET = b"GET /x HTTP/1.1\r\nhost: shop.example\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
Client = Callable[..., Peer]


@pytest.fixture(scope="module")
def tls(papers: Papers) -> dict[str, Any]:
    """The listener's section: mutual TLS, and further certificates for other names."""
    certificate, key = papers.issue("server", "DNS:localhost", "DNS:shop.example")
    exact, exact_key = papers.issue("exact", "DNS:exact.example")
    wild, wild_key = papers.issue("wild", "DNS:*.wild.example")
    return {
        "certificate": certificate, "key": key, "client_ca": papers.ca,
        "certificates": [
            {"certificate": exact, "key": exact_key},
            {"certificate": wild, "key": wild_key, "hostnames": ["*.wild.example", "other.example"]},
        ],
    }  # fmt: skip


@pytest.fixture
def lab(tls: dict[str, Any], papers: Papers, laboratory: Laboratory) -> Lab:
    log = {"path": str(papers.folder / "access.log"), "format": "json"}
    return laboratory(listener={"tls": {**tls, "handshake_timeout": "2s"}}, access_log=log)


@pytest.fixture
def client(lab: Lab, papers: Papers) -> Client:
    def connect(context: ssl.SSLContext | None = None, name: str = "localhost") -> Peer:
        context = context or client_context(papers.ca, papers.issue("cart", f"URI:{CLIENT_ID}"))
        raw = lab.sidecar.connect()
        return lab.keep(Peer(context.wrap_socket(raw, server_hostname=name, suppress_ragged_eofs=False)))

    return connect


def failed(lab: Lab, reason: str) -> int:
    return lab.sidecar.total(f"tls_downstream_failed_{reason}")


@contextlib.contextmanager
def counted(lab: Lab, reason: str) -> Iterator[None]:
    """Exactly one handshake fails meanwhile, for this reason."""
    before = failed(lab, reason)
    yield
    until(lambda: failed(lab, reason) == before + 1, f"a failure of the kind {reason}")


# -- what goes through --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_request_goes_through(lab: Lab, client: Client, papers: Papers, version: ssl.TLSVersion) -> None:
    context = client_context(papers.ca, papers.issue("cart", f"URI:{CLIENT_ID}"))
    context.minimum_version = context.maximum_version = version
    peer = client(context)
    upstream = None
    for _ in range(3):
        peer.send(GET)
        upstream = upstream or lab.accept()
        seen = upstream.read_request()
        assert seen.one(b"x-forwarded-proto") == b"https"
        upstream.send(ANSWER)
        assert peer.read_response("GET").body == b"hello"


def test_the_log_says_who_it_was(lab: Lab, client: Client) -> None:
    log = Path(lab.config["access_log"]["path"])
    peer = client()
    peer.send(GET.replace(b"/x", b"/who"))
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(ANSWER)
    peer.read_response("GET")
    until(lambda: '"/who"' in log.read_text(), "the line of the request")
    line = next(line for line in log.read_text().splitlines() if '"/who"' in line)
    assert f'"principal":"{CLIENT_ID}"' in line.replace("\\/", "/")


def test_bodies_of_any_size_both_ways(lab: Lab, client: Client) -> None:
    peer = client()
    peer.connection.settimeout(30)
    upstream: Peer | None = None
    for size in (1, 4095, 16384, 16385, 300_000, 5_000_000):
        body = bytes(range(256)) * (size // 256 + 1)
        body = body[:size]
        peer.send(b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size)
        upstream = upstream or lab.accept()
        # In pieces, so that neither side has to hold all of it
        head = upstream.read_until(b"\r\n\r\n")
        assert b"content-length: %d" % size in head
        for start in range(0, size, 65536):
            piece = body[start : start + 65536]
            peer.send(piece)
            assert upstream.read(len(piece)) == piece
        upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        got = b""
        peer.read_until(b"\r\n\r\n")
        for start in range(0, size, 65536):
            piece = body[start : start + 65536]
            upstream.send(piece)
            got = peer.read(len(piece))
            assert got == piece


def test_pipelined_requests_in_one_record_and_in_many(lab: Lab, client: Client) -> None:
    peer = client()
    peer.send(GET * 3)
    upstream = lab.accept()
    for _ in range(3):
        upstream.read_request()
        upstream.send(ANSWER)
        assert peer.read_response("GET").body == b"hello"
    for octet in GET:
        peer.send(bytes([octet]))
    upstream.read_request()
    upstream.send(ANSWER)
    assert peer.read_response("GET").body == b"hello"


def test_more_than_a_buffer_of_requests_that_all_come_at_once(lab: Lab, client: Client) -> None:
    """What the session holds and no event tells of again is read nevertheless."""
    peer = client()
    count = 200
    padded = GET[:-2] + b"x-pad: " + b"p" * 400 + b"\r\n\r\n"
    peer.send(padded * count)
    upstream = lab.accept()
    for _ in range(count):
        upstream.read_request()
        upstream.send(ANSWER)
        assert peer.read_response("GET").body == b"hello"


def test_a_client_that_reads_slowly_gets_all(lab: Lab, client: Client) -> None:
    peer = client()
    size = 64_000_000  # more than the sockets of all three hold
    peer.send(GET)
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
    upstream.connection.setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while sent < size:
            sent += upstream.connection.send(bytes([sent % 251]) * min(65536, size - sent))
    assert sent < size, "the sidecar has taken all of it, though nobody reads"
    peer.read_until(b"\r\n\r\n")
    got = 0
    while got < size:
        # What is on its way always comes; whether the socket takes more at once is the window's to say.
        got += len(peer.read(min(sent - got, 65536)))
        with contextlib.suppress(BlockingIOError):
            while sent < size:
                sent += upstream.connection.send(b"y" * min(65536, size - sent))


def test_a_body_to_the_end_of_the_connection_ends_with_close_notify(lab: Lab, client: Client) -> None:
    peer = client()
    peer.send(b"GET /x HTTP/1.0\r\nhost: a\r\n\r\n")
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\n\r\nto the end")
    upstream.close()
    assert peer.read_until(b"to the end").endswith(b"to the end")
    assert peer.connection.recv(1) == b""  # ssl.SSLEOFError without close_notify


def test_a_body_that_the_backend_cuts_off_does_not_end_with_close_notify(lab: Lab, client: Client) -> None:
    peer = client()
    peer.send(b"GET /x HTTP/1.0\r\nhost: a\r\n\r\n")
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
    peer.read_until(b"hello")
    upstream.reset()
    with pytest.raises(OSError):
        while peer.connection.recv(100):
            pass


# -- names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("localhost", "localhost"), ("exact.example", "exact.example"), ("EXACT.example", "exact.example"),
        ("a.wild.example", "*.wild.example"), ("b.wild.example", "*.wild.example"),
        ("other.example", "*.wild.example"), ("a.b.wild.example", "localhost"),
        ("nobody.example", "localhost"),
    ],
)  # fmt: skip
def test_the_certificate_is_the_one_for_the_name(
    lab: Lab, client: Client, papers: Papers, name: str, shown: str
) -> None:
    context = client_context(papers.ca, papers.issue("cart", f"URI:{CLIENT_ID}"))
    context.check_hostname = False
    peer = client(context, name)
    assert isinstance(peer.connection, ssl.SSLSocket)
    certificate: Any = peer.connection.getpeercert()
    assert ("DNS", shown) in certificate["subjectAltName"]


def test_the_protocol_is_agreed_on(client: Client, papers: Papers) -> None:
    context = client_context(papers.ca, papers.issue("cart", f"URI:{CLIENT_ID}"))
    for offered, chosen in ((["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1")):
        context.set_alpn_protocols(offered)
        peer = client(context)
        assert isinstance(peer.connection, ssl.SSLSocket)
        assert peer.connection.selected_alpn_protocol() == chosen
    context.set_alpn_protocols(["spdy/3"])
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        client(context)


def test_a_session_is_resumed(lab: Lab, client: Client, papers: Papers) -> None:
    context = client_context(papers.ca, papers.issue("cart", f"URI:{CLIENT_ID}"))
    first = client(context)
    first.send(GET)
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(ANSWER)
    first.read_response("GET")
    assert isinstance(first.connection, ssl.SSLSocket)
    before = lab.sidecar.total("tls_downstream_resumed")
    again = context.wrap_socket(
        lab.sidecar.connect(), server_hostname="localhost", session=first.connection.session
    )
    lab.keep(Peer(again))
    assert again.session_reused
    until(lambda: lab.sidecar.total("tls_downstream_resumed") == before + 1, "the resumption is counted")


# -- who is refused --------------------------------------------------------------------------------------


def refused(peer: Peer) -> None:
    """In TLS 1.3 a client learns of it with its first read."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        peer.send(GET)
        while peer.connection.recv(100):
            pass
        raise ConnectionError("closed without a word")


def test_no_client_certificate(lab: Lab, client: Client, papers: Papers) -> None:
    with counted(lab, "no_certificate"):
        refused(client(client_context(papers.ca)))


@pytest.mark.parametrize(
    ("begins", "ends"), [(-2 * DAY, -DAY), (DAY, 2 * DAY)], ids=["expired", "not yet valid"]
)
def test_out_of_its_time(lab: Lab, client: Client, papers: Papers, begins: float, ends: float) -> None:
    pair = papers.issue("untimely", f"URI:{CLIENT_ID}", begins=begins, ends=ends)
    with counted(lab, "certificate"):
        refused(client(client_context(papers.ca, pair)))


def test_another_ca(lab: Lab, client: Client, papers: Papers, tmp_path: Path) -> None:
    pair = Papers(tmp_path, "other").issue("cart", f"URI:{CLIENT_ID}")
    with counted(lab, "certificate"):
        refused(client(client_context(papers.ca, pair)))


@pytest.mark.parametrize(
    "names",
    [
        (f"URI:{CLIENT_ID}", "URI:spiffe://example.org/other"),
        (f"URI:{CLIENT_ID}", "URI:https://a.example/"),
        ("URI:spiffe://example.org/a/../b",), ("URI:spiffe://",), ("URI:spiffe://EXAMPLE.org/a",),
        ("URI:spiffe://example.org/a?b",),
    ],
)  # fmt: skip
def test_a_doubtful_identity(lab: Lab, client: Client, papers: Papers, names: tuple[str, ...]) -> None:
    with counted(lab, "certificate"):
        refused(client(client_context(papers.ca, papers.issue("doubtful", *names))))


def test_plain_http_gets_an_answer_that_it_can_read(lab: Lab) -> None:
    with counted(lab, "plain"):
        peer = lab.client()
        peer.send(GET)
        answer = peer.read_response("GET")
    assert answer.status == 400
    assert b"TLS" in answer.body
    assert peer.read_rest() == b""


@pytest.mark.parametrize(
    "garbage",
    [b"\x00" * 100, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x16\x03\x01\xff\xff" + b"\x01" * 20000,
     b"\x80\x2e\x01\x03\x01" + b"\x00" * 80, b"SSH-2.0-x\r\n"],
    ids=["zeroes", "broken hello", "oversized record", "SSL 2", "ssh"],
)  # fmt: skip
def test_garbage(lab: Lab, garbage: bytes) -> None:
    handshakes = lab.sidecar.total("tls_downstream_handshakes")
    before = sum(failed(lab, reason) for reason in ("protocol", "closed", "plain"))
    peer = lab.client()
    with contextlib.suppress(ConnectionError):
        peer.send(garbage)
        peer.half_close()
        peer.read_rest()
    until(
        lambda: sum(failed(lab, reason) for reason in ("protocol", "closed", "plain")) == before + 1,
        "the failure is counted",
    )
    assert lab.sidecar.total("tls_downstream_handshakes") == handshakes


def client_hello(papers: Papers) -> bytes:
    outgoing = ssl.MemoryBIO()
    session = client_context(papers.ca).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def test_a_handshake_that_stops_anywhere(lab: Lab, papers: Papers) -> None:
    hello = client_hello(papers)
    for end in [*range(0, len(hello), 23), len(hello)]:
        before = failed(lab, "closed")
        peer = lab.client()
        peer.send(hello[:end])
        if end % 2:
            peer.half_close()
            peer.read_rest()
        else:
            peer.reset()
        until(lambda before=before: failed(lab, "closed") == before + 1, f"counted at {end}")


def test_a_handshake_byte_by_byte(lab: Lab, papers: Papers) -> None:
    """Over a socket pair that passes every byte on by itself."""
    context = client_context(papers.ca, papers.issue("cart", f"URI:{CLIENT_ID}"))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    raw = lab.keep(Peer(lab.sidecar.connect()))
    done = False
    while not done:
        try:
            session.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        for octet in outgoing.read():
            raw.connection.sendall(bytes([octet]))
        if not done:
            incoming.write(raw.connection.recv(65536))
    session.write(GET)
    raw.connection.sendall(outgoing.read())
    upstream = lab.accept()
    upstream.read_request()


def test_a_stalled_handshake_ends(lab: Lab, papers: Papers) -> None:
    with counted(lab, "timeout"):
        peer = lab.client()
        peer.send(client_hello(papers)[:50])
        assert peer.read_rest() == b""


def test_a_truncated_request_is_no_request(lab: Lab, client: Client) -> None:
    """The FIN without close_notify in the middle of a body."""
    peer = client()
    peer.send(b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345")
    upstream = lab.accept()
    upstream.read_until(b"12345")
    raw = socket.socket(fileno=peer.connection.detach())
    raw.close()
    assert upstream.read_rest() == b""


def test_a_damaged_record_ends_the_connection(lab: Lab, client: Client) -> None:
    peer = client()
    raw = socket.socket(fileno=peer.connection.detach())
    raw.settimeout(10)
    raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    with contextlib.suppress(ConnectionError):
        while raw.recv(1000):
            pass
    raw.close()


def test_an_alert_of_the_client_is_counted(lab: Lab, tmp_path: Path) -> None:
    context = ssl.create_default_context(cafile=Papers(tmp_path, "other").ca)
    with counted(lab, "alert"), pytest.raises(ssl.SSLCertVerificationError), lab.sidecar.connect() as raw:
        context.wrap_socket(raw, server_hostname="localhost")
