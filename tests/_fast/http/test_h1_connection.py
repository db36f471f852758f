"""Connection options and the fields of one hop (RFC 9110 section 7.6.1, RFC 9112 section 9)."""

from typing import Any

import pytest

from tests._fast.http import codec
from tests._fast.http.feeding import request, response


def parsed(fields: bytes, version: bytes = b"HTTP/1.1") -> dict[str, Any]:
    return request(b"GET / " + version + b"\r\nHost: a\r\n" + fields + b"\r\n")


def dropped(fields: bytes) -> set[bytes]:
    return {name for name, _, _, drop in parsed(fields)["fields"] if drop}


@pytest.mark.parametrize(
    ("version", "options", "kept"),
    [
        (b"HTTP/1.1", None, True),
        (b"HTTP/1.1", b"", True),
        (b"HTTP/1.1", b"close", False),
        (b"HTTP/1.1", b"x, CLOSE ,y", False),
        (b"HTTP/1.1", b"keep-alive, close", False),
        (b"HTTP/1.1", b"closed", True),
        (b"HTTP/1.0", None, False),
        (b"HTTP/1.0", b"Keep-Alive", True),
        (b"HTTP/1.0", b"keep-alive, close", False),
        (b"HTTP/1.0", b"x", False),
    ],
)
def test_persistence(version: bytes, options: bytes | None, kept: bool) -> None:
    fields = b"" if options is None else b"connection: " + options + b"\r\n"
    assert ("keep-alive" in parsed(fields, version)["flags"]) is kept
    answer = response(version + b" 200 OK\r\nContent-Length: 0\r\n" + fields + b"\r\n")
    assert ("keep-alive" in answer["flags"]) is kept


def test_options_of_several_fields() -> None:
    answer = parsed(b"Connection: keep-alive\r\nX: y\r\nConnection: close, x\r\n")
    assert answer["flags"] == set()
    assert [drop for *_, drop in answer["fields"]] == [False, True, True, True]


def test_fields_of_one_hop_are_dropped() -> None:
    hop = [b"Connection", b"Keep-Alive", b"Proxy-Connection", b"TE", b"Upgrade", b"HTTP2-Settings"]
    assert dropped(b"".join(name + b": x\r\n" for name in hop)) == set(hop)
    assert dropped(b"Trailer: x\r\nExpect: 100-continue\r\nVia: x\r\nAccept: x\r\n") == set()


def test_named_fields_are_dropped() -> None:
    names = (b"X-A", b"x-b", b"X-C", b"x-a", b"Via", b"x^", b"x~")
    fields = b"".join(name + b": 1\r\n" for name in names)
    assert dropped(fields + b"Connection: x-a,,via , X-B, x^\r\n") == {
        b"X-A",
        b"x-a",
        b"x-b",
        b"Via",
        b"x^",
        b"Connection",
    }


@pytest.mark.parametrize("name", [b"content-length", b"Transfer-Encoding", b"HOST"])
def test_framing_fields_may_not_be_named(name: bytes) -> None:
    assert parsed(b"Connection: x, " + name + b"\r\n")["result"] == "bad connection"


@pytest.mark.parametrize("options", [b"a b", b"a;b", b'"close"', b"(x)", b"x=1", b"\xe4", b"close\xa0"])
def test_options_are_tokens(options: bytes) -> None:
    assert parsed(b"Connection: " + options + b"\r\n")["result"] == "bad connection"


def test_options_are_bounded() -> None:
    assert parsed(b"Connection: " + b", ".join([b"x"] * 32) + b"\r\n")["result"] == "done"
    assert parsed(b"Connection: " + b", ".join([b"x"] * 33) + b"\r\n")["result"] == "bad connection"
    assert parsed(b"Connection: " + b"," * 33 + b"\r\n")["result"] == "bad connection"
    assert parsed((b"Connection: " + b",".join([b"x"] * 20) + b"\r\n") * 2)["result"] == "bad connection"


def test_upgrade() -> None:
    upgrade = b"Upgrade: websocket\r\n"
    assert "upgrade" in parsed(upgrade + b"Connection: keep-alive, Upgrade\r\n")["flags"]
    assert "upgrade" not in parsed(upgrade)["flags"]
    assert "upgrade" not in parsed(b"Connection: upgrade\r\n")["flags"]
    assert "upgrade" not in parsed(upgrade + b"Connection: upgrade\r\n", b"HTTP/1.0")["flags"]


def test_te() -> None:
    for value, expected in [
        (b"trailers", True),
        (b"deflate;q=0.5 , Trailers", True),
        (b"trailersx", False),
        (b"", False),
        (b"gzip", False),
    ]:
        assert ("te-trailers" in parsed(b"TE: " + value + b"\r\n")["flags"]) is expected
    assert "te-trailers" in parsed(b"TE: x\r\nTE: trailers\r\n")["flags"]


# -- the trailer section -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (None, [b"X-A", b"x-b", b"User-Agent"]),
        (b"", [b"X-A", b"x-b", b"User-Agent"]),
        (b"close, keep-alive, te", [b"X-A", b"x-b", b"User-Agent"]),
        (b"x-a", [b"x-b", b"User-Agent"]),
        (b" , close,X-B ,x-A,", [b"User-Agent"]),
        (b"user-agent", [b"X-A", b"x-b"]),
        (b"x, x-ab, x-, b", [b"X-A", b"x-b", b"User-Agent"]),
        (b"x-a\r\nConnection: x-b", [b"User-Agent"]),
        (b"y" * 58 + b", x-a", [b"x-b", b"User-Agent"]),  # as much as is kept
        (b"y" * 59 + b", x-a", []),
        (b"y" * 63, []),
        (b"y" * 300 + b"\r\nConnection: x-a", []),
    ],
)
def test_named_fields_of_a_trailer_section_are_dropped(options: bytes | None, left: list[bytes]) -> None:
    """Of more names than are kept nobody knows which they were: then no field goes on."""
    fields = b"" if options is None else b"Connection: " + options + b"\r\n"
    head = b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"
    assert codec.trailers_after(head, b"X-A: 1\r\nx-b: 2\r\nUser-Agent: 3\r\n\r\n") == left
