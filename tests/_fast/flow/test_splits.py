"""However the bytes of a message arrive, in one piece or in many, the other side gets the same message."""

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import CRLF, Peer, request, response
from tests._fast.flow.sidecar import until

CHUNKED = b"5;x=y\r\nabcde\r\n1\r\nf\r\n0\r\nT: 1\r\n\r\n"
REQUESTS = {
    "no body": request("GET", "/a?b=c", b"X-One: 1"),
    "length": request("PUT", "/a", body=b"0123456789"),
    "chunked": request("PUT", "/a", b"Transfer-Encoding: chunked", b"Trailer: t") + CHUNKED,
}
RESPONSES = {
    "length": response(b"0123456789", b"X-One: 1"),
    "empty": response(b""),
    "no content": b"HTTP/1.1 204 No Content\r\nX-One: 1\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "informational": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response(b"body"),
}


def content(peer: Peer) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    """What a request says, without the fields that differ each time."""
    seen = peer.read_request()
    return seen.start, seen.body, [*seen.trailers, *((b"x-one", value) for value in seen.all(b"x-one"))]


class Pair:
    """A client, and its one kept-alive connection to the backend."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.client = lab.client()
        self.client.send(request())
        self.upstream = lab.accept()
        self.upstream.read_request()
        self.upstream.send(response())
        assert self.client.read_response().status == 200


@pytest.fixture
def pair(lab: Lab) -> Pair:
    return Pair(lab)


@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
def test_a_request_in_two_pieces(pair: Pair, sent: bytes) -> None:
    pair.client.send(sent)
    whole = content(pair.upstream)
    for cut in range(1, len(sent)):
        pair.upstream.send(response())
        assert pair.client.read_response().status == 200, cut
        pair.lab.deliver(pair.client, sent[:cut])
        pair.client.send(sent[cut:])
        assert content(pair.upstream) == whole, cut
    pair.upstream.send(response())
    assert pair.client.read_response().status == 200


@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
def test_a_request_byte_by_byte(pair: Pair, sent: bytes) -> None:
    pair.client.send(sent)
    whole = content(pair.upstream)
    pair.upstream.send(response())
    assert pair.client.read_response().status == 200
    for index in range(len(sent)):
        pair.lab.deliver(pair.client, sent[index : index + 1])
    assert content(pair.upstream) == whole
    pair.upstream.send(response())
    assert pair.client.read_response().status == 200


@pytest.mark.parametrize("sent", RESPONSES.values(), ids=RESPONSES)
def test_a_response_in_two_pieces(pair: Pair, sent: bytes) -> None:
    for cut in range(1, len(sent) + 1):
        pair.client.send(request())
        pair.upstream.read_request()
        pair.lab.deliver(pair.upstream, sent[:cut], "bytes_upstream_received")
        pair.upstream.send(sent[cut:])
        got = pair.client.read_response()
        check(got.status, got.body, sent)
        assert [early.status for early in got.informational] == ([103] if b" 103 " in sent else [])
        assert got.trailers == ([(b"T", b"1")] if b"T: 1" in sent else [])


@pytest.mark.parametrize("sent", RESPONSES.values(), ids=RESPONSES)
def test_a_response_byte_by_byte(pair: Pair, sent: bytes) -> None:
    pair.client.send(request())
    pair.upstream.read_request()
    for index in range(len(sent)):
        pair.lab.deliver(pair.upstream, sent[index : index + 1], "bytes_upstream_received")
    got = pair.client.read_response()
    check(got.status, got.body, sent)


def check(status: int, body: bytes, sent: bytes) -> None:
    if b" 204 " in sent:
        assert (status, body) == (204, b"")
    elif b"chunked" in sent:
        assert (status, body) == (200, b"abcdef")
    else:
        assert (status, body) == (200, sent.rpartition(CRLF)[2])


@pytest.mark.parametrize("count", [2, 50, 400])
def test_pipelined_requests_are_answered_in_order(pair: Pair, count: int) -> None:
    """All in one write; more than an input buffer of the sidecar holds, too."""
    pair.client.send(b"".join(request("GET", f"/{index}", b"X-Pad: " + b"p" * 60) for index in range(count)))
    for index in range(count):
        assert pair.upstream.read_request().start == b"GET /%d HTTP/1.1" % index
        pair.upstream.send(response(b"answer %d" % index))
    for index in range(count):
        assert pair.client.read_response().body == b"answer %d" % index


def test_pipelined_bodies(pair: Pair) -> None:
    """A body ends where its framing says, and what follows is the next request."""
    kinds = [
        (
            request("PUT", "/length", body=b"GET /smuggled HTTP/1.1\r\n\r\n"),
            b"GET /smuggled HTTP/1.1\r\n\r\n",
        ),
        (request("PUT", "/chunked", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (request("GET", "/none"), b""),
        (request("PUT", "/trailer", b"Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\nGET: 1\r\n\r\n", b"a"),
        (request("PUT", "/empty", body=b""), b""),
    ]
    pair.client.send(b"".join(sent for sent, _ in kinds * 8))
    for _, body in kinds * 8:
        assert pair.upstream.read_request().body == body
        pair.upstream.send(response(body))
    for _, body in kinds * 8:
        assert pair.client.read_response().body == body


def test_the_next_request_waits_for_the_answer_before(pair: Pair) -> None:
    """One request at a time on a connection: the second does not overtake the first on another connection."""
    pair.client.send(request("GET", "/1") + request("GET", "/2"))
    assert pair.upstream.read_request().start == b"GET /1 HTTP/1.1"
    before = pair.lab.sidecar.total("loop_wakeups")
    pair.client.send(request("GET", "/3"))
    until(lambda: pair.lab.sidecar.total("loop_wakeups") > before, "the worker has woken")
    assert not pair.lab.backend.waiting()
    for path in (b"/2", b"/3"):
        pair.upstream.send(response())
        assert pair.upstream.read_request().start == b"GET %s HTTP/1.1" % path
    pair.upstream.send(response())


def test_empty_lines_before_a_request(pair: Pair) -> None:
    """At least one is to be ignored (RFC 9112 section 2.2)."""
    pair.client.send(CRLF + request("GET", "/after"))
    assert pair.upstream.read_request().start == b"GET /after HTTP/1.1"
    pair.upstream.send(response())
    assert pair.client.read_response().status == 200


def test_a_request_at_every_place_of_the_buffer(laboratory: Laboratory) -> None:
    """Heads that straddle the end of the input buffer: 16 KiB of pipelined requests, shifted."""
    pair = Pair(laboratory())
    sent = request("GET", "/x")
    for shift in range(0, len(sent), 7):
        first = request("GET", "/first", b"X-Pad: " + b"p" * (shift + 15000))
        pair.client.send(first + sent * 30)
        for index in range(31):
            assert pair.upstream.read_request().start == (
                b"GET /x HTTP/1.1" if index else b"GET /first HTTP/1.1"
            )
            pair.upstream.send(response(b"%d" % index))
        for index in range(31):
            assert pair.client.read_response().body == b"%d" % index
