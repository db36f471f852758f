"""What clients ask for by Accept, texts as strings of JSON, messages of gRPC, names in title case."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests._fast.http.wording import accepted, grpc_message, json_text, titled

ACCEPTED = [
    ([], "text"),
    ([""], "text"),
    (["*/*"], "text"),
    (["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], "text"),
    (["application/json"], "json"),
    (["Application/JSON; charset=utf-8"], "json"),
    (["application/json, text/plain, */*"], "json"),
    (["text/plain, application/json;q=0.9"], "text"),
    (["text/*, application/json;q=0.9"], "text"),
    (["text/*, text/plain;q=0.1, application/json;q=0.9"], "json"),
    (["text/plain;q=0, text/*, application/json;q=0.001"], "json"),
    (["application/json;q=0"], "text"),
    (["application/json;q=0.0, */*"], "text"),
    (["application/json;q=2"], "text"),
    (["application/json;q="], "text"),
    (["application/json ; q=1.000 "], "json"),
    (['application/json;profile="a,b";Q=0.5'], "json"),
    (['text/html;x="application/json, application/json"'], "text"),
    (["application/problem+json"], "problem"),
    (["application/problem+json, application/json"], "json"),
    (["application/problem+json, application/json;q=0.9"], "problem"),
    (["text/html", "application/json"], "json"),
    (["application/jsonx"], "text"),
    (["application/json+x"], "text"),
    ([",,,", ", application/json ,"], "json"),
    (['"', "application/json"], "json"),
    (['application/json;x="\\'], "json"),
]


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"GET / HTTP/1.1", b"host: a", *lines, b"", b""])


@pytest.mark.parametrize(("values", "wanted"), ACCEPTED, ids=[str(number) for number in range(len(ACCEPTED))])
def test_what_a_client_asks_for(values: list[str], wanted: str) -> None:
    assert accepted(head(*(b"Accept: " + value.encode() for value in values))) == wanted


@given(st.text(alphabet='apliction/jsx+*,;q=01. \t"\\', max_size=60))
def test_accept_is_read_whatever_it_is(value: str) -> None:
    assert accepted(head(b"accept: " + value.encode())) in ("text", "json", "problem")


@given(st.text(max_size=200))
def test_a_text_is_the_same_text_in_json(text: str) -> None:
    encoded = text.encode("utf-8", "surrogatepass")
    written = json_text(encoded, 6 * len(encoded) + 16)
    assert json.loads(written) == encoded.decode("utf-8", "replace")


@given(st.binary(max_size=100), st.integers(2, 120))
def test_any_bytes_are_a_string_of_json_in_any_room(data: bytes, room: int) -> None:
    written = json_text(data, room)
    assert len(written) <= room
    text = json.loads(written)
    whole = json.loads(json_text(data, 6 * len(data) + 16))
    assert whole.startswith(text)


def test_json_of_the_ends_of_utf_8() -> None:
    bad = [
        b"\x80", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
    ]  # fmt: skip
    good = ["\x7f", "\x80", "߿", "ࠀ", "퟿", "\ue000", "￿", "\U00010000", "\U0010ffff"]
    for data in [*bad, b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"]:
        assert json.loads(json_text(data, 100)) == "�" * len(data)
    for text in good:
        assert json.loads(json_text(text.encode(), 100)) == text


def test_a_message_of_grpc() -> None:
    def read(value: bytes, room: int = 100) -> bytes:
        return grpc_message(head(b"grpc-message: " + value), room)

    assert read(b"no such thing") == b"no such thing"
    assert read(b"100%25 of %C3%A9t%c3%a9") == "100% of été".encode()
    assert read(b"%") == b"%" and read(b"%2") == b"%2" and read(b"%zz%4") == b"%zz%4"
    assert read(b"%41%42%43", 2) == b"AB"
    assert grpc_message(head(), 10) == b""


def test_names_in_title_case() -> None:
    given = head(b"content-type: a-b: c", b"x-request-id: 1", b"eTag: x", b"x_y.z-9a: q", b"dnt: 1", b"-a: b")
    wanted = b"\r\n".join(
        [b"GET / HTTP/1.1", b"Host: a", b"Content-Type: a-b: c", b"X-Request-Id: 1", b"ETag: x",
         b"X_Y.Z-9a: q", b"Dnt: 1", b"-A: b", b"", b""]
    )  # fmt: skip
    assert titled(given, [], True) == wanted


def test_only_the_names_that_were_added() -> None:
    given = head(b"x-theirs: 1", b"via: t", b"x-ours: ")
    extras = [(b"via", b"t"), (b"x-ours", b"")]
    assert titled(given, extras, False) == head(b"x-theirs: 1", b"Via: t", b"X-Ours: ")
    assert titled(head(b"x-theirs: 1"), [], False) == head(b"x-theirs: 1")
