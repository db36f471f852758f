"""Dates in the three forms that HTTP allows, and Retry-After."""

import time
from http.cookiejar import http2time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests._fast.http import codec

BEYOND = 253402300800  # the year 10000
RFC850 = "%A, %d-%b-%y %H:%M:%S GMT"
ASCTIME = "%a %b %e %H:%M:%S %Y"


@given(st.integers(0, BEYOND - 1))
def test_what_we_write_we_read(seconds: int) -> None:
    assert codec.date_seconds(codec.date_text(seconds)) == seconds


@given(st.integers(0, BEYOND - 1))
def test_the_form_of_c(seconds: int) -> None:
    assert codec.date_seconds(time.strftime(ASCTIME, time.gmtime(seconds)).encode()) == seconds


@given(st.integers(0, 3155759999))  # until 2069
def test_the_form_of_rfc_850(seconds: int) -> None:
    assert codec.date_seconds(time.strftime(RFC850, time.gmtime(seconds)).encode()) == seconds


@given(st.binary(max_size=40) | st.text("SunoFriMay,-: 0123456789GMT", max_size=33).map(str.encode))
def test_anything_else_is_no_date(text: bytes) -> None:
    found = codec.date_seconds(text)
    assert found == -1 or http2time(text.decode()) == found


@pytest.mark.parametrize(
    "text",
    [
        b"Sun, 06 Nov 1994 08:49:37 UTC",
        b"Sun, 06 Nov 1994 24:49:37 GMT",
        b"Sun, 06 Now 1994 08:49:37 GMT",
        b"Sun, 36 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1964 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08-49-37 GMT",
        b"Sun Nov  x 08:49:37 1994",
        b"Sunday, 06-Nov-9x 08:49:37 GMT",
        b"",
    ],
)
def test_no_dates(text: bytes) -> None:
    assert codec.date_seconds(text) == -1


@pytest.mark.parametrize(
    ("fields", "wall", "seconds"),
    [
        (b"Retry-After: 17", 5, 17),
        (b"Retry-After: 0", 5, 0),
        (b"Retry-After: 99999999999999999999999", 5, 1_000_000_000),
        (b"Retry-After: Thu, 01 Jan 1970 00:01:00 GMT", 50, 10),
        (b"Retry-After: Thu, 01 Jan 1970 00:01:00 GMT", 70, 0),
        (b"Retry-After: soon", 5, -1),
        (b"Retry-After: 1.5", 5, -1),
        (b"Retry-After: -1", 5, -1),
        (b"Retry-After:", 5, -1),
        (b"Retry-After: 1\r\nRetry-After: 2", 5, -1),
        (b"X: 1", 5, -1),
    ],
)
def test_retry_after(fields: bytes, wall: int, seconds: int) -> None:
    assert codec.retry_after(b"HTTP/1.1 503 No\r\n" + fields + b"\r\n\r\n", wall) == seconds
