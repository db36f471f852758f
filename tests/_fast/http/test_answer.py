"""Answers that are read from Python, in pieces of every size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests._fast.http.codec import RESPONSE
from tests._fast.http.corpus import RESPONSES
from tests._fast.http.reading import theirs
from tulle._fast.http.answer import Answer

HEAD_LIMIT = 65536
BODY_LIMIT = 1 << 20
OK = b"HTTP/1.1 200 OK\r\n"


def answer(method: bytes = b"GET", body_limit: int = BODY_LIMIT) -> Answer:
    return Answer(method, HEAD_LIMIT, body_limit)


def read(data: bytes, size: int, method: bytes = b"GET", closed: bool = False) -> tuple[int, bool, bool]:
    """Status, whether it is whole, whether the connection is good, of an answer in pieces of this size."""
    one = answer(method)
    whole = False
    for start in range(0, len(data), size):
        whole = one.feed(data[start : start + size])
    return one.status, whole or (closed and one.end()), one.keeps


@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
@pytest.mark.parametrize(
    ("data", "closed", "expected"),
    [
        (OK + b"Content-Length: 4\r\n\r\nwell", False, (200, True, True)),
        (OK + b"Content-Length: 4\r\n\r\nwel", True, (200, False, True)),
        (OK + b"Content-Length: 0\r\n\r\n", False, (200, True, True)),
        (OK + b"Content-Length: 4\r\nConnection: close\r\n\r\nwell", False, (200, True, False)),
        (OK + b"Content-Length: 4\r\n\r\nwell more", False, (200, True, False)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nwell", False, (200, True, False)),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n0\r\n\r\n", False, (200, True, True)),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n0\r\nA: b\r\n\r\n", False, (200, True, True)),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n", True, (200, False, True)),
        (OK + b"\r\nuntil the end", False, (200, False, False)),
        (OK + b"\r\nuntil the end", True, (200, True, False)),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n", False, (200, True, True)),
        (b"HTTP/1.1 204 None\r\n\r\n", False, (204, True, True)),
        (b"HTTP/1.1 101 Other\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", False, (101, True, False)),
        (b"HTTP/1.1 50", True, (0, False, False)),
        (b"", True, (0, False, False)),
    ],
)
def test_an_answer(data: bytes, closed: bool, expected: tuple[int, bool, bool], size: int) -> None:
    assert read(data, size, closed=closed) == expected


def test_an_answer_to_head_has_no_body() -> None:
    assert read(OK + b"Content-Length: 4\r\n\r\n", 5, b"HEAD") == (200, True, True)


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n",
        OK + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nbad line\r\n\r\n",
        OK + b"a b: c\r\n\r\n",
        OK + b"A: " + b"x" * HEAD_LIMIT + b"\r\n\r\n",
        OK + b"A: b\r\n" * 256 + b"\r\n",
    ],
)
def test_what_is_no_answer(data: bytes, size: int) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(data, size)


def test_a_body_without_end() -> None:
    one = answer(body_limit=1000)
    assert not one.feed(OK + b"\r\n" + b"x" * 1000)
    assert one.feed(b"x")
    assert (one.status, one.keeps) == (200, False)


def test_fields() -> None:
    one = answer()
    one.feed(OK + b"X-Envoy-Immediate-Health-Check-Fail: 1\r\nContent-Length: 0\r\n\r\n")
    assert one.has(b"x-envoy-immediate-health-check-fail")
    assert not one.has(b"x-envoy-immediate-health-check")
    assert not answer().has(b"a")


@given(st.sampled_from(RESPONSES), st.integers(1, 40))
def test_the_same_as_h11(data: bytes, size: int) -> None:
    other = theirs(RESPONSE, data)
    try:
        status, whole, _ = read(data, size, closed=True)
    except ValueError:
        return  # what ours refuses beside h11 is in `differences`
    if not isinstance(other, str) and other.start[0] >= 200:  # else h11 is asked for the 1xx alone
        assert (status, whole) == (other.start[0], True)
