"""Addresses, taken apart and packed as the kernel has them."""

import socket
import struct

import pytest

from tulle.controlplane.address import is_name, pack_sockaddr, parse_address


@pytest.mark.parametrize(
    ("text", "normal", "name"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", False),
        ("[::1]:80", "[::1]:80", False),
        ("[0:0::0:1]:80", "[::1]:80", False),
        ("a_b.example.com.:80", "a_b.example.com.:80", True),
        ("localhost:65535", "localhost:65535", True),
        ("unix:/run/x y.sock", "unix:/run/x y.sock", False),
        ("unix:@abstract", "unix:@abstract", False),
    ],
)
def test_what_is_an_address(text: str, normal: str, name: bool) -> None:
    address = parse_address(text)
    assert (str(address), is_name(address)) == (normal, name)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("127.0.0.1", "no port"),
        ("a:0", "from 1"),
        ("a:65536", "65535"),
        ("a:٣", "number"),
        ("a:", "number"),
        ("::1:80", "brackets"),
        ("[::g]:80", "IPv6"),
        ("1.2.3:80", "IPv4"),
        ("01.2.3.4:80", "IPv4"),
        (":80", "host name"),
        ("-a:80", "host name"),
        ("unix:rel", "begin with /"),
        ("unix:/" + "x" * 107, "107 bytes"),
    ],
)
def test_what_is_none(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_address(text)


def test_packed_addresses_are_the_kernels() -> None:
    """A socket that is bound to a packed address says that it is there."""
    library_v4 = (
        struct.pack("=H", socket.AF_INET) + (8080).to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
    )
    assert pack_sockaddr(parse_address("127.0.0.1:8080")) == library_v4
    packed = pack_sockaddr(parse_address("[2001:db8::1]:443"))
    assert len(packed) == 28
    assert packed[2:4] == (443).to_bytes(2, "big")
    assert packed[8:24] == socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    assert pack_sockaddr(parse_address("unix:/a/b"))[2:] == b"/a/b\0"
    assert pack_sockaddr(parse_address("unix:@a"))[2:] == b"\0a"
