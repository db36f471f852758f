"""The scans tell apart all 256 octets wherever they stand in a word."""

import pytest

from tests._fast.http import codec
from tests._fast.http.codec import REQUEST

TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
VISIBLE = frozenset(range(0x21, 0x7F))
TEXT = frozenset(range(0x20, 0x100)) - {0x7F} | {0x09}

# where the octet goes, what may stand there, and what would end the part without being wrong
PLACES = {
    "method": (b"", b" / HTTP/1.1\r\nHost: a\r\n\r\n", TOKEN, b" "),
    "path": (b"GET /", b" HTTP/1.1\r\nHost: a\r\n\r\n", VISIBLE - {0x23}, b" "),
    "query": (b"GET /?", b" HTTP/1.1\r\nHost: a\r\n\r\n", VISIBLE - {0x23}, b" "),
    "name": (b"GET / HTTP/1.1\r\nHost: a\r\n", b": v\r\n\r\n", TOKEN, b":"),
    "value": (b"GET / HTTP/1.1\r\nHost: a\r\nx: ", b"\r\n\r\n", TEXT, b"\r"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("filling", [b"a", b"A-", b"z0~"])
def test_every_octet_at_every_place_of_a_word(place: str, filling: bytes) -> None:
    before, after, allowed, ends = PLACES[place]
    for length in range(18):
        run = (filling * 18)[:length]
        for octet in range(256):
            if octet in ends:
                continue
            data = before + run + bytes([octet]) + b"b" + after
            done = codec.parse(REQUEST, data)["result"] == "done"
            assert done is (octet in allowed), (length, octet)
            # the same right before the guard page; a CR there may begin the empty line
            cut = codec.parse(REQUEST, before + run + bytes([octet]))["result"] == "more"
            empty_line = octet == 0x0D and not run and place in ("method", "name")
            assert cut is (octet in allowed or empty_line), (length, octet)
