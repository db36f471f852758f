"""Floods: each ends with GOAWAY ENHANCE_YOUR_CALM after a number of frames that is known, and is counted."""

from collections.abc import Callable

import pytest

from tests._fast.http.h2_frames import (
    CANCEL,
    ENHANCE_YOUR_CALM,
    GET,
    POST,
    block,
    connection_error,
    continuation,
    data,
    headers,
    ping,
    priority,
    raw,
    reset,
    server,
    settings,
    window,
)

SECOND = 1_000_000_000
NOTHING: dict[str, Callable[[int], bytes]] = {
    "ping": lambda n: ping(),
    "answers to no drain's PING": lambda n: ping(b"tulle-up", ack=True),
    "answers to no other PING": lambda n: ping(b"tulle-on", ack=True),
    "settings": lambda n: settings(INITIAL_WINDOW_SIZE=n),
    "answers to no SETTINGS": lambda n: raw(4, 1, 0, b""),
    "priority": lambda n: priority(2 * n + 1),
    "empty DATA": lambda n: data(1),
    "padding alone": lambda n: data(1, b"", "PADDED", pad=100),
    "window": lambda n: window(1, 1),
    "unknown": lambda n: raw(0x20, 0, 0, b"x"),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_frames_that_move_nothing(kind: str) -> None:
    connection = server()
    connection.receive(headers(1, POST, "END_HEADERS"))
    for number in range(3000):
        connection.receive(NOTHING[kind](number))
        assert connection.waiting_output < 1 << 20
        if connection.failed:
            break
        connection.output() if number % 50 == 0 else None
    assert connection.failed
    assert connection.calmed == 1


@pytest.mark.parametrize("kind", NOTHING)
def test_as_many_as_an_honest_peer_sends_in_an_hour(kind: str) -> None:
    connection = server()
    connection.receive(headers(1, POST, "END_HEADERS"))
    for number in range(3600):
        connection.receive(NOTHING[kind](number) * 3)
        connection.output()
        connection.tick(SECOND)
    assert not connection.failed


def test_rapid_reset() -> None:
    connection = server()
    for number in range(2000):
        connection.receive(headers(2 * number + 1) + reset(2 * number + 1, CANCEL))
        if connection.failed:
            break
    assert connection.failed
    assert number < 1100
    assert connection.calmed == 1
    assert connection.occupied[1:] == (0, 0)


def test_resets_among_answers_are_let_pass() -> None:
    connection = server()
    for number in range(0, 6000, 2):
        stream = 2 * number + 1
        connection.receive(headers(stream) + headers(stream + 2))
        connection.respond(stream, 200, (), True)
        connection.leave(stream)
        connection.receive(reset(stream + 2, CANCEL))
        connection.output()
    assert not connection.failed


def test_malformed_requests_without_end() -> None:
    connection = server()
    for number in range(1000):
        connection.receive(headers(2 * number + 1, [*GET, ("Bad", "x")]))
        connection.output()
        if connection.failed:
            break
    assert number < 300
    assert connection.calmed == 1


def test_refused_streams_without_end() -> None:
    connection = server(streams=1)
    connection.receive(headers(1, POST, "END_HEADERS"))
    for number in range(1, 1000):
        connection.receive(headers(2 * number + 1))
        connection.output()
        if connection.failed:
            break
    assert number < 300
    assert connection.calmed == 1


def test_a_flood_of_empty_continuations() -> None:
    connection = server()
    connection.receive(raw(1, 1, 1, block(GET)))
    for _ in range(70):
        if connection.receive(continuation(1, b"")):
            break
    assert connection.calmed == 1


def test_a_flood_of_full_continuations() -> None:
    connection = server(head=60000)
    sent = raw(1, 1, 1, block(GET)) + continuation(1, bytes(16384)) * 10
    connection_error(connection, sent, ENHANCE_YOUR_CALM)
    assert connection.occupied[0] <= 1 + 1  # the output


def test_a_bomb_of_references_is_no_larger_than_the_limit() -> None:
    """4 KiB in HPACK's table, referred to thousands of times (CVE-2016-6581)."""
    connection = server()
    value = b"x" * 4000
    literal = b"\x40\x01a\x7f" + bytes((0x80 | (4000 - 127) & 0x7F, (4000 - 127) >> 7)) + value
    events = connection.receive(raw(1, 5, 1, block(GET) + literal + b"\xbe" * 12000))
    assert events[0][:3] == ("refuse", 1, 431)
    connection.leave(1)
    assert connection.receive(headers(3))[0][:2] == ("head", 3)


def test_streams_whose_windows_stay_shut_hold_what_they_were_given_and_no_more() -> None:
    connection = server()
    connection.receive(settings(INITIAL_WINDOW_SIZE=0) + b"".join(headers(2 * n + 1) for n in range(50)))
    for number in range(50):
        connection.respond(2 * number + 1)
        assert connection.send(2 * number + 1, bytes(1000), True) == 1
    connection.output()
    assert connection.occupied[0] == 50
    connection.receive(b"".join(reset(2 * n + 1) for n in range(50)))
    assert connection.occupied == (0, 0, 0)
