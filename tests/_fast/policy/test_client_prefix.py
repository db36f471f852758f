"""The networks that clients are counted by, against the standard library."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests._fast.policy.rating import prefix


def expected(address: str, bits: int) -> bytes:
    return ip_network((address, bits), strict=False).network_address.packed


@given(st.ip_addresses(v=4), st.integers(1, 32))
def test_ipv4(address: object, bits: int) -> None:
    assert prefix(str(address).encode(), ipv4_bits=bits) == expected(str(address), bits)


@given(st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None), st.integers(1, 128))
def test_ipv6(address: object, bits: int) -> None:
    assert prefix(str(address).encode(), ipv6_bits=bits) == expected(str(address), bits)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b"2001:db8::1", b"2001:db8:0:0:ffff::2", True),
        (b"2001:db8::1", b"2001:db8:0:1::1", False),
        (b"2001:DB8::1", b"[2001:db8:0:0::5]", True),
        (b"fe80::1%eth0", b"fe80::1", True),
        (b"::ffff:10.0.0.1", b"10.0.0.1", True),
        (b"::ffff:10.0.0.1", b"::ffff:10.0.0.2", False),
        (b"10.0.0.1", b"10.0.0.2", False),
    ],
)
def test_who_is_counted_together(one: bytes, other: bytes, same: bool) -> None:
    assert (prefix(one) == prefix(other)) == same


def test_an_address_within_another_has_its_own_bits() -> None:
    assert prefix(b"::ffff:10.1.2.3", ipv4_bits=8) == ip_address("10.0.0.0").packed


@pytest.mark.parametrize(
    "text", [b"", b"unix", b"10.0.0", b"10.0.0.1.2", b"1:2", b"x" * 100, b"[]", b"::1\0"]
)
def test_what_is_no_address(text: bytes) -> None:
    assert prefix(text) == b""
