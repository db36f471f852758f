"""ClientHellos as OpenSSL makes them, whole, cut at every byte, spread over records, and broken."""

import ssl
import struct

import pytest

from tests._fast.http.openings import client_hello


def hello_of(name: str | None, alpn: list[str] | None = None) -> bytes:
    """What Python's ssl sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    out = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def in_records(hello: bytes, size: int) -> bytes:
    """The same handshake message in records of that many bytes."""
    payload = hello[5:]
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(piece)) + piece for piece in pieces)


def with_extensions(extensions: bytes, length: int | None = None) -> bytes:
    """A hello that has just these."""
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00"
    body += struct.pack(">H", len(extensions) if length is None else length) + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


def server_name(name: bytes) -> bytes:
    entry = b"\x00" + struct.pack(">H", len(name)) + name
    return struct.pack(">HHH", 0, len(entry) + 2, len(entry)) + entry


def test_the_name_and_the_protocols() -> None:
    hello = hello_of("shop.example.com", ["h2", "http/1.1"])
    assert client_hello(hello) == (b"shop.example.com", b"\x02h2\x08http/1.1", True)
    assert client_hello(hello, b"http/1.1") == (b"shop.example.com", b"\x02h2\x08http/1.1", True)
    assert client_hello(hello, b"http") == (b"shop.example.com", b"\x02h2\x08http/1.1", False)


def test_neither() -> None:
    assert client_hello(hello_of(None)) == (b"", b"", False)


def test_every_prefix_waits_for_more() -> None:
    hello = hello_of("a.test", ["h2"])
    for cut in range(len(hello)):
        assert client_hello(hello[:cut]) == "more", cut
    assert client_hello(hello + b"what follows") == (b"a.test", b"\x02h2", True)


def test_it_may_come_in_several_records() -> None:
    """A name that crosses a border is taken for none; what it says elsewhere is read."""
    hello = hello_of("a.test", ["h2"])
    seen = set()
    for size in range(1, len(hello)):
        got = client_hello(in_records(hello, size))
        assert isinstance(got, tuple), (size, got)
        assert got[0] in (b"", b"a.test")
        assert got[1] in (b"", b"\x02h2")
        seen.add(got[0])
    assert seen == {b"", b"a.test"}


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00",
        b"\x15\x03\x01\x00\x02\x01\x00",  # an alert
        b"\x16\x02\x00\x00\x05\x01\x00\x00\x01\x00",  # SSL 2
        b"\x16\x03\x01\x00\x00",  # an empty record
        b"\x16\x03\x01\x40\x01\x01",  # longer than a record may be
        b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",  # another message
        b"\x16\x03\x01\x00\x05\x01\x00\x40\x01\x00",  # longer than we wait for
        with_extensions(b"\x00\x00\x00\x04\x00\x00\x00\x00", 9),
        with_extensions(b"\x00\x00\x00\x01\x00"),
        with_extensions(server_name(b"")),
        with_extensions(b"\x00\x10\x00\x04\x00\x02\x02h"),
        with_extensions(b"\x00\x10\x00\x03\x00\x01\x00"),
    ],
)
def test_what_is_none(data: bytes) -> None:
    got = client_hello(data)
    assert got == "other" or (got == "more" and data.endswith(b"\x00\x00\x00\x00")), got


@pytest.mark.parametrize("name", [b"a\x00b", b"a b", b"a/b", b"\xff"])
def test_a_name_that_is_no_host_name_is_none(name: bytes) -> None:
    assert client_hello(with_extensions(server_name(name))) == (b"", b"", False)
    assert client_hello(with_extensions(server_name(b"ok.test"))) == (b"ok.test", b"", False)
