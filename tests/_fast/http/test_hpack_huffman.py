"""The Huffman code, with the package `hpack` as the oracle."""

import pytest
from hpack.exceptions import HPACKDecodingError
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman as their_decode
from hypothesis import example, given
from hypothesis import strategies as st

from tests._fast.http import hpack_codec
from tests._fast.http.hpack_codec import decode_huffman, encode_huffman

ENCODER = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


def bits(text: str) -> bytes:
    """Octets of a text of ones and zeros, padded with ones."""
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big") if text else b""


def code(symbol: int) -> str:
    return f"{REQUEST_CODES[symbol]:0{REQUEST_CODES_LENGTH[symbol]}b}"


def test_the_tables_are_those_of_the_rfc() -> None:
    for symbol in range(256):
        assert hpack_codec.huffman_code(symbol) == (REQUEST_CODES[symbol], REQUEST_CODES_LENGTH[symbol])


@pytest.mark.parametrize("first", range(256))
def test_every_two_octets(first: int) -> None:
    assert decode_huffman(bits(code(first))) == bytes([first])
    text = bytes(octet for second in range(256) for octet in (first, second))
    coded = bits("".join(map(code, text)))
    assert encode_huffman(text) == coded
    assert decode_huffman(coded) == text


@given(st.binary(max_size=300))
@example(b"")
def test_what_is_encoded_is_decoded(text: bytes) -> None:
    coded = encode_huffman(text)
    assert coded == ENCODER.encode(text)
    assert decode_huffman(coded) == text
    assert decode_huffman(coded, len(text)) == text
    if text:
        for room in range(max(0, len(text) - 5), len(text)):
            assert decode_huffman(coded, room) == "no room"


@given(
    st.one_of(
        st.binary(max_size=40),
        st.lists(st.sampled_from([*range(32, 127), 256])).map(
            lambda symbols: bits("".join(map(code, symbols)))
        ),
    )
)
def test_wrong_codes_are_refused_as_the_oracle_does(text: bytes) -> None:
    try:
        expected: bytes | None = their_decode(text)
    except HPACKDecodingError:
        expected = None
    assert decode_huffman(text) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "0" * 5 + "1" * 11,  # eleven bits of padding
        "1" * 8,
        code(ord("a")) + "0" * 3,  # padding that is not of EOS
        code(ord("a")) + "110",
        code(256),
        code(256) + code(ord("a")) * 20,
        code(ord("a")) * 20 + code(256),
    ],
)
def test_padding_and_eos(wrong: str) -> None:
    assert decode_huffman(bits(wrong)) is None
