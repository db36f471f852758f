"""The PROXY protocol, read and written: examples, every cut, every kind of malformation."""

import socket
import struct

import pytest

from tests._fast.http.openings import proxy_header, write_proxy_header

V4 = (socket.inet_aton("192.0.2.7"), 5001, socket.inet_aton("198.51.100.1"), 443)
V6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::7"), 65535,
    socket.inet_pton(socket.AF_INET6, "2001:db8::1"), 1,
)  # fmt: skip
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def binary(command: int, family: int, payload: bytes) -> bytes:
    return SIGNATURE + struct.pack(">BBH", command, family, len(payload)) + payload


V4_BINARY = binary(0x21, 0x11, V4[0] + V4[2] + struct.pack(">HH", V4[1], V4[3]))


def test_version_1() -> None:
    line = b"PROXY TCP4 192.0.2.7 198.51.100.1 5001 443\r\n"
    assert proxy_header(line + b"GET /") == (len(line), 4, *V4)
    line = b"PROXY TCP6 2001:db8::7 2001:db8::1 65535 1\r\n"
    assert proxy_header(line) == (len(line), 6, *V6)
    for line in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 what ever\r\n"):
        assert proxy_header(line) == (len(line), 0, b"", 0, b"", 0)


def test_version_2() -> None:
    assert proxy_header(V4_BINARY + b"x") == (len(V4_BINARY), 4, *V4)
    six = binary(0x21, 0x21, V6[0] + V6[2] + struct.pack(">HH", V6[1], V6[3]))
    assert proxy_header(six) == (len(six), 6, *V6)


def test_version_2_with_extensions() -> None:
    more = binary(0x21, 0x11, V4_BINARY[16:] + b"\x04\x00\x03abc")
    assert proxy_header(more) == (len(more), 4, *V4)


@pytest.mark.parametrize(
    "header",
    [
        binary(0x20, 0x00, b""),  # LOCAL: a health check of the proxy before
        binary(0x20, 0x11, V4_BINARY[16:]),
        binary(0x21, 0x00, b""),
        binary(0x21, 0x31, bytes(216)),  # a Unix socket
    ],
)
def test_headers_that_tell_no_address(header: bytes) -> None:
    assert proxy_header(header) == (len(header), 0, b"", 0, b"", 0)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("family", "parts"), [(4, V4), (6, V6), (0, (b"", 0, b"", 0))])
def test_what_is_written_is_read(version: int, family: int, parts: tuple[bytes, int, bytes, int]) -> None:
    header = write_proxy_header(version, family, *parts)
    assert proxy_header(header) == (len(header), family, *parts)
    for cut in range(len(header)):
        assert proxy_header(header[:cut]) == "more", cut


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"PROXZ", b"\r\n\r\nx", b"\x16\x03\x01", b"proxy TCP4"]
)
def test_a_connection_without_one(data: bytes) -> None:
    assert proxy_header(data) == "none"


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY \r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 5001 443\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 5001\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 5001 443 1\r\n",
        b"PROXY TCP4  192.0.2.7 198.51.100.1 5001 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 05001 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n",
        b"PROXY TCP4 192.0.2.777 198.51.100.1 5001 443\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 5001 443\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 5001 443\r\n",
        b"PROXY TCP5 192.0.2.7 198.51.100.1 5001 443\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 5001 443\r\n",
        b"PROXY UNKNOWNX\r\n",
        b"PROXY TCP4 " + b"1" * 100,
        binary(0x11, 0x11, V4_BINARY[16:]),  # version 1 in the binary form
        binary(0x22, 0x11, V4_BINARY[16:]),  # an unknown command
        binary(0x21, 0x11, V4_BINARY[16:-1]),  # no room for the addresses
        binary(0x21, 0x21, bytes(35)),
        SIGNATURE + b"\x21\x11\xff\xff",  # longer than we read
    ],
)
def test_malformed(header: bytes) -> None:
    assert proxy_header(header) == "bad"
