"""The configured limits cut at the exact byte, whole or in pieces."""

import pytest

from tests._fast.http.feeding import request, response, trailers

LINE = b"GET /12345678 HTTP/1.1\r\n"
REST = b"Host: a\r\nX: y\r\n\r\n"
DATA = LINE + REST


def test_head() -> None:
    assert request(DATA, limits=(len(DATA), 100, 10))["result"] == "done"
    for limit in (len(DATA) - 1, len(LINE) + 1, len(LINE), 3, 1):
        assert request(DATA, limits=(limit, 100, 10))["result"] == "head too large"
        # no waiting for bytes that could not be taken
        assert request(DATA[:limit], limits=(limit, 100, 10))["result"] == "head too large"


def test_empty_line_before_counts_for_the_head_alone() -> None:
    data = b"\r\n" + DATA
    assert request(data, limits=(len(data), len(LINE), 10))["result"] == "done"
    assert request(data, limits=(len(data) - 1, len(LINE), 10))["result"] == "head too large"


def test_start_line() -> None:
    assert request(DATA, limits=(1000, len(LINE), 10))["result"] == "done"
    for limit in (len(LINE) - 1, 10, 1):
        assert request(DATA, limits=(1000, limit, 10))["result"] == "line too long"
    status = b"HTTP/1.1 200 A long reason\r\n"
    assert response(status + b"\r\n", limits=(1000, len(status), 10))["result"] == "done"
    assert response(status + b"\r\n", limits=(1000, len(status) - 1, 10))["result"] == "line too long"


def test_what_lies_beyond_a_limit_does_not_matter() -> None:
    assert request(b"GET /1234\0", limits=(1000, 9, 10))["result"] == "line too long"
    assert request(b"GET /1234\0", limits=(1000, 10, 10))["result"] == "bad target"
    assert request(LINE + b"X: 1234\0", limits=(len(LINE) + 7, 100, 10))["result"] == "head too large"
    assert request(LINE + b"X: 1234\0", limits=(len(LINE) + 8, 100, 10))["result"] == "bad field value"


@pytest.mark.parametrize("count", [1, 2, 100, 255])
def test_fields(count: int) -> None:
    fields = b"Host: a\r\n" + b"X: y\r\n" * (count - 1)
    answer = request(LINE + fields + b"\r\n", limits=(10000, 100, count))
    assert len(answer["fields"]) == count
    over = request(LINE + fields + b"X: y\r\n\r\n", limits=(10000, 100, count))
    assert over["result"] == "too many fields"


def test_field_names() -> None:
    longest = b"n" * 65535
    data = b"HTTP/1.1 200 OK\r\n" + longest + b":\r\n\r\n"
    assert response(data, limits=(100000, 100, 10))["fields"] == [(longest, b"", 0, False)]
    data = b"HTTP/1.1 200 OK\r\n" + longest + b"n:\r\n\r\n"
    assert response(data, limits=(100000, 100, 10))["result"] == "bad field name"


def test_trailers() -> None:
    assert trailers(b"a: b\r\n\r\n", limits=(8, 1, 1))["result"] == "done"
    assert trailers(b"a: b\r\n\r\n", limits=(7, 1, 1))["result"] == "head too large"
    assert trailers(b"a: b\r\nc: d\r\n\r\n", limits=(100, 1, 1))["result"] == "too many fields"
