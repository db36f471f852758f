"""Random lists of fields through size changes, against the package `hpack`, in both directions."""

from typing import Any

import hpack
from hypothesis import given, settings
from hypothesis import strategies as st

from tests._fast.http.hpack_codec import TRAILERS, Decoder, Encoder
from tests.fuzz import fuzz_hpack

# HPACK carries these like any others, but HTTP/2 refuses, drops or joins them: see test_h2_spec_messages.py
SPECIAL = {
    "connection", "cookie", "host", "http2-settings", "keep-alive", "proxy-connection", "te",
    "transfer-encoding", "upgrade",
}  # fmt: skip
NAME = st.one_of(
    st.sampled_from(["accept", "user-agent", "x-request-id", "grpc-status", "etag", "x-a"]),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-_!", min_size=1, max_size=80),
).filter(lambda name: name not in SPECIAL)
VALUE = st.one_of(
    st.sampled_from([b"", b"gzip, deflate", b"*/*", b"0", b"v" * 4090, b"v" * 1000]),
    st.binary(max_size=60).map(lambda data: bytes(octet for octet in data if octet > 0x20 and octet != 0x7F)),
)
FIELDS = st.lists(st.tuples(NAME.map(str.encode), VALUE), max_size=12)
SIZES = st.lists(st.sampled_from([0, 31, 60, 100, 256, 1000, 4095, 4096]), max_size=3)
BLOCKS = st.lists(st.tuples(SIZES, FIELDS), min_size=1, max_size=8)


def fields_of(message: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    assert message["result"] == "done" and message["verbatim"]
    return [(name, value) for name, value, _ in message["fields"]]


@settings(max_examples=60, deadline=None)
@given(BLOCKS, st.booleans())
def test_what_the_oracle_writes_we_read(blocks: list[Any], huffman: bool) -> None:
    encoder, decoder = hpack.Encoder(), Decoder()
    for sizes, fields in blocks:
        for size in sizes:
            # told the same size twice, it forgets to pass the first on
            if size != encoder.header_table_size:
                encoder.header_table_size = size
        sensitive = [(name, value, name == b"etag") for name, value in fields]
        block = encoder.encode(sensitive, huffman=huffman)
        assert fields_of(decoder.decode(block, TRAILERS)) == fields
        table = encoder.header_table
        assert decoder.table() == (list(table.dynamic_entries), table._current_size)


@settings(max_examples=60, deadline=None)
@given(BLOCKS, st.integers(0, 2**64 - 1))
def test_what_we_write_the_oracle_reads(blocks: list[Any], seed: int) -> None:
    encoder, decoder, ours = Encoder(seed), hpack.Decoder(max_header_list_size=1 << 20), Decoder()
    for sizes, fields in blocks:
        for size in sizes:
            encoder.allow(size)
        # twice, for what is seen again is what gets a place
        for _ in range(2):
            block = encoder.encode([(name.title(), value, name == b"etag") for name, value in fields])
            read = decoder.decode(block, raw=True)
            assert [(name, value) for name, value in read] == fields
            assert [not field.indexable for field in read] == [name == b"etag" for name, _ in fields]
            assert fields_of(ours.decode(block, TRAILERS)) == fields
            table = decoder.header_table
            assert ours.table() == (list(table.dynamic_entries), table._current_size)


def test_first_inputs_of_the_fuzzer() -> None:
    for number in range(1500):
        fuzz_hpack.check(number)
