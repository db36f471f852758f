"""Borders between the frames that the package `websockets` makes are found, at every split of the bytes."""

import random

import pytest
from websockets.frames import Close, Frame, Opcode

from tests._fast.http.websocket_tracks import close, follow


def frames_of(sizes: list[int], *, masked: bool = False) -> list[bytes]:
    return [Frame(Opcode.BINARY, bytes(size)).serialize(mask=masked) for size in sizes]


SIZES = [0, 1, 125, 126, 127, 65535, 65536, 70000]


@pytest.mark.parametrize("masked", [False, True])
def test_at_every_split(masked: bool) -> None:
    frames = frames_of([0, 1, 125, 126, 300], masked=masked)
    data = b"".join(frames)
    borders = {sum(map(len, frames[:count])) for count in range(len(frames) + 1)}
    for cut in range(len(data) + 1):
        assert follow([data[:cut]], wanted=False) == ([cut], cut in borders, False)
        assert follow([data[:cut], data[cut:]], wanted=False)[1]


def test_byte_by_byte() -> None:
    data = b"".join(frames_of([5, 130, 66000]))
    taken, border, _ = follow([bytes([byte]) for byte in data], wanted=False)
    assert border
    assert taken == [1] * len(data)


def test_it_stops_at_the_first_border_where_that_is_wanted() -> None:
    for size in SIZES:
        first, second = frames_of([size, 10])
        for cut in {1, 2, len(first) - 1} & set(range(1, len(first))):
            taken, border, _ = follow([first[:cut], first[cut:] + second], wanted=True)
            assert border
            assert taken == [cut, len(first) - cut]


def test_random_pieces() -> None:
    chance = random.Random(11)
    data = b"".join(frames_of([chance.choice(SIZES) for _ in range(20)]))
    pieces = []
    at = 0
    while at < len(data):
        step = chance.randint(1, 40000)
        pieces.append(data[at : at + step])
        at += step
    taken, border, closing = follow(pieces, wanted=False)
    assert (taken, border, closing) == ([len(piece) for piece in pieces], True, False)


def test_a_close_is_noticed_with_its_head() -> None:
    last = Frame(Opcode.CLOSE, Close(1000, "bye").serialize()).serialize(mask=False)
    assert follow([last[:1]], wanted=False)[2] is False
    assert follow([last[:2]], wanted=False)[2] is True
    assert not follow([Frame(Opcode.PING, b"x").serialize(mask=False)], wanted=False)[2]


def test_our_close_is_one() -> None:
    expected = Frame(Opcode.CLOSE, Close(1001, "").serialize()).serialize(mask=False)
    assert close(1001) == expected
