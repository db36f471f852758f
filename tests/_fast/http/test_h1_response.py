"""Response heads and their framing (RFC 9112 sections 4 and 6.3)."""

import pytest

from tests._fast.http.feeding import response

LENGTH = b"Content-Length: 5\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def head(status: int, fields: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    return version + b" %d Reason\r\n" % status + fields + b"\r\n"


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 200 OK", 200, b"OK"),
        (b"HTTP/1.1 200 ", 200, None),
        (b"HTTP/1.1 200", 200, None),
        (b"HTTP/1.0 404  Not \t F\xf6und ", 404, b" Not \t F\xf6und "),
        (b"HTTP/1.1 599 x", 599, b"x"),
        (b"HTTP/1.1 100 Continue", 100, b"Continue"),
    ],
)
def test_status_line(line: bytes, status: int, reason: bytes | None) -> None:
    answer = response(line + b"\r\n\r\n")
    assert (answer["result"], answer["status"], answer["reason"]) == ("done", status, reason)
    assert answer["version_minor"] == int(line[7:8])


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"HTTP/1.2 200 OK\r\n", "unsupported version"),
        (b"HTTP/2.0 200 OK\r\n", "unsupported version"),
        (b"ICY 200 OK\r\n", "bad version"),
        (b"\r\nHTTP/1.1 200 OK\r\n", "bad version"),
        (b"HTTP/1.1\r\n", "bad version"),
        (b"HTTP/1.1\t200 OK\r\n", "bad version"),
        (b"HTTP/1.1  200 OK\r\n", "bad status"),
        (b"HTTP/1.1 20 OK\r\n", "bad status"),
        (b"HTTP/1.1 2000 OK\r\n", "bad status"),
        (b"HTTP/1.1 099 OK\r\n", "bad status"),
        (b"HTTP/1.1 600 OK\r\n", "bad status"),
        (b"HTTP/1.1 +20 OK\r\n", "bad status"),
        (b"HTTP/1.1 200\tOK\r\n", "bad status"),
        (b"HTTP/1.1 200 O\0K\r\n", "bad start line"),
        (b"HTTP/1.1 200 OK\n", "bad line end"),
        (b"HTTP/1.1 200 O\rK\r\n", "bad line end"),
        (b"HTTP/1.1 200\n", "bad line end"),
        (b"HTTP/1.1 200 OK\r\nA: b\n", "bad line end"),
        (b"HTTP/1.1 200 OK\r\nA : b\r\n", "bad field name"),
        (b"HTTP/1.1 200 OK\r\n A: b\r\n", "obs-fold"),
    ],
)
def test_bad_heads(line: bytes, error: str) -> None:
    assert response(line + b"\r\n")["result"] == error


@pytest.mark.parametrize(
    ("method", "status", "fields", "framing"),
    [
        ("GET", 200, LENGTH, "length"),
        ("GET", 200, CHUNKED, "chunked"),
        ("GET", 200, b"", "close"),
        ("GET", 404, b"", "close"),
        ("HEAD", 200, LENGTH, "none"),
        ("HEAD", 200, CHUNKED, "none"),
        ("HEAD", 200, b"", "none"),
        ("GET", 304, LENGTH, "none"),
        ("GET", 304, b"", "none"),
        ("GET", 204, b"", "none"),
        ("GET", 204, b"Content-Length: 0\r\n", "none"),
        ("GET", 100, b"", "none"),
        ("GET", 103, b"Link: x\r\n", "none"),
        ("GET", 199, b"", "none"),
        ("GET", 101, b"", "tunnel"),
        ("CONNECT", 200, b"", "tunnel"),
        ("CONNECT", 299, LENGTH, "tunnel"),
        ("CONNECT", 200, CHUNKED, "tunnel"),
        ("CONNECT", 302, LENGTH, "length"),
        ("CONNECT", 502, b"", "close"),
        ("CONNECT", 100, b"", "none"),
        ("other", 205, LENGTH, "length"),
    ],
)
def test_framing(method: str, status: int, fields: bytes, framing: str) -> None:
    answer = response(head(status, fields), method)
    assert (answer["result"], answer["framing"]) == ("done", framing)
    assert ("keep-alive" in answer["flags"]) is (framing not in ("close", "tunnel"))
    if framing == "length":
        assert answer["content_length"] == 5


def test_length_is_not_forwarded_into_a_tunnel() -> None:
    assert response(head(200, LENGTH), "CONNECT")["fields"] == [(b"Content-Length", b"5", 3, True)]


@pytest.mark.parametrize(
    ("status", "fields", "error"),
    [
        (200, LENGTH + LENGTH, "bad content-length"),
        (200, LENGTH + CHUNKED, "length and coding"),
        (304, LENGTH + CHUNKED, "length and coding"),
        (200, CHUNKED + CHUNKED, "bad transfer-encoding"),
        (200, b"Transfer-Encoding: gzip\r\n", "bad transfer-encoding"),
        (200, b"Content-Length: x\r\n", "bad content-length"),
        (304, b"Content-Length: x\r\n", "bad content-length"),
        (204, LENGTH, "bad content-length"),
        (204, CHUNKED, "bad transfer-encoding"),
        (100, LENGTH, "bad content-length"),
        (101, CHUNKED, "bad transfer-encoding"),
    ],
)
def test_bad_framing(status: int, fields: bytes, error: str) -> None:
    assert response(head(status, fields))["result"] == error


def test_http_1_0() -> None:
    assert response(head(200, CHUNKED, b"HTTP/1.0"))["result"] == "bad transfer-encoding"
    assert response(head(200, LENGTH, b"HTTP/1.0"))["flags"] == set()
    kept = response(head(200, LENGTH + b"Connection: keep-alive\r\n", b"HTTP/1.0"))
    assert kept["flags"] == {"keep-alive"}
    unbounded = response(head(200, b"Connection: keep-alive\r\n", b"HTTP/1.0"))
    assert (unbounded["framing"], unbounded["flags"]) == ("close", set())


def test_requests_only_rules_do_not_apply() -> None:
    fields = b"Host: a b\r\nHost: c\r\nExpect: x\r\n" + LENGTH
    assert response(head(200, fields))["result"] == "done"
