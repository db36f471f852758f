"""Mutated HTTP/2 frames through a connection in either role.

What is told must not depend on how the bytes come, nothing may stay occupied, what is sent must be frames.
Input number N is made from N alone: `check(N)` tries one again.
"""

import random
from typing import Any

from tests._fast.http.h2_codec import CLIENT, SERVER, Connection
from tests._fast.http.h2_frames import (
    GET,
    POST,
    PREFACE,
    block,
    data,
    frames,
    goaway,
    headers,
    ping,
    raw,
    reset,
    settings,
    window,
)

ANSWER = [(":status", "200"), ("content-length", "4"), ("server", "x")]
PIECES = (
    settings(INITIAL_WINDOW_SIZE=10),
    settings(ack=True),
    settings(MAX_FRAME_SIZE=16384, HEADER_TABLE_SIZE=0),
    ping(),
    ping(ack=True),
    window(0, 100),
    window(1, 1),
    window(3, 2**31 - 1),
    reset(1),
    reset(3),
    goaway(1, 0),
    headers(1),
    headers(3, POST, "END_HEADERS"),
    headers(5, [*GET, ("a", "b" * 200), ("te", "trailers")]),
    headers(1, ANSWER, "END_HEADERS"),
    headers(3, ANSWER),
    headers(1, [("sum", "1")]),
    data(1, b"body", "END_STREAM"),
    data(3, b"x" * 300),
    data(3, b"y", "PADDED", pad=9),
    data(5, b"", "END_STREAM"),
    raw(1, 0, 7, block(GET)),
    raw(9, 4, 7, b""),
    raw(9, 0, 7, b"\x82"),
    raw(0x55, 0, 1, b"?"),
    raw(2, 0, 1, bytes(5)),
    raw(5, 4, 1, bytes(4)),
)


def make(chance: random.Random) -> bytes:
    text = bytearray(b"".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 14))))
    for _ in range(chance.choice((0, 0, 1, 2, 6))):
        position = chance.randrange(len(text))
        if chance.random() < 0.6:
            text[position] ^= 1 << chance.randrange(8)
        else:
            text[position : position + chance.randrange(4)] = chance.randbytes(chance.randrange(4))
        if not text:
            break
    return bytes(text)


def play(role: int, text: bytes, pieces: list[int], take: bool) -> tuple[list[Any], bytes]:
    connection = Connection(role, take_bodies=take, streams=3)
    connection.output()
    connection.receive((PREFACE if role == SERVER else b"") + settings())
    if role == CLIENT:
        connection.open()
        connection.open(b"POST", 3, end=False)
    events: list[Any] = []
    begin = 0
    for end in (*pieces, len(text)):
        events += connection.receive(text[begin:end])
        begin = end
        if connection.failed:
            break
    for event in events:
        if event[0] == "head" and role == SERVER:
            try:
                connection.respond(event[1], 200, [(b"a", b"b")])
                connection.send(event[1], b"z" * 50, True, [(b"sum", b"2")])
            except KeyError:
                continue
    sent = connection.output()
    connection.leave_all()
    assert connection.occupied[1:] == (0, 0)
    return joined(events), sent


def joined(events: list[Any]) -> list[Any]:
    merged: list[Any] = []
    for event in events:
        if event[0] == "body" and merged and merged[-1][:2] == event[:2] and not merged[-1][3]:
            merged[-1] = ("body", event[1], merged[-1][2] + event[2], event[3])
        else:
            merged.append(event)
    return [event for event in merged if event[0] != "body" or event[2] or event[3]]


def check(number: int) -> None:
    """Try input number N."""
    chance = random.Random(number)
    role = chance.choice((SERVER, CLIENT))
    text = make(chance)
    take = chance.random() < 0.7
    try:
        whole, sent = play(role, text, [], take)
        frames(sent.removeprefix(PREFACE))
        for _ in range(3):
            cuts = sorted(chance.randrange(len(text) + 1) for _ in range(chance.choice((1, 2, 20))))
            assert play(role, text, cuts, take)[0] == whole, cuts
    except AssertionError as wrong:
        raise AssertionError(f"input {number}, role {role}: {text!r}") from wrong
