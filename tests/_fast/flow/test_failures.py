"""Backends that break off at every stage, clients that leave: nobody is shown half a message as a whole."""

import os

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Ended, Peer, Unconnectable, request, response
from tests._fast.flow.sidecar import proportional_memory, until

CHUNKED = b"Transfer-Encoding: chunked"


def begin(lab: Lab, sent: bytes) -> tuple[Peer, Peer]:
    client = lab.client()
    client.send(sent)
    upstream = lab.accept()
    upstream.read_request()
    return client, upstream


def counted(lab: Lab, flag: str) -> int:
    return lab.sidecar.flags().get(flag, 0)


# -- before an answer ----------------------------------------------------------------------------------


def test_a_backend_that_refuses(laboratory: Laboratory) -> None:
    refusing = Unconnectable(blackhole=False)
    lab = laboratory(endpoints=[refusing.address])
    client = lab.client()
    for _ in range(3):
        client.send(request())
        got = client.read_response()
        assert got.status == 503
        assert b"error=connection_refused" in (got.one(b"proxy-status") or b"")
    until(lambda: lab.sidecar.flags() == {"UF": 3}, "all are counted")
    assert lab.sidecar.cluster("connect_failures") == 3
    refusing.close()


def test_a_backend_that_closes_whatever_it_accepts(lab: Lab) -> None:
    """Before the request has come, or as it comes: nobody has read it, and two replays are all."""
    before = counted(lab, "UC")
    client = lab.client()
    client.send(request())
    for _ in range(3):
        lab.accept().close()
    assert client.read_response().status == 503
    assert not lab.backend.waiting()
    until(lambda: counted(lab, "UC") == before + 1, "it is counted")


def test_the_request_is_read_and_the_connection_broken_off(lab: Lab) -> None:
    client, upstream = begin(lab, request())
    upstream.close()
    got = client.read_response()
    assert got.status == 503
    assert b"error=connection_terminated" in (got.one(b"proxy-status") or b"")
    client.send(request())
    lab.accept()


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize(
    "part", [b"H", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: 1\r\n"]
)
def test_broken_off_in_the_head(lab: Lab, part: bytes, end: str) -> None:
    client, upstream = begin(lab, request())
    lab.deliver(upstream, part, "bytes_upstream_received")
    upstream.close() if end == "close" else upstream.reset()
    assert client.read_response().status == 503


def test_broken_off_after_an_informational_answer(lab: Lab) -> None:
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    upstream.close()
    got = client.read_response()
    assert ([early.status for early in got.informational], got.status) == ([103], 503)


MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "version": b"HTTP/2.0 200 OK\r\n\r\n",
    "status": b"HTTP/1.1 99 Low\r\n\r\n",
    "status text": b"HTTP/1.1 abc\r\n\r\n",
    "both framings": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na",
    "negative": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "chunked in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "obs-fold": b"HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare CR": b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
    "NUL": b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
    "chunk size at once": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
}


@pytest.mark.parametrize("answer", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_answer(lab: Lab, answer: bytes) -> None:
    before = counted(lab, "UPE")
    client, upstream = begin(lab, request())
    upstream.send(answer)
    got = client.read_response()
    assert got.status == 502
    assert b"error=http_protocol_error" in (got.one(b"proxy-status") or b"")
    upstream.expect_gone()
    until(lambda: counted(lab, "UPE") == before + 1, "it is counted")
    client.send(request())
    fresh = lab.accept()
    fresh.read_request()
    fresh.send(response(b"fine"))
    assert client.read_response().body == b"fine"


# -- in the middle of an answer ------------------------------------------------------------------------

PARTIAL = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b"half"),
    "all but one": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012345678", b"012345678"),
    "head alone": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", b""),
    "in a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhalf", b"half"),
    "in a size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n1", b"half"),
    "between chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"half"),
    "in the last chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0", b"half"),
    "in the trailers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nT: 1\r\n",
        b"half",
    ),
    "before the last CRLF": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        b"half",
    ),
    "bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n-1\r\n", b"half"),
}


def body_so_far(client: Peer) -> tuple[bytes, bool]:
    """The body of the answer, and whether it seems whole to the client. 502 is no answer of the backend."""
    head = client.read_head()
    if head.status == 502:
        return b"", False
    try:
        client.read_body(head, until_close=True)
    except (Ended, ConnectionResetError, ValueError):
        while client.unread and not head.one(b"transfer-encoding"):
            head.body += client.take(len(client.unread))
        return head.body, False
    return head.body, True


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize(("part", "body"), PARTIAL.values(), ids=PARTIAL)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_half_an_answer_never_seems_whole(
    lab: Lab, part: bytes, body: bytes, end: str, version: bytes
) -> None:
    client, upstream = begin(lab, b"GET / HTTP/" + version + b"\r\nHost: a\r\n\r\n")
    lab.deliver(upstream, part, "bytes_upstream_received")
    upstream.close() if end == "close" else upstream.reset()
    got, whole = body_so_far(client)
    assert not whole
    assert body.startswith(got)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_answer_until_close_that_is_reset_never_seems_whole(lab: Lab, version: bytes) -> None:
    """For HTTP/1.0 nothing but a reset of our own can say so."""
    client, upstream = begin(lab, b"GET / HTTP/" + version + b"\r\nHost: a\r\n\r\n")
    lab.deliver(upstream, b"HTTP/1.0 200 OK\r\n\r\nhalf", "bytes_upstream_received")
    upstream.reset()
    assert body_so_far(client)[1] is False


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_the_rest_of_an_answer_is_read_though_the_backend_has_closed(lab: Lab, version: bytes) -> None:
    """1 MB and a FIN right behind: the end is only noticed after the last byte."""
    data = os.urandom(1 << 20)
    client, upstream = begin(lab, b"GET / HTTP/" + version + b"\r\nHost: a\r\n\r\n")
    upstream.connection.setblocking(False)
    to_send = memoryview(b"HTTP/1.1 200 OK\r\n\r\n" + data)
    while to_send:
        try:
            to_send = to_send[upstream.connection.send(to_send) :]
        except BlockingIOError:
            client.fill()
    upstream.close()
    assert client.read_response().body == data


def test_an_answer_that_comes_with_a_reset_of_the_request(lab: Lab) -> None:
    """The backend refuses a body unread: its answer lies in our receive queue when our write fails."""
    client = lab.client()
    client.send(request("POST", "/", b"Content-Length: 10000000"))
    upstream = lab.accept()
    upstream.read_head()
    client.send(b"x" * 100000)
    until(lambda: not upstream.silent(), "some of the body has arrived")
    upstream.send(response(b"too large", b"Connection: close", status=b"413 Content Too Large"))
    upstream.close()  # with unread bytes: the kernel sends RST
    head = client.read_head()
    assert head.status in (413, 503)


# -- clients that leave --------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_leaves_while_it_waits(lab: Lab, end: str) -> None:
    before = counted(lab, "DC")
    client, upstream = begin(lab, request())
    client.close() if end == "close" else client.reset()
    upstream.expect_end()
    until(lambda: counted(lab, "DC") == before + 1, "it is counted")


@pytest.mark.parametrize("body", [None, b"", b"body"])
def test_a_client_that_leaves_right_behind_its_request(lab: Lab, body: bytes | None) -> None:
    """Its FIN comes with the request, in one event: it has left no less than one whose FIN comes later."""
    client = lab.client()
    with lab.sidecar.asleep():
        client.send(request(body=body))
        client.half_close()
    assert client.read_rest() == b""
    lab.accept().expect_gone()


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_leaves_in_the_middle_of_its_head(lab: Lab, end: str) -> None:
    client = lab.client()
    lab.deliver(client, b"GET / HTTP/1.1\r\nHost:")
    client.close() if end == "close" else client.reset()
    lab.sidecar.wait_quiet()
    assert not lab.backend.waiting()


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("framing", [b"Content-Length: 1000", CHUNKED])
def test_a_client_that_leaves_in_the_middle_of_its_body(lab: Lab, framing: bytes, end: str) -> None:
    """The backend must not take half a request for a whole one."""
    client = lab.client()
    client.send(request("POST", "/", framing) + b"5\r\nhello\r\n")
    upstream = lab.accept()
    head = upstream.read_head()
    upstream.read(10)
    client.close() if end == "close" else client.reset()
    with pytest.raises((Ended, ConnectionResetError)):
        upstream.read_body(head, until_close=False)


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("framing", [b"Content-Length: 100000000", CHUNKED])
def test_a_client_that_leaves_in_the_middle_of_an_answer(lab: Lab, framing: bytes, end: str) -> None:
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n400\r\n" + b"x" * 1024 + b"\r\n")
    client.read_head()
    client.close() if end == "close" else client.reset()
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        while True:
            upstream.send(b"400\r\n" + b"x" * 1024 + b"\r\n")


def test_a_client_that_leaves_while_the_connection_is_being_made(laboratory: Laboratory) -> None:
    hole = Unconnectable(blackhole=True)
    lab = laboratory(endpoints=[hole.address], cluster={"connect_timeout": "60s"})
    client = lab.client()
    client.send(request())
    until(lambda: lab.sidecar.total("upstream_active") == 1, "it connects")
    client.close()
    lab.sidecar.wait_quiet()
    hole.close()


def test_a_client_that_leaves_during_the_pause_before_a_retry(laboratory: Laboratory) -> None:
    retries = {"on": ["reset"], "backoff": {"base": "60s", "max": "60s"}}
    lab = laboratory(route={"retries": retries, "timeouts": {"request": "0s"}})
    client, upstream = begin(lab, request())
    upstream.close()
    until(lambda: lab.sidecar.cluster("retries") == 1, "it pauses")
    client.close()
    lab.sidecar.wait_quiet()


def test_a_malformed_request_body(lab: Lab) -> None:
    client = lab.client()
    client.send(request("POST", "/", CHUNKED) + b"3\r\nabc\r\n")
    upstream = lab.accept()
    head = upstream.read_head()
    upstream.read(8)
    client.send(b"xyz\r\n")
    assert client.read_response().status == 400
    client.expect_end()
    with pytest.raises((Ended, ConnectionResetError)):
        upstream.read_body(head, until_close=False)


# -- many heads without end ----------------------------------------------------------------------------


def test_a_slow_client_and_a_backend_that_hints_without_end(lab: Lab) -> None:
    """1xx that the client does not read are dropped, not gathered."""
    client, upstream = begin(lab, request())
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </" + b"x" * 8000 + b">\r\n\r\n"
    before = proportional_memory(lab.sidecar.workers()[0])
    sent = 0
    while sent < 40_000_000:
        upstream.send(hint * 50)
        sent += len(hint) * 50
    upstream.send(response(b"at last"))
    assert proportional_memory(lab.sidecar.workers()[0]) < before + 2_000_000
    assert client.read_response().body == b"at last"


def test_an_answer_that_comes_with_the_connection(laboratory: Laboratory) -> None:
    """The backend answers what it has not read yet: one event tells the worker of both."""
    hole = Unconnectable(blackhole=True)
    lab = laboratory(endpoints=[hole.address])
    client = lab.client()
    client.send(request())
    until(lambda: lab.sidecar.total("upstream_active") == 1, "it connects")
    with lab.sidecar.asleep():
        upstream = hole.accept_late()
        upstream.send(response(b"early"))
    assert client.read_response().body == b"early"
    upstream.close()
    hole.close()
