"""Field names to ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests._fast.http.codec import field_number
from tulle._fast.policy import route_writer

# In the order of FieldId; a new id is to be added here too.
NAMES = (
    b"host connection content-length transfer-encoding expect upgrade keep-alive proxy-connection te trailer "
    b"http2-settings x-forwarded-for x-forwarded-proto x-forwarded-host x-request-id via user-agent "
    b"retry-after traceparent cookie set-cookie authorization x-forwarded-client-cert"
).split()


@pytest.mark.parametrize(("number", "name"), list(enumerate(NAMES, 1)))
def test_each_name_in_any_case(number: int, name: bytes) -> None:
    swapped = bytes(
        octet ^ 0x20 if index % 2 and octet >= 0x61 else octet for index, octet in enumerate(name)
    )
    assert {field_number(text) for text in (name, name.upper(), name.title(), swapped)} == {number}


@pytest.mark.parametrize("name", NAMES)
def test_one_octet_off_is_another_name(name: bytes) -> None:
    token = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for index in range(len(name)):
        for octet in token:
            other = name[:index] + bytes([octet]) + name[index + 1 :]
            if other.lower() != name:
                assert field_number(other) == 0
        assert field_number(name[:index] + name[index + 1 :] or b"x") == 0
        assert field_number(name[:index] + b"x" + name[index:]) == 0


@given(st.text("abcdefghijklmnopqrstuvwxyz-0123456789_XYZ", min_size=1, max_size=40))
def test_unknown_names(name: str) -> None:
    known = dict(zip(NAMES, range(1, 100), strict=False))
    assert field_number(name.encode()) == known.get(name.lower().encode(), 0)


def test_edits_of_routes_know_the_same_names() -> None:
    assert {name.encode() for name in route_writer._FIELDS} == set(NAMES)
    assert all(number == field_number(name.encode()) for name, number in route_writer._FIELDS.items())
