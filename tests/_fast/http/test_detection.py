"""What first bytes tell: whole, and at every cut before."""

import pytest

from tests._fast.http.openings import detection, offer, words
from tests._fast.http.test_client_hello import hello_of

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"GET / HTTP/1.1\r\n", "http/1"),
        (b"OPTIONS * HTTP/1.1\r\n", "http/1"),
        (b"GET http://a/ HTTP/1.1\r\n", "http/1"),
        (b"GET HTTP://a/ HTTP/1.1\r\n", "http/1"),
        (b"CONNECT db:5432 HTTP/1.1\r\n", "http/1"),
        (b"CONNECT [::1]:5432 HTTP/1.1\r\n", "http/1"),
        (b"M-SEARCH * HTTP/1.1\r\n", "http/1"),
        (b"P /", "http/1"),
        (b"PRIVATE / HTTP/1.1", "http/1"),
        (PREFACE, "http/2"),
        (PREFACE + b"\x00\x00", "http/2"),
        (hello_of("a.test"), "tls"),
        (b"SSH-2.0-OpenSSH\r\n", "tcp"),
        (b"EHLO mail.test\r\n", "tcp"),
        (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", "tcp"),
        (b"*1\r\n$4\r\nPING\r\n", "tcp"),
        (b"get / HTTP/1.1\r\n", "tcp"),
        (b"GET\t/", "tcp"),
        (b" GET /", "tcp"),
        (b"-GET /", "tcp"),
        (b"\r\nGET / HTTP/1.1\r\n", "tcp"),
        (b"A" * 25, "tcp"),
        (b"\x16\x02\x01\x00\x05\x01", "tcp"),
        (b"\x16\x03\x01\x00\x05\x02", "tcp"),
        (b"\x16\x03\x01\x00\x00", "tcp"),
        (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "http/1"),
    ],
)
def test_it_is_told_as_soon_as_it_can_be_and_never_otherwise(data: bytes, word: str) -> None:
    found = [detection(data[:length]) for length in range(len(data) + 1)]
    first = next(index for index, each in enumerate(found) if each != "more")
    assert first > 0
    assert set(found[first:]) == {word}


def test_a_method_may_be_as_long_as_what_is_looked_at() -> None:
    assert detection(b"A" * 24) == "more"
    assert detection(b"A" * 24 + b" ") == "more"
    assert detection(b"A" * 24 + b" /") == "http/1"


@pytest.mark.parametrize(
    ("protocols", "word"),
    [
        ((), "tls"), ((b"h2", b"http/1.1"), "tls:h2"), ((b"http/1.1", b"h2"), "tls:http/1.1"),
        ((b"imap",), "tls:other"),
    ],
)  # fmt: skip
def test_what_a_client_hello_offers_first(protocols: tuple[bytes, ...], word: str) -> None:
    assert offer(hello_of("a.test", [each.decode() for each in protocols] or None)) == word


def test_words_of_what_is_within_tls() -> None:
    assert words() == ["tls+http/1", "tls+http/2"]
