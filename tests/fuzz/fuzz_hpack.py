"""Mutated HPACK blocks, several to a decoder, against the package `hpack`; and lists through our encoder.

Both decoders must agree on what is an error, on the fields, and on the table that a block leaves behind.
Input number N is made from N alone: `check(N)` tries one again.
"""

import random

import hpack
from hpack.exceptions import HPACKError

from tests._fast.http.hpack_codec import ARENA_LEAST, REQUEST, RESPONSE, TRAILERS, Decoder, Encoder

NAMES = (
    b"accept",
    b"x-a",
    b"cookie",
    b"host",
    b"te",
    b"X-Upper",
    b":path",
    b":status",
    b":method",
    b"",
    b"connection",
)
VALUES = (
    b"",
    b"gzip, deflate",
    b"200",
    b"GET",
    b"/",
    b"trailers",
    b"a b",
    b" a",
    b"v" * 300,
    b"w" * 4000,
    b"\0",
)
PSEUDO = {b":method": b"GET", b":scheme": b"http", b":path": b"/", b":authority": b"h", b":status": b"200"}


def some_list(chance: random.Random) -> list[tuple[bytes, bytes]]:
    fields = [item for item in PSEUDO.items() if chance.random() < 0.3]
    for _ in range(chance.randrange(6)):
        value = chance.choice(VALUES) if chance.random() < 0.8 else chance.randbytes(chance.randrange(20))
        fields.append((chance.choice(NAMES), value))
    return fields


def mutate(chance: random.Random, block: bytes) -> bytes:
    for _ in range(chance.choice((0, 0, 1, 2, 6))):
        at = chance.randrange(len(block) + 1)
        piece = chance.randbytes(chance.choice((0, 1, 1, 2))) or block[at : at + 20] * chance.choice(
            (1, 2, 40)
        )
        block = block[:at] + piece + block[at + chance.choice((0, 1, 1, 5)) :]
    return block


def check_blocks(chance: random.Random) -> None:
    """What their encoder writes, mutated, through both decoders until one of them finds an error."""
    encoder, theirs, ours = hpack.Encoder(), hpack.Decoder(max_header_list_size=1 << 30), Decoder()
    limits = chance.choice(({}, {}, {"size": 300}, {"fields": 3}, {"room": ARENA_LEAST}))
    for _ in range(chance.randrange(1, 6)):
        if chance.random() < 0.2:
            encoder.header_table_size = chance.choice((0, 40, 100, 4096))
        block = mutate(chance, encoder.encode(some_list(chance), huffman=chance.random() < 0.5))
        result = ours.decode(block, chance.choice((REQUEST, RESPONSE, TRAILERS)), **limits)["result"]
        try:
            theirs.decode(block, raw=True)
        except (HPACKError, IndexError):
            # They take longer integers than we do, and never the other way round
            assert result == "error"
            return
        if result == "error":
            assert any(octet >= 0x7F for octet in block), block
            return
        assert ours.table() == (list(theirs.header_table.dynamic_entries), theirs.header_table._current_size)


def check_lists(chance: random.Random) -> None:
    """Our encoder's blocks read the same with both decoders."""
    encoder, theirs, ours = (
        Encoder(chance.getrandbits(64)),
        hpack.Decoder(max_header_list_size=1 << 30),
        Decoder(),
    )
    for _ in range(chance.randrange(1, 12)):
        if chance.random() < 0.2:
            encoder.allow(chance.choice((0, 40, 100, 500, 4096)))
        fields = [field for field in some_list(chance) if field[0] and field[0] not in PSEUDO]
        block = encoder.encode(fields)
        assert [(name, value) for name, value in theirs.decode(block, raw=True)] == [
            (name.lower(), value) for name, value in fields
        ]
        ours.decode(block, TRAILERS)
        assert ours.table() == (list(theirs.header_table.dynamic_entries), theirs.header_table._current_size)


def check(number: int) -> None:
    """Try input number N."""
    chance = random.Random(number)
    try:
        (check_blocks if number % 2 else check_lists)(chance)
    except AssertionError as wrong:
        raise AssertionError(f"input {number}") from wrong
