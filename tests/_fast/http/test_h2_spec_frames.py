"""RFC 9113 sections 3 to 6, case by case, each by its section: frames, streams, settings, windows."""

import pytest
from hyperframe.frame import GoAwayFrame, PingFrame, SettingsFrame

from tests._fast.http.h2_codec import CLIENT, Connection
from tests._fast.http.h2_frames import (
    CANCEL,
    COMPRESSION_ERROR,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GET,
    NO_ERROR,
    POST,
    PREFACE,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    block,
    connection_error,
    continuation,
    data,
    frames,
    goaway,
    headers,
    kinds,
    ping,
    priority,
    raw,
    reset,
    server,
    settings,
    stream_error,
    window,
)

# -- 3.4: the connection preface --------------------------------------------------------------------------


def test_3_4_our_opening_is_settings_and_theirs_is_acknowledged() -> None:
    connection = Connection()
    first = frames(connection.output())
    assert isinstance(first[0], SettingsFrame)
    assert first[0].settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == 100
    assert connection.receive(PREFACE + settings(MAX_FRAME_SIZE=20000)) == [("settings",)]
    acks = frames(connection.output())
    assert [frame.flags for frame in acks] == [{"ACK"}]


@pytest.mark.parametrize(
    "wrong", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", b"\0" * 24]
)
def test_3_4_an_invalid_preface(wrong: bytes) -> None:
    connection_error(Connection(), wrong, PROTOCOL_ERROR)


@pytest.mark.parametrize("first", [ping(), headers(1), settings(ack=True), window(0, 1)])
def test_3_4_the_first_frame_is_settings(first: bytes) -> None:
    connection_error(Connection(), PREFACE + first, PROTOCOL_ERROR)


def test_3_4_a_client_sends_the_preface_first() -> None:
    sent = Connection(CLIENT).output()
    assert sent.startswith(PREFACE)
    assert isinstance(frames(sent[len(PREFACE) :])[0], SettingsFrame)
    assert frames(sent[len(PREFACE) :])[0].settings[SettingsFrame.ENABLE_PUSH] == 0


# -- 4: frames --------------------------------------------------------------------------------------------


def test_4_1_unknown_frames_are_ignored() -> None:
    connection = server()
    assert connection.receive(raw(0x16, 0xFF, 0, b"12345678") + raw(0x10, 0, 3, b"x") + ping()) == []
    assert kinds(connection.output()) == ["Ping"]


def test_4_1_undefined_flags_and_the_reserved_bit_are_ignored() -> None:
    connection = server()
    assert connection.receive(raw(6, 0x16, 0, b"12345678")) == []
    assert connection.receive(raw(6, 0, 1 << 31, b"12345678")) == []
    assert kinds(connection.output()) == ["Ping", "Ping"]


def test_4_2_a_frame_of_the_largest_size() -> None:
    connection = server()
    connection.receive(headers(1, POST, "END_HEADERS"))
    assert connection.receive(data(1, bytes(16384))) == [("body", 1, bytes(16384), False)]


@pytest.mark.parametrize("kind", [0, 1, 4, 9, 0x16])
def test_4_2_a_frame_above_the_largest_size(kind: int) -> None:
    connection = server()
    connection.receive(headers(1, POST, "END_HEADERS"))
    connection_error(connection, raw(kind, 0, 1 if kind in (0, 1, 9) else 0, bytes(16385)))


def test_4_3_an_invalid_block() -> None:
    connection_error(server(), raw(1, 5, 1, b"\xff\xff\xff\xff\xff"), COMPRESSION_ERROR)


def test_4_3_another_stream_within_a_block() -> None:
    begun = headers(1, GET, "END_STREAM")
    connection_error(server(), begun + headers(3), PROTOCOL_ERROR)


# -- 5.1: stream states -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame", [data(1, b"x"), reset(1), window(1, 100), continuation(1, b"", "END_HEADERS")]
)
def test_5_1_idle(frame: bytes) -> None:
    connection_error(server(), frame, PROTOCOL_ERROR)


def test_5_1_idle_takes_priority() -> None:
    connection = server()
    assert connection.receive(priority(5)) == []
    assert connection.receive(headers(1))[0][:2] == ("head", 1)


def test_5_1_half_closed_remote_data() -> None:
    connection = server()
    connection.receive(headers(1))
    events = stream_error(connection, data(1, b"x"), 1, STREAM_CLOSED)
    assert events == [("closed", 1, STREAM_CLOSED, True)]


def test_5_1_half_closed_remote_headers() -> None:
    connection = server()
    connection.receive(headers(1))
    stream_error(connection, headers(1), 1, STREAM_CLOSED)


@pytest.mark.parametrize("frame", [window(1, 10), priority(1), reset(1)])
def test_5_1_half_closed_remote_what_may_come(frame: bytes) -> None:
    connection = server()
    connection.receive(headers(1))
    connection.receive(frame)
    assert not connection.failed


def test_5_1_closed_by_both_data() -> None:
    connection = server()
    connection.receive(headers(1))
    connection.respond(1, 200, (), True)
    connection.leave(1)
    connection.output()
    stream_error(connection, data(1, b"x"), 1, STREAM_CLOSED)


def test_5_1_closed_by_both_headers() -> None:
    connection = server()
    connection.receive(headers(1))
    connection.respond(1, 200, (), True)
    connection.leave(1)
    connection_error(connection, headers(1), STREAM_CLOSED)


@pytest.mark.parametrize("frame", [window(1, 10), priority(1), reset(1)])
def test_5_1_closed_what_may_come(frame: bytes) -> None:
    connection = server()
    connection.receive(headers(1))
    connection.respond(1, 200, (), True)
    connection.leave(1)
    connection.output()
    assert connection.receive(frame) == []
    assert connection.output() == b""


def test_5_1_closed_by_their_reset() -> None:
    connection = server()
    connection.receive(headers(1, POST, "END_HEADERS"))
    assert connection.receive(reset(1)) == [("closed", 1, CANCEL, False)]
    stream_error(connection, data(1, b"x"), 1, STREAM_CLOSED)


def test_5_1_closed_by_our_reset_lets_pass_what_was_under_way() -> None:
    connection = server()
    connection.receive(headers(1, POST, "END_HEADERS"))
    connection.leave(1, CANCEL)
    connection.output()
    trailers = headers(1, [("a", "b")], "END_HEADERS", "END_STREAM")
    assert connection.receive(data(1, b"x" * 100) + window(1, 5) + trailers) == []
    assert connection.output() == b""
    assert connection.occupied == (0, 0, 0)


@pytest.mark.parametrize("stream", [0, 2, 100])
def test_5_1_1_ids_of_clients_are_odd(stream: int) -> None:
    connection_error(server(), raw(1, 5, stream, block(GET)), PROTOCOL_ERROR)


def test_5_1_1_ids_rise() -> None:
    connection = server()
    connection.receive(headers(5))
    connection_error(connection, headers(3), STREAM_CLOSED)


def test_5_1_2_too_many_streams_are_refused_and_cost_nothing_else() -> None:
    connection = server(streams=2)
    connection.receive(headers(1, POST, "END_HEADERS") + headers(3, POST, "END_HEADERS"))
    stream_error(connection, headers(5), 5, REFUSED_STREAM)
    connection.receive(reset(1))
    assert connection.receive(headers(7))[0][:2] == ("head", 7)


def test_5_1_2_a_closed_stream_makes_room_before_its_owner_lets_go() -> None:
    connection = server(streams=1)
    connection.receive(headers(1))
    connection.respond(1, 200, (), True)
    assert connection.receive(headers(3))[0][:2] == ("head", 3)


# -- 5.3: priority, deprecated ----------------------------------------------------------------------------


def test_5_3_1_headers_that_depend_on_themselves() -> None:
    frame = headers(1, GET, "END_HEADERS", "END_STREAM", "PRIORITY", depends_on=1, stream_weight=3)
    stream_error(server(), frame, 1, PROTOCOL_ERROR)


def test_5_3_1_priority_of_a_stream_on_itself() -> None:
    connection = server()
    connection.receive(headers(1))
    stream_error(connection, priority(1, 1), 1, PROTOCOL_ERROR)
    connection_error(server(), priority(7, 7), PROTOCOL_ERROR)


# -- 5.4: errors ------------------------------------------------------------------------------------------


def test_5_4_1_goaway_names_the_last_stream() -> None:
    connection = server()
    connection.receive(headers(1) + headers(7))
    connection.receive(raw(0, 0, 0, b"x"))
    last = frames(connection.output())[-1]
    assert isinstance(last, GoAwayFrame)
    assert (last.last_stream_id, last.error_code) == (7, PROTOCOL_ERROR)
    assert connection.receive(ping()) == [("failed", PROTOCOL_ERROR)]


# -- 6.1: DATA --------------------------------------------------------------------------------------------


def test_6_1_on_no_stream() -> None:
    connection_error(server(), raw(0, 0, 0, b"x"), PROTOCOL_ERROR)


@pytest.mark.parametrize("size", [0, 1, 50, 255])
def test_6_1_padding_is_not_body(size: int) -> None:
    connection = server()
    connection.receive(headers(1, POST, "END_HEADERS"))
    assert connection.feed(data(1, b"body", "PADDED", pad=size), 1)[:4] == [
        ("body", 1, bytes((letter,)), False) for letter in b"body"
    ]
    assert connection.receive(data(1, b"", "PADDED", "END_STREAM", pad=size)) == [("body", 1, b"", True)]


@pytest.mark.parametrize("payload", [b"\x01", b"\x06body1", b"\xff"])
def test_6_1_more_padding_than_payload(payload: bytes) -> None:
    connection = server()
    connection.receive(headers(1, POST, "END_HEADERS"))
    connection_error(connection, raw(0, 8, 1, payload), PROTOCOL_ERROR)


# -- 6.2: HEADERS -----------------------------------------------------------------------------------------


def test_6_2_padding_and_priority() -> None:
    frame = headers(1, GET, "END_HEADERS", "END_STREAM", "PADDED", "PRIORITY", pad_length=20, depends_on=0)
    assert server().receive(frame)[0][:2] == ("head", 1)


@pytest.mark.parametrize("payload", [b"\x06abc", b"\xff"])
def test_6_2_more_padding_than_payload(payload: bytes) -> None:
    connection_error(server(), raw(1, 13, 1, payload), PROTOCOL_ERROR)


@pytest.mark.parametrize(("flags", "payload"), [(8, b""), (0x20, b"1234"), (0x28, b"\x0012345"[:5])])
def test_6_2_shorter_than_its_flags_say(flags: int, payload: bytes) -> None:
    connection_error(server(), raw(1, 5 | flags, 1, payload), FRAME_SIZE_ERROR)


# -- 6.3 to 6.5: PRIORITY, RST_STREAM, SETTINGS -----------------------------------------------------------


def test_6_3_priority() -> None:
    connection_error(server(), raw(2, 0, 0, bytes(5)), PROTOCOL_ERROR)
    connection = server()
    connection.receive(headers(1))
    stream_error(connection, raw(2, 0, 1, bytes(4)), 1, FRAME_SIZE_ERROR)


def test_6_4_reset() -> None:
    connection_error(server(), raw(3, 0, 0, bytes(4)), PROTOCOL_ERROR)
    connection = server()
    connection.receive(headers(1))
    connection_error(connection, raw(3, 0, 1, bytes(3)), FRAME_SIZE_ERROR)


def test_6_5_settings() -> None:
    connection_error(server(), raw(4, 1, 0, bytes(6)), FRAME_SIZE_ERROR)
    connection_error(server(), raw(4, 0, 1), PROTOCOL_ERROR)
    connection_error(server(), raw(4, 0, 0, bytes(3)), FRAME_SIZE_ERROR)


@pytest.mark.parametrize(
    ("setting", "value", "error"),
    [
        (2, 2, PROTOCOL_ERROR),
        (4, 1 << 31, FLOW_CONTROL_ERROR),
        (5, 16383, PROTOCOL_ERROR),
        (5, 1 << 24, PROTOCOL_ERROR),
        (8, 2, PROTOCOL_ERROR),
    ],
)
def test_6_5_2_values_out_of_bounds(setting: int, value: int, error: int) -> None:
    payload = setting.to_bytes(2, "big") + value.to_bytes(4, "big")
    connection_error(server(), raw(4, 0, 0, payload), error)


def test_6_5_2_unknown_settings_are_ignored() -> None:
    assert server().receive(raw(4, 0, 0, b"\xff\xff\0\0\0\1")) == [("settings",)]


def test_6_5_2_a_server_may_not_ask_for_push() -> None:
    connection = Connection(CLIENT)
    connection.output()
    connection_error(connection, settings(ENABLE_PUSH=1), PROTOCOL_ERROR)


def test_6_5_3_each_is_acknowledged() -> None:
    connection = server()
    connection.receive(settings() + settings(INITIAL_WINDOW_SIZE=1))
    assert [frame.flags for frame in frames(connection.output())] == [{"ACK"}, {"ACK"}]


def test_6_6_push_promise() -> None:
    connection = server()
    connection.receive(headers(1))
    connection_error(connection, raw(5, 4, 1, b"\0\0\0\2"), PROTOCOL_ERROR)
    client = Connection(CLIENT)
    client.receive(settings())
    client.open()
    client.output()
    connection_error(client, raw(5, 4, 1, b"\0\0\0\2" + block(GET)), PROTOCOL_ERROR)


# -- 6.7: PING, 6.8: GOAWAY -------------------------------------------------------------------------------


def test_6_7_ping() -> None:
    connection = server()
    connection.receive(ping(b"opaque!!"))
    answer = frames(connection.output())[0]
    assert isinstance(answer, PingFrame)
    assert (answer.opaque_data, answer.flags) == (b"opaque!!", {"ACK"})
    assert connection.receive(ping(ack=True)) == []
    assert connection.output() == b""
    connection_error(server(), raw(6, 0, 1, bytes(8)), PROTOCOL_ERROR)
    connection_error(server(), raw(6, 0, 0, bytes(6)), FRAME_SIZE_ERROR)


def test_6_8_goaway() -> None:
    connection_error(server(), raw(7, 0, 1, bytes(8)), PROTOCOL_ERROR)
    connection_error(server(), raw(7, 0, 0, bytes(7)), FRAME_SIZE_ERROR)
    assert server().receive(goaway(3, 2)) == [("goaway", 3, 2)]


def test_6_7_each_ping_of_ours_has_one_answer() -> None:
    """The answer to one is not taken for that to the other: a drain's tells what had been sent before it."""
    connection = server()
    connection.ask()
    connection.ping()
    asked, pinged = frames(connection.output())
    assert isinstance(asked, PingFrame) and isinstance(pinged, PingFrame)
    assert asked.opaque_data != pinged.opaque_data
    assert connection.receive(ping(asked.opaque_data, ack=True)) == [("alive",)]
    assert connection.receive(ping(asked.opaque_data, ack=True)) == []
    assert connection.receive(ping(pinged.opaque_data, ack=True)) == [("pong",)]
    assert connection.receive(ping(pinged.opaque_data, ack=True)) == []


def test_6_8_a_drain_in_two_steps() -> None:
    connection = server()
    connection.receive(headers(1))
    connection.shutdown()
    first, probe = frames(connection.output())
    assert isinstance(first, GoAwayFrame)
    assert isinstance(probe, PingFrame)
    assert (first.last_stream_id, first.error_code) == (2**31 - 1, NO_ERROR)
    # What was opened meanwhile is served
    assert connection.receive(headers(3))[0][:2] == ("head", 3)
    assert connection.receive(ping(probe.opaque_data, ack=True)) == [("pong",)]
    connection.shut()
    last = frames(connection.output())[0]
    assert isinstance(last, GoAwayFrame)
    assert (last.last_stream_id, last.error_code) == (3, NO_ERROR)
    # and what comes later is not, nor is it an error: the client knows
    assert connection.receive(headers(5)) == []
    assert connection.output() == b""
    connection.respond(3, 200, (), True)
    assert kinds(connection.output()) == ["Headers"]


def test_6_8_a_client_opens_nothing_after_it() -> None:
    client = Connection(CLIENT)
    client.receive(settings())
    assert client.open() == 1
    client.receive(goaway(1))
    assert not client.may_open()
    assert client.open() is None


# -- 6.9: WINDOW_UPDATE -----------------------------------------------------------------------------------


def test_6_9_no_increment() -> None:
    connection_error(server(), window(0, 0), PROTOCOL_ERROR)
    connection = server()
    connection.receive(headers(1))
    stream_error(connection, window(1, 0), 1, PROTOCOL_ERROR)
    connection_error(server(), raw(8, 0, 0, bytes(3)), FRAME_SIZE_ERROR)


def test_6_9_1_windows_that_overflow() -> None:
    connection_error(server(), window(0, 2**31 - 1), FLOW_CONTROL_ERROR)
    connection = server()
    connection.receive(headers(1))
    stream_error(connection, window(1, 2**31 - 1), 1, FLOW_CONTROL_ERROR)


def test_6_9_1_no_more_than_the_window_is_sent() -> None:
    connection = server()
    connection.receive(settings(INITIAL_WINDOW_SIZE=3) + headers(1))
    connection.output()
    connection.respond(1)
    assert connection.send(1, b"12345", True) == 1
    sent = frames(connection.output())
    assert [frame.data for frame in sent[1:]] == [b"123"]
    connection.receive(window(1, 1))
    assert [frame.data for frame in frames(connection.output())] == [b"4"]
    connection.receive(window(1, 100))
    last = frames(connection.output())
    assert [(frame.data, frame.flags) for frame in last] == [(b"5", {"END_STREAM"})]
    assert connection.drained() == [1]


def test_6_9_2_a_new_initial_size_moves_windows_below_zero() -> None:
    connection = server()
    connection.receive(settings(INITIAL_WINDOW_SIZE=10) + headers(1))
    connection.output()
    connection.respond(1)
    connection.send(1, b"x" * 20, True)
    assert sum(len(frame.data) for frame in frames(connection.output())[1:]) == 10
    connection.receive(settings(INITIAL_WINDOW_SIZE=4))
    assert kinds(connection.output()) == ["Settings"]
    connection.receive(window(1, 6))
    assert connection.output() == b""
    connection.receive(window(1, 1))
    assert [len(frame.data) for frame in frames(connection.output())] == [1]


def test_6_9_2_a_new_initial_size_may_not_overflow() -> None:
    connection = server()
    connection.receive(headers(1) + window(1, 2**31 - 1 - 65535))
    connection_error(connection, settings(INITIAL_WINDOW_SIZE=65536), FLOW_CONTROL_ERROR)


def test_6_9_the_connections_window_is_shared() -> None:
    connection = server()
    connection.receive(settings(INITIAL_WINDOW_SIZE=2**20) + headers(1) + headers(3))
    connection.output()
    connection.respond(1)
    connection.respond(3)
    connection.send(1, bytes(60000), True)
    assert connection.send(3, bytes(60000), True) == 1
    sent = sum(
        len(frame.data) for frame in frames(connection.output()) if frame.stream_id and frame.type == 0
    )
    assert sent == 65535
    connection.receive(window(0, 60000))
    assert sum(len(frame.data) for frame in frames(connection.output())) == 120000 - 65535


def test_6_9_more_than_we_have_granted() -> None:
    connection = server(take_bodies=False, connection_window=200000)
    connection.receive(headers(1, POST, "END_HEADERS"))
    for _ in range(4):
        connection.receive(data(1, bytes(16383)))
    stream_error(connection, data(1, bytes(10)), 1, FLOW_CONTROL_ERROR)
    connection = server(take_bodies=False, window=200000)
    connection.receive(headers(1, POST, "END_HEADERS"))
    for _ in range(4):
        connection.receive(data(1, bytes(16383)))
    connection_error(connection, data(1, bytes(10)), FLOW_CONTROL_ERROR)


# -- 6.10: CONTINUATION -----------------------------------------------------------------------------------


def test_6_10_a_block_in_pieces() -> None:
    connection = server()
    text = block([*GET, ("a", "b" * 300)])
    begun = raw(1, 1, 1, text[:10])
    events = connection.receive(
        begun + continuation(1, text[10:40]) + continuation(1, text[40:], "END_HEADERS")
    )
    assert events[0][:2] == ("head", 1)
    assert events[0][2]["fields"][-1] == (b"a", b"b" * 300, False)
    assert connection.occupied[0] == 0


@pytest.mark.parametrize(
    "between", [ping(), data(1, b"x"), continuation(3, b""), raw(0x16, 0, 0, b""), headers(3)]
)
def test_6_10_nothing_may_come_between(between: bytes) -> None:
    connection_error(server(), raw(1, 1, 1, block(GET)[:3]) + between, PROTOCOL_ERROR)


@pytest.mark.parametrize("before", [b"", headers(1), headers(1, POST, "END_HEADERS") + data(1, b"x")])
def test_6_10_not_without_a_block(before: bytes) -> None:
    connection_error(server(), before + continuation(1, b"", "END_HEADERS"), PROTOCOL_ERROR)
    connection_error(server(), raw(9, 4, 0, b""), PROTOCOL_ERROR)
