"""RFC 9113 section 8, case by case: what a message may look like and what it becomes, each by its section."""

from typing import Any

import pytest

from tests._fast.http.h2_codec import CLIENT, Connection
from tests._fast.http.h2_frames import (
    GET,
    POST,
    PROTOCOL_ERROR,
    Fields,
    data,
    headers,
    raw,
    server,
    settings,
    stream_error,
)

CONNECT: Fields = [(":method", "CONNECT"), (":authority", "a.test:443")]
WEBSOCKET: Fields = [(":method", "CONNECT"), (":protocol", "websocket"), *GET[1:]]


def taken(fields: Fields, *flags: str) -> dict[str, Any]:
    """The message that these fields make."""
    event = server().receive(headers(1, fields, *flags))[0]
    assert event[0] == "head", event
    head: dict[str, Any] = event[2]
    return head


def refused(fields: Fields, *flags: str) -> None:
    connection = server()
    stream_error(connection, headers(1, fields, *flags), 1, PROTOCOL_ERROR)
    assert connection.malformed == 1
    assert connection.occupied == (0, 0, 0)


def with_path(path: str, method: str = "GET") -> Fields:
    return [(":method", method), (":scheme", "http"), (":authority", "a.test"), (":path", path)]


# -- 8.1: the sequence of frames --------------------------------------------------------------------------


def test_8_1_body_and_trailers() -> None:
    connection = server()
    events = connection.receive(
        headers(1, POST, "END_HEADERS") + data(1, b"body") + headers(1, [("sum", "1")])
    )
    assert [event[0] for event in events] == ["head", "body", "trailers"]
    assert events[2][2]["fields"] == [(b"sum", b"1", False)]
    assert events[2][3] is True


def test_8_1_a_second_head_that_is_not_the_end() -> None:
    connection = server()
    connection.receive(headers(1, POST, "END_HEADERS"))
    stream_error(connection, headers(1, [("a", "b")], "END_HEADERS"), 1, PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "field",
    [
        (":path", "/"),
        ("connection", "close"),
        ("Sum", "1"),
        ("transfer-encoding", "chunked"),
        ("content-length", "3"),
    ],
)
def test_8_1_what_trailers_may_not_hold(field: tuple[str, str]) -> None:
    connection = server()
    connection.receive(headers(1, POST, "END_HEADERS"))
    stream_error(connection, headers(1, [field]), 1, PROTOCOL_ERROR)


def test_8_1_trailers_that_steer_are_not_passed_on() -> None:
    connection = server()
    connection.receive(headers(1, POST, "END_HEADERS"))
    event = connection.receive(headers(1, [("authorization", "x"), ("grpc-status", "0")]))[0]
    assert event[2]["fields"] == [(b"authorization", b"x", True), (b"grpc-status", b"0", False)]


# -- 8.1.1: content-length --------------------------------------------------------------------------------


def test_8_1_1_agrees_with_the_body() -> None:
    connection = server()
    sent = (
        headers(1, [*POST, ("content-length", "5")], "END_HEADERS")
        + data(1, b"abc")
        + data(1, b"de", "END_STREAM")
    )
    assert connection.receive(sent)[-1] == ("body", 1, b"de", True)


@pytest.mark.parametrize("body", [b"abcd", b"abcdef"])
def test_8_1_1_differs_from_the_body(body: bytes) -> None:
    connection = server()
    connection.receive(headers(1, [*POST, ("content-length", "5")], "END_HEADERS"))
    stream_error(connection, data(1, body, "END_STREAM"), 1, PROTOCOL_ERROR)


def test_8_1_1_differs_over_several_frames() -> None:
    connection = server()
    connection.receive(headers(1, [*POST, ("content-length", "5")], "END_HEADERS") + data(1, b"abc"))
    stream_error(connection, data(1, b"abc"), 1, PROTOCOL_ERROR)


def test_8_1_1_trailers_come_too_early() -> None:
    connection = server()
    connection.receive(headers(1, [*POST, ("content-length", "5")], "END_HEADERS") + data(1, b"abc"))
    stream_error(connection, headers(1, [("a", "b")]), 1, PROTOCOL_ERROR)


@pytest.mark.parametrize("value", ["", "+5", "5 ", "0x5", "5,5", "-1", "9" * 19, "5a"])
def test_8_1_1_no_plain_number(value: str) -> None:
    refused([*POST, ("content-length", value)], "END_HEADERS")


def test_8_1_1_twice_or_with_no_body() -> None:
    refused([*POST, ("content-length", "5"), ("content-length", "5")], "END_HEADERS")
    refused([*POST, ("content-length", "5")])
    assert taken([*POST, ("content-length", "0")])["framing"] == "none"


# -- 8.2: fields ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Name", "nA", "na me", "na\0me", "na:me", "na\u00e9", "(", "\x7f", "", "a\r\nb"]
)
def test_8_2_1_names(name: str) -> None:
    refused([*GET, (name, "x")])


@pytest.mark.parametrize(
    "value", [" x", "x ", "\tx", "x\t", "a\0b", "a\nb", "a\rb", "a\r\nb: c", "\x01", "\x7f"]
)
def test_8_2_1_values(value: str) -> None:
    refused([*GET, ("name", value)])


def test_8_2_1_what_values_may_hold() -> None:
    assert taken([*GET, ("name", "a \t b\u00ff"), ("empty", "")])["fields"][-2:] == [
        (b"name", "a \t b\u00ff".encode(), False),
        (b"empty", b"", False),
    ]


@pytest.mark.parametrize(
    "field",
    [
        ("connection", "keep-alive"),
        ("proxy-connection", "close"),
        ("keep-alive", "5"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("te", "trailers, gzip"),
        ("te", "Trailers"),
    ],
)
def test_8_2_2_connection_specific(field: tuple[str, str]) -> None:
    refused([*GET, field])


def test_8_2_2_te_trailers() -> None:
    assert (b"te", b"trailers", True) in taken([*GET, ("te", "trailers")])["fields"]


def test_8_2_3_crumbs_of_cookies_are_one_line() -> None:
    head = taken([*GET, ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")])
    kept = [(name, value) for name, value, dropped in head["fields"] if not dropped]
    assert kept == [(b"host", b"a.test"), (b"x", b"y"), (b"cookie", b"a=1; b=2; c=3")]


# -- 8.3: pseudo-fields -----------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [":method", ":scheme", ":path"])
def test_8_3_1_missing(missing: str) -> None:
    refused([field for field in GET if field[0] != missing])


@pytest.mark.parametrize("twice", GET)
def test_8_3_1_twice(twice: tuple[str, str]) -> None:
    refused([*GET, twice])


@pytest.mark.parametrize("field", [(":status", "200"), (":unknown", "x"), (":", "x"), (":Path", "/")])
def test_8_3_of_the_other_direction_or_unknown(field: tuple[str, str]) -> None:
    refused([*GET, field])


def test_8_3_behind_a_field() -> None:
    refused([*GET[:3], ("a", "b"), GET[3]])


@pytest.mark.parametrize(
    "path", ["", "x", "http://a.test/", "*", "/a b", "/a#b", "/a\0", "/a?b#c", "/\u00e9", "?x"]
)
def test_8_3_1_paths(path: str) -> None:
    refused(with_path(path))


def test_8_3_1_a_path_and_its_query() -> None:
    head = taken(with_path("/a/b?c=d?e"))
    assert (head["target"], head["path"], head["query"]) == (b"/a/b?c=d?e", b"/a/b", b"c=d?e")
    assert (head["form"], head["method"], head["authority"]) == ("origin", b"GET", b"a.test")


def test_8_3_1_the_asterisk_is_for_options() -> None:
    assert taken(with_path("*", "OPTIONS"))["form"] == "asterisk"
    refused(with_path("*", "POST"))


@pytest.mark.parametrize("method", ["", "G T", "GET ", "G\0T", "a\r\nb"])
def test_8_3_1_methods(method: str) -> None:
    refused(with_path("/", method))


@pytest.mark.parametrize("scheme", ["", "ftp", "HTTP", "http ", "h\0tp"])
def test_8_3_1_schemes(scheme: str) -> None:
    refused([(":method", "GET"), (":scheme", scheme), (":authority", "a"), (":path", "/")])


@pytest.mark.parametrize("authority", ["", "a b", "u@a", "a:port", "a:70000", "a/b", "[::1", "a\r\nb", ":80"])
def test_8_3_1_authorities(authority: str) -> None:
    refused([(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", "/")])


def test_8_3_1_authority_and_host_agree() -> None:
    head = taken([*GET, ("host", "a.test")])
    assert [field for field in head["fields"] if field[0] == b"host"] == [(b"host", b"a.test", False)]
    refused([*GET, ("host", "b.test")])
    refused([*GET, ("host", "a.test"), ("host", "b.test")])


def test_8_3_1_host_alone_is_the_authority() -> None:
    alone = [field for field in GET if field[0] != ":authority"]
    assert taken([*alone, ("host", "h.test")])["authority"] == b"h.test"
    refused(alone)
    refused([*alone, ("host", "a"), ("host", "a")])
    refused([*alone, ("host", "a b")])


# -- 8.5: CONNECT, RFC 8441 -------------------------------------------------------------------------------


def test_8_5_connect() -> None:
    head = taken(CONNECT, "END_HEADERS")
    assert (head["form"], head["target"], head["framing"]) == ("authority", b"a.test:443", "none")
    refused([*CONNECT, (":scheme", "http")], "END_HEADERS")
    refused([*CONNECT, (":path", "/")], "END_HEADERS")
    refused(CONNECT[:1], "END_HEADERS")
    refused([(":method", "CONNECT"), (":authority", "a.test")], "END_HEADERS")


def test_rfc_8441_becomes_an_upgrade() -> None:
    head = taken(WEBSOCKET, "END_HEADERS")
    assert (head["method"], head["target"], head["authority"]) == (b"GET", b"/", b"a.test")
    assert (b"upgrade", b"websocket", True) in head["fields"]
    refused(WEBSOCKET)
    refused([(":protocol", "websocket"), *GET])
    refused([*WEBSOCKET, ("content-length", "3")], "END_HEADERS")
    refused([field for field in WEBSOCKET if field[0] != ":path"], "END_HEADERS")


def test_rfc_8441_not_where_it_was_not_offered() -> None:
    connection = server(extended_connect=False)
    stream_error(connection, headers(1, WEBSOCKET, "END_HEADERS"), 1, PROTOCOL_ERROR)


# -- too large --------------------------------------------------------------------------------------------


def test_a_head_above_the_limit_is_answered() -> None:
    connection = server(head=500, fields=10)
    events = connection.receive(headers(1, [*GET, ("a", "b" * 900)]) + headers(3))
    assert [event[:3] for event in events[:1]] == [("refuse", 1, 431)]
    assert events[1][:2] == ("head", 3)


def test_more_fields_than_the_limit() -> None:
    assert server(fields=5).receive(headers(1, [*GET, *[(f"n{i}", "x") for i in range(9)]]))[0][:3] == (
        "refuse",
        1,
        431,
    )


def test_a_line_above_the_limit() -> None:
    assert server(line=50).receive(headers(1, with_path("/" + "a" * 60)))[0][:3] == ("refuse", 1, 414)


def test_an_expectation_that_nobody_knows() -> None:
    assert server().receive(headers(1, [*GET, ("expect", "wonders")]))[0][:3] == ("refuse", 1, 417)


# -- answers, as a client ---------------------------------------------------------------------------------


def client(method: bytes = b"GET", number: int = 1) -> Connection:
    connection = Connection(CLIENT)
    connection.receive(settings())
    connection.open(method, number)
    connection.output()
    return connection


def answered(fields: Fields, *flags: str, method: bytes = b"GET", number: int = 1) -> dict[str, Any]:
    event = client(method, number).receive(headers(1, fields, *flags))[0]
    assert event[0] == "head", event
    head: dict[str, Any] = event[2]
    return head


def broken(sent: bytes) -> None:
    connection = client()
    events = connection.receive(sent)
    assert events[-1] == ("closed", 1, PROTOCOL_ERROR, True)


def test_8_3_2_status() -> None:
    assert answered([(":status", "204")])["status"] == 204
    for status in ("", "20", "2000", "20x", "099", "600", "101"):
        broken(headers(1, [(":status", status)]))
    broken(headers(1, [("a", "b")]))
    broken(headers(1, [(":status", "200"), (":status", "200")]))
    broken(headers(1, [(":status", "200"), (":path", "/")]))


def test_8_1_informational_answers_come_before() -> None:
    connection = client()
    sent = headers(1, [(":status", "103"), ("link", "x")], "END_HEADERS") + headers(1, [(":status", "200")])
    assert [(event[2]["status"], event[3]) for event in connection.receive(sent)] == [
        (103, False),
        (200, True),
    ]
    broken(headers(1, [(":status", "103")]))


def test_8_1_data_before_the_head() -> None:
    broken(data(1, b"x"))
    broken(headers(1, [(":status", "100")], "END_HEADERS") + data(1, b"x"))


def test_an_answer_without_a_body_says_so_in_http_1() -> None:
    head = answered([(":status", "200"), ("a", "b")])
    assert head["fields"] == [(b"a", b"b", False), (b"content-length", b"0", False)]
    assert (head["framing"], head["content_length"]) == ("length", 0)
    assert answered([(":status", "304")])["framing"] == "none"
    assert (
        answered([(":status", "200"), ("content-length", "7")], method=b"HEAD", number=2)["framing"] == "none"
    )
    assert answered([(":status", "200")], "END_HEADERS")["framing"] == "chunked"


def test_an_answer_of_a_wrong_length() -> None:
    broken(headers(1, [(":status", "200"), ("content-length", "3")]))
    broken(
        headers(1, [(":status", "200"), ("content-length", "3")], "END_HEADERS")
        + data(1, b"xx", "END_STREAM")
    )
    broken(headers(1, [(":status", "204"), ("content-length", "3")], "END_HEADERS"))


def test_headers_of_a_stream_that_nobody_opened() -> None:
    connection = client()
    assert connection.receive(raw(1, 5, 3, b"\x88"))[-1] == ("failed", PROTOCOL_ERROR)
    connection = client()
    assert connection.receive(raw(1, 5, 2, b"\x88"))[-1] == ("failed", PROTOCOL_ERROR)
