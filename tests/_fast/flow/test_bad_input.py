"""Malformed requests: refused, closed, counted; nothing of them at the backend, nobody else disturbed."""

import pytest

from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import request, response
from tests._fast.flow.sidecar import until

HOST = b"Host: a\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
CL5 = b"Content-Length: 5\r\n"
TE = b"Transfer-Encoding: chunked\r\n"


def post(*lines: bytes, body: bytes = b"0\r\n\r\n") -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + b"".join(lines) + b"\r\n" + body


def get(*lines: bytes, start: bytes = b"GET / HTTP/1.1\r\n") -> bytes:
    return start + b"".join(lines) + b"\r\n"


# Each is refused with 400 before a byte of it goes on; what follows in the same packet is no request.
REFUSED = {
    # RFC 9112 section 6: two opinions on where the body ends
    "length and chunked": post(CL5, TE),
    "chunked and length": post(TE, CL5),
    "two lengths": post(CL5, b"Content-Length: 6\r\n"),
    "two equal lengths": post(CL5, CL5),
    "list of lengths": post(b"Content-Length: 5, 5\r\n"),
    "signed length": post(b"Content-Length: +5\r\n"),
    "negative length": post(b"Content-Length: -5\r\n"),
    "hexadecimal length": post(b"Content-Length: 0x5\r\n"),
    "length with a space inside": post(b"Content-Length: 1 0\r\n"),
    "empty length": post(b"Content-Length:\r\n"),
    "length with a fraction": post(b"Content-Length: 5.0\r\n"),
    "enormous length": post(b"Content-Length: 99999999999999999999\r\n"),
    "two codings": post(TE, TE),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked\r\n"),
    "gzip, chunked": post(b"Transfer-Encoding: gzip, chunked\r\n"),
    "chunked, identity": post(b"Transfer-Encoding: chunked, identity\r\n"),
    "identity": post(b"Transfer-Encoding: identity\r\n"),
    "xchunked": post(b"Transfer-Encoding: xchunked\r\n"),
    "chunked with a parameter": post(b"Transfer-Encoding: chunked;q=1\r\n"),
    "quoted chunked": post(b'Transfer-Encoding: "chunked"\r\n'),
    "empty coding": post(b"Transfer-Encoding:\r\n"),
    "chunked with a vertical tab": post(b"Transfer-Encoding: \x0bchunked\r\n"),
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST + TE + b"\r\n0\r\n\r\n",
    # RFC 9112 section 5: field lines
    "space before the colon": post(b"Content-Length : 5\r\n"),
    "tab before the colon": post(b"Transfer-Encoding\t: chunked\r\n"),
    "no colon": get(HOST, b"Broken\r\n"),
    "empty name": get(HOST, b": x\r\n"),
    "obs-fold": get(HOST, b"X: a\r\n b\r\n"),
    "obs-fold with a tab": get(HOST, b"X: a\r\n\tb\r\n"),
    "fold before the first field": get(b" X: a\r\n", HOST),
    "bare LF after a field": get(HOST, b"X: a\nY: b\r\n"),
    "bare LF everywhere": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare CR in a value": get(HOST, b"X: a\rTransfer-Encoding: chunked\r\n"),
    "CR CR LF": get(HOST, b"X: a\r\r\n"),
    "NUL in a value": get(HOST, b"X: a\0b\r\n"),
    "NUL in a name": get(HOST, b"X\0: a\r\n"),
    "control in a value": get(HOST, b"X: a\x01\r\n"),
    "DEL in a value": get(HOST, b"X: a\x7f\r\n"),
    "no token": get(HOST, b"X{}: a\r\n"),
    "high name": get(HOST, b"X\xe4: a\r\n"),
    # RFC 9112 section 3: the request line
    "no version": get(HOST, start=b"GET /\r\n"),
    "no target": get(HOST, start=b"GET HTTP/1.1\r\n"),
    "two spaces": get(HOST, start=b"GET  / HTTP/1.1\r\n"),
    "tab": get(HOST, start=b"GET\t/ HTTP/1.1\r\n"),
    "leading space": get(HOST, start=b" GET / HTTP/1.1\r\n"),
    "trailing space": get(HOST, start=b"GET / HTTP/1.1 \r\n"),
    "lower case version": get(HOST, start=b"GET / http/1.1\r\n"),
    "HTTP/1.10": get(HOST, start=b"GET / HTTP/1.10\r\n"),
    "fragment": get(HOST, start=b"GET /a#b HTTP/1.1\r\n"),
    "space in the target": get(HOST, start=b"GET /a b HTTP/1.1\r\n"),
    "high target": get(HOST, start=b"GET /\xe4 HTTP/1.1\r\n"),
    "control in the target": get(HOST, start=b"GET /\x01 HTTP/1.1\r\n"),
    "no slash": get(HOST, start=b"GET a HTTP/1.1\r\n"),
    "asterisk of a GET": get(HOST, start=b"GET * HTTP/1.1\r\n"),
    "unknown scheme": get(HOST, start=b"GET ftp://a/ HTTP/1.1\r\n"),
    "user information": get(HOST, start=b"GET http://u@a/ HTTP/1.1\r\n"),
    "no token for a method": get(HOST, start=b"G(T / HTTP/1.1\r\n"),
    # RFC 9112 section 3.2: Host
    "no Host": get(),
    "two Hosts": get(HOST, b"host: b\r\n"),
    "two equal Hosts": get(HOST, HOST),
    "Host with a slash": get(b"Host: a/b\r\n"),
    "Host with a space": get(b"Host: a b\r\n"),
    "Host with a comma": get(b"Host: a,b:x\r\n"),
    "Host with a user": get(b"Host: u@a\r\n"),
    "Host with a bad port": get(b"Host: a:b\r\n"),
    "absolute form without Host": get(start=b"GET http://a/ HTTP/1.1\r\n"),
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
def test_refused_and_closed(lab: Lab, sent: bytes) -> None:
    before = lab.sidecar.total("protocol_errors_downstream")
    bystander = lab.client()
    lab.deliver(bystander, b"GET /bystander HTTP/1.1\r\n")
    client = lab.client()
    client.send(sent + SMUGGLED)
    got = client.read_response()
    assert got.status == 400
    assert got.one(b"connection") == b"close"
    assert b"error=http_request_error" in (got.one(b"proxy-status") or b"")
    client.expect_end()
    assert not lab.backend.waiting()
    assert lab.sidecar.total("protocol_errors_downstream") == before + 1
    bystander.send(HOST + b"\r\n")
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(b"undisturbed"))
    assert bystander.read_response().body == b"undisturbed"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (get(HOST, start=b"GET / HTTP/2.0\r\n"), 505),
        (get(HOST, start=b"GET / HTTP/0.9\r\n"), 505),
        (get(HOST, start=b"GET / HTTP/1.2\r\n"), 505),
    ],
)
def test_other_versions(lab: Lab, sent: bytes, status: int) -> None:
    client = lab.client()
    client.send(sent)
    assert client.read_response().status == status
    client.expect_end()
    assert not lab.backend.waiting()


BAD_CHUNKS = {
    "not a size": b"x\r\n",
    "signed": b"-1\r\na\r\n",
    "prefixed": b"0x1\r\na\r\n",
    "enormous": b"FFFFFFFFFFFFFFFFF\r\n",
    "leading space": b" 1\r\na\r\n",
    "no size": b"\r\n",
    "bare LF after the size": b"1\na\r\n0\r\n\r\n",
    "bare CR in an extension": b"1;\ra\r\na\r\n0\r\n\r\n",
    "LF in an extension": b"1;a\nb\r\na\r\n0\r\n\r\n",
    "NUL in an extension": b"1;\0\r\na\r\n",
    "too much data": b"1\r\nab\r\n0\r\n\r\n",
    "bare LF after the data": b"1\r\na\n0\r\n\r\n",
    "no CRLF after the data": b"1\r\na0\r\n\r\n",
    "bad trailer": b"0\r\nbroken\r\n\r\n",
    "space in a trailer's name": b"0\r\nX : 1\r\n\r\n",
    "obs-fold in a trailer": b"0\r\nX: 1\r\n 2\r\n\r\n",
    "bare LF at the end": b"0\r\n\n",
    "endless extension": b"1;" + b"x" * 100_000,
    "endless trailers": b"0\r\n" + b"X: 1\r\n" * 20_000,
}


@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
def test_malformed_chunks(lab: Lab, body: bytes) -> None:
    """The head may have gone on: the backend never sees the body end, nor the request behind it."""
    client = lab.client()
    client.send(request("POST", "/", b"Transfer-Encoding: chunked"))
    upstream = lab.accept()
    upstream.read_head()
    client.send(body + SMUGGLED)
    got = client.read_response()
    assert got.status == 400
    client.expect_gone()
    rest = upstream.expect_gone()
    assert b"0\r\n\r\n" not in rest and b"smuggled" not in rest
    assert not lab.backend.waiting()


def test_the_second_of_two_requests_is_malformed(lab: Lab) -> None:
    """The first is answered; nothing of it depends on the second."""
    client = lab.client()
    client.send(request("GET", "/good") + b"BAD\r\n\r\n" + SMUGGLED)
    upstream = lab.accept()
    assert upstream.read_request().start == b"GET /good HTTP/1.1"
    upstream.send(response(b"good"))
    assert client.read_response().body == b"good"
    assert client.read_response().status == 400
    client.expect_end()
    assert upstream.silent()


def test_garbage_without_end(lab: Lab) -> None:
    """A stream of bytes that is no HTTP is cut off early, and does not pile up."""
    client = lab.client()
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        for _ in range(1000):
            client.send(b"\xff" * 65536)
    lab.sidecar.wait_quiet()


def test_bytes_of_every_kind_one_after_another(lab: Lab) -> None:
    """No byte in no place of a request brings the worker down; the answer is one of HTTP's."""
    template = request("GET", "/abc?d", b"X-One: two", body=b"")
    for position in range(0, len(template), 3):
        for byte in (0, 9, 10, 13, 32, 34, 58, 127, 128, 255):
            client = lab.client()
            client.send(template[:position] + bytes([byte]) + template[position + 1 :])
            client.half_close()
            client.expect_gone()
            assert bytes(client.received[:9]) in (b"", b"HTTP/1.1 "), bytes(client.received)
            client.close()
    while lab.backend.waiting():
        lab.accept().close()
    until(lambda: lab.sidecar.total("requests_active") == 0, "all are over")
