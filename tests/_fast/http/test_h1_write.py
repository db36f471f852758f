"""Heads, written: untouched but for the edits, and read back as what they were."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests._fast.http import codec
from tests._fast.http.codec import REQUEST, RESPONSE, TRAILERS

GET = b"GET /p?q HTTP/1.1\r\nHost:a\r\nX-One:  1 \r\nx-two: 2\r\n\r\n"


def test_an_untouched_request_goes_out_byte_for_byte() -> None:
    assert codec.write(REQUEST, GET) == GET


def test_lines_are_written_anew_when_the_fields_are_no_lines() -> None:
    written = b"GET /p?q HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-two: 2\r\n\r\n"
    assert codec.write(REQUEST, GET, verbatim=False) == written


def test_edits() -> None:
    extras = [(b"via", b"1.1 tulle"), (b"x-empty", b"")]
    assert codec.write(REQUEST, GET, target=b"/other", extras=extras) == (
        b"GET /other HTTP/1.1\r\nHost:a\r\nX-One:  1 \r\nx-two: 2\r\nvia: 1.1 tulle\r\nx-empty: \r\n\r\n"
    )


@pytest.mark.parametrize("verbatim", [True, False])
def test_a_large_head_fits_into_its_bound(verbatim: bool) -> None:
    target, value = b"/" + b"p" * 500, b"v" * 200
    lines = b"x:\r\n" * 200
    written = codec.write(
        REQUEST, GET[:-2] + lines + b"\r\n", target, [(b"long", value)] * 16, verbatim=verbatim
    )
    fields = GET[19:-2] if verbatim else b"Host: a\r\nX-One: 1\r\nx-two: 2\r\n"
    lines = lines if verbatim else b"x: \r\n" * 200
    extras = b"long: %b\r\n" % value * 16
    assert written == b"GET " + target + b" HTTP/1.1\r\n" + fields + lines + extras + b"\r\n"


def test_an_empty_line_before_is_left_out_and_the_version_is_ours() -> None:
    assert codec.write(REQUEST, b"\r\nFOO * HTTP/1.0\r\n\r\n") is None
    assert codec.write(REQUEST, b"\r\nFOO /* HTTP/1.0\r\n\r\n") == b"FOO /* HTTP/1.1\r\n\r\n"
    assert codec.write(RESPONSE, b"HTTP/1.0 200\r\n\r\n") == b"HTTP/1.1 200 \r\n\r\n"


@pytest.mark.parametrize("verbatim", [True, False])
@pytest.mark.parametrize("pattern", range(64))
def test_any_pattern_of_dropped_fields(pattern: int, verbatim: bool) -> None:
    lines = [(b"TE: %d\r\n" if pattern >> index & 1 else b"x: %d\r\n") % index for index in range(6)]
    kept = b"".join(line for line in lines if line.startswith(b"x"))
    start = b"GET / HTTP/1.1\r\nHost: a\r\n"
    rest = b"".join(lines) + b"\r\n"
    assert codec.write(REQUEST, start + rest, verbatim=verbatim) == start + kept + b"\r\n"
    status_line = b"HTTP/1.1 200 OK\r\n"
    assert codec.write(RESPONSE, status_line + rest, verbatim=verbatim) == status_line + kept + b"\r\n"


def test_status_and_reason() -> None:
    head = b"HTTP/1.1 404 Nowhere\r\nA: b\r\n\r\n"
    assert codec.write(RESPONSE, head) == head
    assert codec.write(RESPONSE, head, status=503) == b"HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\n"
    assert codec.write(RESPONSE, head, status=599) == b"HTTP/1.1 599 \r\nA: b\r\n\r\n"


def test_reasons() -> None:
    known = {status: codec.reason(status) for status in range(65536) if codec.reason(status)}
    assert min(known) == 100 and max(known) == 511
    assert known[200] == b"OK" and known[431] == b"Request Header Fields Too Large"
    assert max(map(len, known.values())) < 40


def test_trailers() -> None:
    assert codec.write(TRAILERS, b"\r\n") == b"\r\n"
    assert codec.write(TRAILERS, b"X:y\r\nHost: a\r\nz: 1\r\n\r\n") == b"X:y\r\nz: 1\r\n\r\n"
    assert codec.write(TRAILERS, b"X:y\r\nHost: a\r\nz: 1\r\n\r\n", verbatim=False) == b"X: y\r\nz: 1\r\n\r\n"


TOKEN = st.text("abcXYZ019-_.!", min_size=1, max_size=20).map(lambda text: b"x-" + text.encode())
VALUE = st.text("abc ,;=\t\xe4~", max_size=60).map(lambda text: text.strip(" \t").encode("latin-1"))
FIELDS = st.lists(st.tuples(TOKEN, VALUE), max_size=12)
TARGET = st.text("ab/%?=&", max_size=40).map(lambda text: b"/" + text.encode())


def facts(kind: int, data: bytes) -> dict[str, Any]:
    """What must survive: everything but where it lies."""
    answer = codec.parse(kind, data)
    assert answer["result"] == "done"
    return {name: answer[name] for name in answer if name not in ("head_length", "start", "fields_end")}


@given(TARGET, FIELDS, FIELDS, st.booleans())
def test_a_request_survives(
    target: bytes, fields: list[tuple[bytes, bytes]], extras: list[tuple[bytes, bytes]], verbatim: bool
) -> None:
    spaces = (b"", b" ", b"\t ")
    lines = [b"%b:%b%b\r\n" % (name, spaces[len(name) % 3], value) for name, value in fields]
    data = b"PATCH " + target + b" HTTP/1.1\r\nHost: a\r\n" + b"".join(lines) + b"\r\n"
    written = codec.write(REQUEST, data, verbatim=verbatim)
    assert written is not None
    assert facts(REQUEST, written) == facts(REQUEST, data)
    written = codec.write(REQUEST, data, target=b"/new", extras=extras, verbatim=verbatim)
    assert written is not None
    read = facts(REQUEST, written)
    assert read["target"] == b"/new"
    assert [(name, value) for name, value, *_ in read["fields"][1:]] == fields + extras


@given(st.integers(200, 599), VALUE, FIELDS, st.booleans())
def test_a_response_survives(
    status: int, reason: bytes, fields: list[tuple[bytes, bytes]], verbatim: bool
) -> None:
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    data = b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason, lines)
    written = codec.write(RESPONSE, data, verbatim=verbatim)
    assert written is not None
    assert facts(RESPONSE, written) == facts(RESPONSE, data)
