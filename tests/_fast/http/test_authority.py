"""Authorities against an independent reading of RFC 3986, and the cases where we are stricter."""

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests._fast.http.codec import is_authority

NAME = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")


def expected(text: bytes, port_required: bool = False) -> bool:
    match = re.fullmatch(rb"(\[.*\]|[^:\[\]]*)(?::([0-9]{1,5}))?", text, re.DOTALL)
    if match is None or (match[2] is None and port_required) or int(match[2] or 0) > 65535:
        return False
    if not match[1].startswith(b"["):
        return NAME.fullmatch(match[1]) is not None
    try:
        address = ipaddress.IPv6Address(match[1][1:-1].decode("latin-1"))
    except ValueError:
        return False
    return address.scope_id is None


@pytest.mark.parametrize(
    "text",
    [
        b"a",
        b"shop.example.com",
        b"127.0.0.1:8080",
        b"a:0",
        b"a:65535",
        b"%41.b",
        b"_dmarc.a~b!$&'()*+,;=",
        b"[::]",
        b"[::1]:80",
        b"[1:2:3:4:5:6:7:8]",
        b"[1:2:3:4:5:6:7::]",
        b"[::2:3:4:5:6:7:8]",
        b"[1::8]",
        b"[fe80::ABCD:ef01]",
        b"[::ffff:192.0.2.255]",
        b"[1:2:3:4:5:6:0.0.0.0]",
        b"[1:2:3::5:0.0.0.0]",
        b"[1:2:3:4::6:0.0.0.0]",
    ],
)
def test_valid(text: bytes) -> None:
    assert is_authority(text) and expected(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b":80",
        b"a:",
        b"a:65536",
        b"a:123456",
        b"a:8o",
        b"a:+8",
        b"a:80:80",
        b"u@a",
        b"a/b",
        b"a b",
        b"a?b",
        b"a#b",
        b"a\\b",
        b"a%4",
        b"a%",
        b"a%zz",
        b"\xe4.de",
        b"a\0",
        b"[",
        b"[]",
        b"[::1",
        b"::1",
        b"[::1]x",
        b"[::1]:",
        b"[:1]",
        b"[1:]",
        b"[1:2:3:4:5:6:7]",
        b"[1:2:3:4:5:6:7:8:9]",
        b"[1::2::3]",
        b"[1:2:3:4:5:6:7:8::]",
        b"[:::]",
        b"[12345::]",
        b"[g::]",
        b"[::1.2.3]",
        b"[::1.2.3.256]",
        b"[::1.2.3.04]",
        b"[::1.2.3.4.5]",
        b"[::1.2.3.4:5]",
        b"[1:2:3:4:5:6:7:1.2.3.4]",
        b"[1:2:3:4:5::6:1.2.3.4]",
        b"[fe80::1%25eth0]",
        b"[v1.x]",
        b"[a]",
    ],
)
def test_invalid(text: bytes) -> None:
    assert not is_authority(text) and not expected(text)


def test_required_port() -> None:
    assert is_authority(b"a:1", port_required=True)
    assert not is_authority(b"a", port_required=True)
    assert is_authority(b"[::1]:1", port_required=True)
    assert not is_authority(b"[::1]", port_required=True)


PIECES = [
    b":",
    b"::",
    b".",
    b"[",
    b"]",
    b"0",
    b"1",
    b"255",
    b"256",
    b"01",
    b"abcd",
    b"%",
    b"%2f",
    b"@",
    b"\x80",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join), st.booleans())
def test_agrees_with_the_independent_reading(text: bytes, port_required: bool) -> None:
    assert is_authority(text, port_required) == expected(text, port_required)


@given(st.ip_addresses(v=6).map(lambda address: f"[{address}]".encode()))
def test_every_ipv6_address(text: bytes) -> None:
    assert is_authority(text) == expected(text)
