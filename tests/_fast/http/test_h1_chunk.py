"""The chunked coding, both ways (RFC 9112 section 7.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests._fast.http import codec
from tests._fast.http.feeding import chunks, trailers

LINE_MAX = 512


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"0\r\n", b""),
        (b"000\r\n", b""),
        (b"1\r\na\r\n0\r\n", b"a"),
        (b"a\r\n0123456789\r\nA\r\nabcdefghij\r\n0\r\n", b"0123456789abcdefghij"),
        (b"0000000000000003\r\nabc\r\n00\r\n", b"abc"),
        (b'3;x\r\nabc\r\n0;y=z;q="a;b \t\xff"\r\n', b"abc"),
        (b"3;\r\nabc\r\n0;;; ;\r\n", b"abc"),
        (b"2\r\n\r\n\r\n2\r\n0\r\r\n0\r\n", b"\r\n0\r"),
        (b"1;" + b"x" * (LINE_MAX - 4) + b"\r\na\r\n0\r\n", b"a"),
    ],
)
def test_decoding(data: bytes, body: bytes) -> None:
    assert chunks(data) == ("last", body, len(data))


def test_trailers_follow_the_last_chunk() -> None:
    data = b"1\r\na\r\n0\r\n"
    assert codec.decode_chunks(data + b"\r\n") == ("last", b"a", len(data))
    assert codec.decode_chunks(data + b"X: y\r\n\r\n") == ("last", b"a", len(data))


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b";x\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"1 ;x\r\n",
        b"1\t\r\n",
        b"0x1\r\n",
        b"1,\r\n",
        b"1_0\r\n",
        b"1\n",
        b"1\rx",
        b"1\r\r\n",
        b"1;x\n",
        b"1;x\ry\r\n",
        b"1;\0\r\n",
        b"1;\x7f\r\n",
        b"1;\x1b\r\n",
        b"1\r\nab",
        b"1\r\na\n",
        b"1\r\na0\r\n",
        b"1\r\na\r0",
        b"1\r\na\rx",
        b"0\n",
        b"\xb2\r\n",
        b"8000000000000000\r\n",
        b"fffffffffffffffff\r\n",
        b"10000000000000000\r\n",
        b"1" + b"0" * 32 + b"\r\n",
        b"0" * (LINE_MAX + 1),
        b"1;" + b"x" * (LINE_MAX - 3) + b"\r\na\r\n",
    ],
)
def test_malformed(data: bytes) -> None:
    assert chunks(data)[0] == "error"


def test_largest_chunk() -> None:
    assert chunks(b"7fffffffffffffff\r\nabc") == ("more", b"abc", 21)


def test_leading_zeros_are_bounded_by_the_line() -> None:
    data = b"0" * (LINE_MAX - 2) + b"\r\n"
    assert chunks(data) == ("last", b"", len(data))


bodies = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


@given(bodies, st.sampled_from([b"", b";x", b';a="b";c']), st.data())
def test_any_chunks_in_any_pieces(parts: list[bytes], extension: bytes, data: st.DataObject) -> None:
    coded = b"".join(b"%X%b\r\n%b\r\n" % (len(part), extension, part) for part in parts) + b"0\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(coded)), max_size=8)))
    assert codec.decode_chunks(coded, cuts) == ("last", b"".join(parts), len(coded))


@given(st.lists(st.integers(0, 2**63 - 1), max_size=8))
def test_size_lines(sizes: list[int]) -> None:
    for size in [0, 1, 15, 16, 255, 256, 2**60, 2**63 - 1, 2**64 - 1, *sizes]:
        assert codec.chunk_size_line(size) == b"%x\r\n" % size


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (b"\r\n", []),
        (b"X-Sum: 1\r\nUser-Agent: a\r\n\r\n", [b"X-Sum", b"User-Agent"]),
        (b"Host: a\r\ngrpc-status: 0\r\nConnection: x\r\nTE: y\r\nTrailer: z\r\n\r\n", [b"grpc-status"]),
        (b"AUTHORIZATION: a\r\nSet-Cookie: b\r\ncache-control: c\r\nX-Forwarded-For: d\r\n\r\n", []),
    ],
)
def test_trailer_sections(data: bytes, kept: list[bytes]) -> None:
    answer = trailers(data)
    assert (answer["result"], answer["head_length"]) == ("done", len(data))
    assert [name for name, _, _, drop in answer["fields"] if not drop] == kept


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"\rx",
        b" x: y\r\n\r\n",
        b"x : y\r\n\r\n",
        b"x\r\n\r\n",
        b"x: y\n\r\n",
        b"x: y\0\r\n\r\n",
        b"x: y\r\n z\r\n\r\n",
        b"Content-Length: 5\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n",
    ],
)
def test_bad_trailer_sections(data: bytes) -> None:
    assert trailers(data)["result"] == "bad trailer"
