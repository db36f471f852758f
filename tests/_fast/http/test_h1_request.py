"""Request heads (RFC 9112 sections 2 and 3, RFC 9110 section 7)."""

from typing import Any

import pytest

from tests._fast.http import codec
from tests._fast.http.feeding import request

HOST = b"Host: a\r\n"


def head(target: bytes, method: bytes = b"GET", fields: bytes = HOST) -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\n" + fields + b"\r\n"


def result(fields: bytes, method: bytes = b"POST", version: bytes = b"HTTP/1.1") -> Any:
    return request(method + b" / " + version + b"\r\n" + fields + b"\r\n")["result"]


def parsed(fields: bytes, method: bytes = b"POST", version: bytes = b"HTTP/1.1") -> dict[str, Any]:
    answer = request(method + b" / " + version + b"\r\n" + HOST + fields + b"\r\n")
    assert answer["result"] == "done"
    return answer


def test_all_parts_of_a_head() -> None:
    data = b"\r\nPOST /a/b?c=d&e HTTP/1.1\r\nHost: Shop.Example:81\r\ncontent-LENGTH:  12 \t\r\nX-y:\r\n\r\n"
    assert request(data) == {
        "result": "done",
        "head_length": len(data),
        "start": 2,
        "fields_end": len(data) - 2,
        "version_minor": 1,
        "method": "POST",
        "method_text": b"POST",
        "target": b"/a/b?c=d&e",
        "target_form": "origin",
        "authority": b"Shop.Example:81",
        "path": b"/a/b",
        "query": b"c=d&e",
        "status": 0,
        "reason": None,
        "framing": "length",
        "content_length": 12,
        "flags": {"keep-alive"},
        "known": {1, 3},
        "repeated": set(),
        "first": {1: 0, 3: 1},
        "fields": [
            (b"Host", b"Shop.Example:81", 1, False),
            (b"content-LENGTH", b"12", 3, False),
            (b"X-y", b"", 0, False),
        ],
    }


@pytest.mark.parametrize("method", [name for name in codec.METHODS if name not in ("other", "CONNECT")])
def test_known_methods(method: str) -> None:
    assert request(head(b"/", method.encode()))["method"] == method


@pytest.mark.parametrize("method", ["get", "G", "GETS", "PROPFIND", "!#$%&'*+-.^_`|~09", "M-SEARCH"])
def test_other_methods(method: str) -> None:
    answer = request(head(b"/", method.encode()))
    assert (answer["method"], answer["method_text"]) == ("other", method.encode())


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", None),
        (b"/?", b"/", b""),
        (b"//x", b"//x", None),
        (b"/a?b?c/d", b"/a", b"b?c/d"),
        (b"/a%2Fb;c=1/..", b"/a%2Fb;c=1/..", None),
        (b'/{x}|\\^"<>`', b'/{x}|\\^"<>`', None),
        (b"/" + b"p" * 4000 + b"?" + b"q" * 4000, b"/" + b"p" * 4000, b"q" * 4000),
    ],
)
def test_origin_form(target: bytes, path: bytes, query: bytes | None) -> None:
    answer = request(head(target))
    assert answer["target_form"] == "origin"
    assert (answer["path"], answer["query"] or b"", answer["authority"]) == (path, query or b"", b"a")


@pytest.mark.parametrize(
    ("target", "authority", "path", "query"),
    [
        (b"http://h/p?q", b"h", b"/p", b"q"),
        (b"hTTps://h.example:8443/", b"h.example:8443", b"/", None),
        (b"http://h", b"h", b"/", None),
        (b"https://h?q/r", b"h", b"/", b"q/r"),
        (b"http://[::1]:80/p", b"[::1]:80", b"/p", None),
    ],
)
def test_absolute_form_replaces_host(
    target: bytes, authority: bytes, path: bytes, query: bytes | None
) -> None:
    answer = request(head(target))
    assert answer["target_form"] == "absolute"
    assert (answer["authority"], answer["path"], answer["query"]) == (authority, path, query)
    assert answer["fields"] == [(b"Host", b"a", 1, True)]


def test_absolute_form_of_options() -> None:
    assert request(head(b"http://h", b"OPTIONS"))["path"] is None
    assert request(head(b"http://h/", b"OPTIONS"))["path"] == b"/"
    assert request(head(b"http://h?q", b"OPTIONS"))["path"] == b"/"


def test_authority_form() -> None:
    answer = request(head(b"h.example:443", b"CONNECT"))
    assert answer["target_form"] == "authority"
    assert (answer["authority"], answer["path"], answer["query"]) == (b"h.example:443", None, None)
    assert answer["fields"] == [(b"Host", b"a", 1, True)]


def test_asterisk_form() -> None:
    answer = request(head(b"*", b"OPTIONS"))
    assert answer["target_form"] == "asterisk"
    assert (answer["authority"], answer["path"], answer["query"]) == (b"a", b"*", None)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"GET", b"*"),
        (b"OPTIONS", b"*x"),
        (b"OPTIONS", b"*?x"),
        (b"GET", b"a"),
        (b"GET", b"a:80"),
        (b"GET", b"?x"),
        (b"GET", b""),
        (b"GET", b" /"),
        (b"GET", b"ftp://h/"),
        (b"GET", b"http:/h/"),
        (b"GET", b"http://"),
        (b"GET", b"https://"),
        (b"GET", b"http:///p"),
        (b"GET", b"http://?q"),
        (b"GET", b"http://u@h/"),
        (b"GET", b"http://h:/"),
        (b"GET", b"http://h:65536/"),
        (b"GET", b"http://[::1/"),
        (b"CONNECT", b"/"),
        (b"CONNECT", b"h"),
        (b"CONNECT", b"h:"),
        (b"CONNECT", b":80"),
        (b"CONNECT", b"h:80?q"),
        (b"CONNECT", b"http://h:80"),
        (b"GET", b"/#f"),
        (b"GET", b"/?q#f"),
        (b"GET", b"/\xc3\xa4"),
        (b"GET", b"/?\x80"),
        (b"GET", b"/\x7f"),
        (b"GET", b"/\0"),
        (b"GET", b"/a\tb"),
    ],
)
def test_bad_targets(method: bytes, target: bytes) -> None:
    assert request(head(target, method))["result"] == "bad target"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"GET / HTTP/1.2\r\n", "unsupported version"),
        (b"GET / HTTP/1.9\r\n", "unsupported version"),
        (b"GET / HTTP/0.9\r\n", "unsupported version"),
        (b"PRI * HTTP/2.0\r\n", "bad target"),
        (b"GET / HTTP/2.0\r\n", "unsupported version"),
        (b"GET / HTTP/3.1\r\n", "unsupported version"),
        (b"GET / HTTP/1.10\r\n", "bad version"),
        (b"GET / HTTP/11\r\n", "bad version"),
        (b"GET / HTTP/1,1\r\n", "bad version"),
        (b"GET / http/1.1\r\n", "bad version"),
        (b"GET / HTTP/1.1 \r\n", "bad version"),
        (b"GET /  HTTP/1.1\r\n", "bad version"),
        (b"GET / x HTTP/1.1\r\n", "bad version"),
        (b"GET /\r\n", "bad version"),
        (b"GET /\n", "bad version"),
        (b"GET\r\n", "bad start line"),
        (b"GET\n", "bad start line"),
        (b"GET\t/ HTTP/1.1\r\n", "bad method"),
        (b" GET / HTTP/1.1\r\n", "bad method"),
        (b"G(T / HTTP/1.1\r\n", "bad method"),
        (b"\x16\x03\x01\x02\x00\x01", "bad method"),
        (b"\0", "bad method"),
        (b"GET / HTTP/1.1\n", "bad line end"),
        (b"GET / HTTP/1.1\rX", "bad line end"),
        (b"\n", "bad method"),
        (b"\rG", "bad line end"),
        (b"\r\n\r\n", "bad method"),
        (b"\r\n\n", "bad method"),
    ],
)
def test_bad_start_lines(line: bytes, error: str) -> None:
    assert request(line + HOST + b"\r\n")["result"] == error
    assert request(line)["result"] == error


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (b"Host : a\r\n", "bad field name"),
        (b"Host\t: a\r\n", "bad field name"),
        (b": a\r\n", "bad field name"),
        (b"Host\r\n", "bad field name"),
        (b"Ho\xc3st: a\r\n", "bad field name"),
        (b"Ho\0st: a\r\n", "bad field name"),
        (b"Ho(st: a\r\n", "bad field name"),
        (b"Host: a\r\n b\r\n", "obs-fold"),
        (b"Host: a\r\n\tb\r\n", "obs-fold"),
        (b" Host: a\r\n", "obs-fold"),
        (b"Host: a\n", "bad line end"),
        (b"Host: a\rb\r\n", "bad line end"),
        (b"Host: a\r\r\n", "bad line end"),
        (b"Host: a\r\n\n", "bad line end"),
        (b"Host: a\r\n\rx", "bad line end"),
        (b"Host: a\0\r\n", "bad field value"),
        (b"Host: a\x7f\r\n", "bad field value"),
        (b"Host: \x0ba\r\n", "bad field value"),
        (b"X: 12345678\x01\r\n", "bad field value"),
    ],
)
def test_bad_field_lines(fields: bytes, error: str) -> None:
    assert result(fields) == error


def test_field_values() -> None:
    values = [b"", b"x", b"a \t b", b"\xe4\xff\x80", b'"\\"', b"," * 300]
    fields = b"".join(b"x-%d:" % index + b" \t" + value + b"\t \r\n" for index, value in enumerate(values))
    assert [value for _, value, _, _ in parsed(fields)["fields"][1:]] == values


@pytest.mark.parametrize(
    ("fields", "version", "error"),
    [
        (b"", b"HTTP/1.1", "bad host"),
        (b"", b"HTTP/1.0", "done"),
        (b"Host: a\r\n", b"HTTP/1.0", "done"),
        (b"Host: a\r\nHost: a\r\n", b"HTTP/1.1", "bad host"),
        (b"Host: a\r\nhost: b\r\n", b"HTTP/1.0", "bad host"),
        # RFC 9112 section 3.2 wants it empty when the URI has no authority; an http URI always has one.
        (b"Host:\r\n", b"HTTP/1.1", "bad host"),
        (b"Host:\r\n", b"HTTP/1.0", "bad host"),
        (b"Host: a b\r\n", b"HTTP/1.1", "bad host"),
        (b"Host: a/b\r\n", b"HTTP/1.1", "bad host"),
        (b"Host: u@a\r\n", b"HTTP/1.1", "bad host"),
    ],
)
def test_host(fields: bytes, version: bytes, error: str) -> None:
    assert result(fields, version=version) == error


def test_host_is_needed_beside_an_absolute_target() -> None:
    assert request(head(b"http://h/", fields=b""))["result"] == "bad host"
    assert request(head(b"http://h/", fields=b"Host: @\r\n"))["result"] == "bad host"


@pytest.mark.parametrize(
    ("value", "length"),
    [(b"0", 0), (b"5", 5), (b"007", 7), (b"999999999999999999", 10**18 - 1), (b"000000000000000001", 1)],
)
def test_content_length(value: bytes, length: int) -> None:
    answer = parsed(b"Content-Length: " + value + b"\r\n")
    assert (answer["framing"], answer["content_length"]) == ("length", length)
    assert answer["fields"][1] == (b"Content-Length", value, 3, False)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"+5",
        b"-5",
        b"5 5",
        b"5,5",
        b"5, 5",
        b"0x5",
        b"5;",
        b"5.0",
        b"\xb2",
        b"1000000000000000000",
        b"9223372036854775808",
        b"18446744073709551621",
        b"0000000000000000005",
        b"9" * 40,
    ],
)
def test_bad_content_length(value: bytes) -> None:
    assert result(HOST + b"Content-Length: " + value + b"\r\n") == "bad content-length"


def test_framing() -> None:
    assert parsed(b"")["framing"] == "none"
    chunked = parsed(b"transfer-ENCODING: \t Chunked \r\n")
    assert chunked["framing"] == "chunked"
    assert chunked["fields"][1] == (b"transfer-ENCODING", b"Chunked", 4, True)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", "bad content-length"),
        (b"Content-Length: 5\r\ncontent-length: 6\r\n", "bad content-length"),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "length and coding"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "length and coding"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "bad transfer-encoding"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "bad transfer-encoding"),
        *(
            (b"Transfer-Encoding: " + value + b"\r\n", "bad transfer-encoding")
            for value in (
                b"",
                b"identity",
                b"gzip",
                b"gzip, chunked",
                b"chunked, gzip",
                b"chunked, chunked",
                b"chunked,",
                b",chunked",
                b"xchunked",
                b"chunkedx",
                b"chunked;q=1",
                b'"chunked"',
                b"chun ked",
                b"chunk\xe4d",
                b"cow",
            )
        ),
    ],
)
def test_bad_framing(fields: bytes, error: str) -> None:
    assert result(HOST + fields) == error


def test_no_coding_in_http_1_0() -> None:
    assert result(b"Transfer-Encoding: chunked\r\n", version=b"HTTP/1.0") == "bad transfer-encoding"


def test_connect_has_no_body() -> None:
    def connect(fields: bytes) -> dict[str, Any]:
        return request(head(b"h:1", b"CONNECT", HOST + fields))

    assert connect(b"Content-Length: 1\r\n")["result"] == "bad content-length"
    assert connect(b"Transfer-Encoding: chunked\r\n")["result"] == "bad transfer-encoding"
    assert connect(b"Content-Length: 0\r\n")["framing"] == "none"


def test_expect() -> None:
    expect = b"Expect: 100-Continue\r\n"
    assert "expect-continue" in parsed(expect)["flags"]
    assert parsed(expect)["fields"][1] == (b"Expect", b"100-Continue", 5, False)
    assert parsed(expect, version=b"HTTP/1.0")["flags"] == set()
    assert result(HOST + expect + expect) == "bad expectation"
    assert result(HOST + b"Expect: 200-ok\r\n") == "bad expectation"
    assert result(HOST + b"Expect: 100-continue, x\r\n") == "bad expectation"


def test_repeated_fields_are_told() -> None:
    answer = parsed(b"Via: a\r\nX-Request-Id: 1\r\nVIA: b\r\n")
    assert answer["repeated"] == {codec.field_number(b"via")}
    assert answer["first"][codec.field_number(b"via")] == 1


@pytest.mark.parametrize("error", [name for name in codec.RESULTS.values() if name not in ("done", "more")])
def test_errors_have_a_status_and_a_text(error: str) -> None:
    special = {
        "line too long": 414,
        "bad expectation": 417,
        "head too large": 431,
        "too many fields": 431,
        "unsupported version": 505,
    }
    status, text = codec.error(error)
    assert status == special.get(error, 400)
    assert text != codec.error("done")[1]
