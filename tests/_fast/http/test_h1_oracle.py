"""Our codec and h11 read every message alike, or ours refuses it for a reason in `differences.py`."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests._fast.http import corpus
from tests._fast.http.codec import REQUEST, RESPONSE
from tests._fast.http.differences import DIFFERENCES, Difference
from tests._fast.http.reading import ours, theirs

# Differences that are asked only of messages that have the field or the coding in question
ASKED_OF_SOME = ("bad content-length", "bad chunk", "bad expectation", "bad transfer-encoding")
METHODS = ("GET", "HEAD", "CONNECT", "other")
SETTINGS = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
BY_RESULT = {difference.result: difference for difference in DIFFERENCES}


def agree(kind: int, data: bytes, method: str = "GET") -> None:
    one = ours(kind, data, method)
    # an empty line before a request is no part of it
    other = theirs(kind, data.removeprefix(b"\r\n") if kind == REQUEST else data, method)
    if one == other:
        return
    if isinstance(other, str):
        # Ours sees an error at its first octet, h11 when the line is complete. A CR may begin an empty line.
        assert isinstance(one, str), f"h11: {other}, ours accepts {one}"
        assert one != "more" or data == b"\r", f"h11: {other}, ours waits for more"
        return
    assert isinstance(one, str), f"h11 reads {other}, ours {one}"
    assert one in BY_RESULT, f"h11 reads {other}, ours: {one}"
    assert BY_RESULT[one].applies(other, data), f"{one}: {BY_RESULT[one].reason}, but not in {other}"


@pytest.mark.parametrize("data", corpus.REQUESTS)
def test_requests_of_the_corpus(data: bytes) -> None:
    assert ours(REQUEST, data) == theirs(REQUEST, data.removeprefix(b"\r\n"))
    for cut in range(len(data)):
        agree(REQUEST, data[:cut])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("data", corpus.RESPONSES)
def test_responses_of_the_corpus(data: bytes, method: str) -> None:
    agree(RESPONSE, data, method)
    for cut in range(len(data)):
        agree(RESPONSE, data[:cut], method)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.result)
def test_each_difference_is_one(difference: Difference) -> None:
    read = theirs(difference.kind, difference.example)
    assert not isinstance(read, str)
    assert ours(difference.kind, difference.example) == difference.result
    assert difference.applies(read, difference.example)


@pytest.mark.parametrize("data", [data for data in corpus.REQUESTS if not data.startswith(b"\r\n")])
def test_no_difference_applies_to_the_corpus(data: bytes) -> None:
    read = theirs(REQUEST, data)
    assert not isinstance(read, str)
    for difference in DIFFERENCES:
        if difference.result not in ASKED_OF_SOME:
            assert not difference.applies(read, data), difference.result


NAMES = [
    b"X-Any",
    b"Accept",
    b"connection",
    b"Content-Length",
    b"Transfer-Encoding",
    b"Host",
    b"Expect",
    b"Upgrade",
    b"te",
    b"a.b_c!",
]
VALUES = [
    b"",
    b"x",
    b"5",
    b"0",
    b"chunked",
    b"Chunked",
    b"close",
    b"keep-alive, x-any",
    b"100-continue",
    b"websocket",
    b"a \t b",
    b"h.example:80",
    b"\xe4",
    b'"q", (c)',
]
TARGETS = [
    b"/",
    b"/a?b",
    b"*",
    b"http://h/p",
    b"https://[::1]?q",
    b"h:1",
    b"//",
    b"/#",
    b"x",
    b"http://",
    b"/\x7f",
]
BODIES = [
    b"",
    b"5",
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\nrest",
    b"1;x\r\na\r\n0\r\n\r\n",
]
field = st.builds(
    lambda name, space, value: name + b":" + space + value + b"\r\n",
    st.sampled_from(NAMES),
    st.sampled_from([b"", b" ", b"\t "]),
    st.sampled_from(VALUES) | st.binary(max_size=8),
)
fields = st.lists(field, max_size=5).map(b"".join)
version = st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0"] * 2 + [b"HTTP/1.2", b"http/1.1", b"HTTP/2.0"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from([b"GET", b"POST", b"OPTIONS", b"CONNECT", b"x!"]))
    host = draw(st.sampled_from([b"Host: a\r\n"] * 4 + [b""]))
    start = method + b" " + draw(st.sampled_from(TARGETS)) + b" " + draw(version) + b"\r\n"
    return start + host + draw(fields) + b"\r\n" + draw(st.sampled_from(BODIES))


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    status = draw(
        st.sampled_from([b"200", b"404", b"304", b"204", b"100", b"101", b"103", b"600", b"099", b"20"])
    )
    reason = draw(st.sampled_from([b"", b" ", b" OK", b" \xe4\t!"]))
    start = draw(version) + b" " + status + reason + b"\r\n"
    return start + draw(fields) + b"\r\n" + draw(st.sampled_from(BODIES))


@st.composite
def mutated(draw: st.DrawFn, sources: tuple[bytes, ...]) -> bytes:
    data = draw(st.sampled_from(sources))
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, len(data)))
        removed = draw(st.sampled_from([0, 0, 0, 1, 1, 2, 5, 20]))
        piece = draw(st.just(b"") | st.sampled_from(corpus.PIECES) | st.binary(min_size=1, max_size=2))
        data = data[:position] + piece + data[position + removed :]
    return data


@SETTINGS
@given(requests())
def test_requests_of_all_kinds(data: bytes) -> None:
    agree(REQUEST, data)


@SETTINGS
@given(responses(), st.sampled_from(METHODS))
def test_responses_of_all_kinds(data: bytes, method: str) -> None:
    agree(RESPONSE, data, method)


@SETTINGS
@given(mutated(corpus.REQUESTS))
def test_mutated_requests(data: bytes) -> None:
    agree(REQUEST, data)


@SETTINGS
@given(mutated(corpus.RESPONSES), st.sampled_from(METHODS))
def test_mutated_responses(data: bytes, method: str) -> None:
    agree(RESPONSE, data, method)
