"""Mutated HTTP/1.1 messages through the whole codec.

The answer must not depend on how the bytes come, no part may lie outside of the head, and what is written
again must read the same. Input number N is made from N alone: `check(N)` tries one again.
"""

import random
from typing import Any

from tests._fast.http import codec, corpus
from tests._fast.http.codec import REQUEST, RESPONSE, TRAILERS

LARGEST = (1 << 20, 1 << 20, 255)
LIMITS = ((61440, 8192, 100), (200, 60, 5), LARGEST)
FIELD_HOST = codec.field_number(b"host")
TRAILER_SECTIONS = (b"\r\n", b"X-Sum: 1\r\nHost: a\r\n\r\n")
CORPUS = {REQUEST: corpus.REQUESTS, RESPONSE: corpus.RESPONSES, TRAILERS: TRAILER_SECTIONS}
EVERYTHING = b"".join((*corpus.REQUESTS, *corpus.RESPONSES, *corpus.PIECES))


def mutate(chance: random.Random, data: bytes) -> bytes:
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        position = chance.randrange(len(data) + 1)
        removed = chance.choice((0, 0, 1, 1, 4, 40))
        how = chance.randrange(5)
        if how == 0:
            piece = chance.choice(corpus.PIECES)
        elif how == 1:
            piece = chance.randbytes(chance.randrange(1, 5))
        elif how == 2:
            start = chance.randrange(len(EVERYTHING))
            piece = EVERYTHING[start : start + chance.randrange(60)]
        elif how == 3:
            piece = data[position : position + removed] * chance.choice((2, 3, 50))
        else:
            piece = b""
        data = data[:position] + piece + data[position + removed :]
    return data


def cuts(chance: random.Random, length: int) -> list[int]:
    count = length if chance.random() < 0.05 else chance.randrange(5)
    return sorted(chance.randrange(length + 1) for _ in range(count))


def check_written(kind: int, data: bytes, head: dict[str, Any], method: str) -> None:
    """What is forwarded is read as what was kept, and writing it again changes nothing."""
    kept = [(name, value, number) for name, value, number, dropped in head["fields"] if not dropped]
    extras = []
    if kind == REQUEST and not any(number == FIELD_HOST for *_, number in kept):
        # as the proxy does when the target replaces Host, or when HTTP/1.0 has none
        extras = [(b"host", head["authority"] or b"a")]
        kept.append((*extras[0], FIELD_HOST))
    for verbatim in (True, False):
        written = codec.write(kind, data, extras=extras, verbatim=verbatim, method=method)
        assert written is not None
        read = codec.parse(kind, written, (), LARGEST, method)
        if len(kept) > LARGEST[2]:
            assert read["result"] == "too many fields"
            continue
        assert read["result"] == "done", written
        assert [(name, value, number) for name, value, number, _ in read["fields"]] == kept, written


def check_head(chance: random.Random, kind: int, data: bytes) -> None:
    limits = chance.choice(LIMITS)
    method = chance.choice(codec.METHODS)
    whole = codec.parse(kind, data, (), limits, method)
    for _ in range(3):
        pieces = cuts(chance, len(data))
        assert codec.parse(kind, data, pieces, limits, method) == whole, pieces
    if whole["result"] == "more":
        return
    assert codec.parse(kind, data + chance.choice(corpus.PIECES), (), limits, method) == whole
    if whole["result"] != "done":
        return
    assert codec.parse(kind, data[: whole["head_length"]], (), limits, method) == whole
    check_written(kind, data, whole, method)


def check_chunks(chance: random.Random, data: bytes) -> None:
    whole = codec.decode_chunks(data)
    for _ in range(3):
        pieces = cuts(chance, len(data))
        read = codec.decode_chunks(data, pieces)
        assert read == whole, pieces


def check(number: int) -> None:
    """Try input number N."""
    chance = random.Random(number)
    kind = chance.choice((REQUEST, RESPONSE, TRAILERS))
    data = mutate(chance, chance.choice(CORPUS[kind]))
    try:
        check_head(chance, kind, data)
        _, _, body = data.partition(b"\r\n\r\n")
        check_chunks(chance, body)
        codec.is_authority(data[:60])
    except AssertionError as wrong:
        raise AssertionError(f"input {number}, kind {kind}: {data!r}") from wrong
