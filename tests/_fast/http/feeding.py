"""Feeds an input to the codec in every way that it may arrive, and wants the same answer each time."""

from collections.abc import Iterator
from typing import Any

from tests._fast.http import codec
from tests._fast.http.codec import REQUEST, RESPONSE, TRAILERS

LIMITS = (61440, 8192, 100)
TRAILING = (b"\r\n", b"GET / HTTP/1.1\r\n", b"\0\xff")


def cuts_of(length: int, every: int = 1) -> Iterator[list[int]]:
    """Byte by byte, and in two pieces at every split (or every n-th one)."""
    yield list(range(length))
    yield from ([cut] for cut in range(0, length, every))


def parse(
    kind: int, data: bytes, *, limits: tuple[int, int, int] = LIMITS, method: str = "GET"
) -> dict[str, Any]:
    """The answer to `data`, the same however it comes; a whole head is not changed by what follows it."""
    whole = codec.parse(kind, data, (), limits, method)
    for cuts in cuts_of(len(data), 1 + len(data) // 500):
        assert codec.parse(kind, data, cuts, limits, method) == whole, cuts
    if whole["result"] != "more":
        for more in TRAILING:
            assert codec.parse(kind, data + more, (), limits, method) == whole, more
            assert codec.parse(kind, data + more, [len(data)], limits, method) == whole, more
    return whole


def request(data: bytes, *, limits: tuple[int, int, int] = LIMITS) -> dict[str, Any]:
    return parse(REQUEST, data, limits=limits)


def response(data: bytes, method: str = "GET", *, limits: tuple[int, int, int] = LIMITS) -> dict[str, Any]:
    return parse(RESPONSE, data, limits=limits, method=method)


def trailers(data: bytes, *, limits: tuple[int, int, int] = LIMITS) -> dict[str, Any]:
    return parse(TRAILERS, data, limits=limits)


def chunks(data: bytes) -> tuple[str, bytes, int]:
    """(result, body, consumed) of a chunked body, the same however it comes and whatever follows it."""
    whole = codec.decode_chunks(data)
    for cuts in cuts_of(len(data), 1 + len(data) // 500):
        assert codec.decode_chunks(data, cuts) == whole, cuts
    if whole[0] != "more":
        assert codec.decode_chunks(data + b"\r\n0\r\n") == whole
    return whole
