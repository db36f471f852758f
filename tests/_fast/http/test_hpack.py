"""HPACK: the examples of RFC 7541 appendix C, what is refused, and what the limits do."""

import itertools
from typing import Any

import pytest
from hpack import Encoder as TheirEncoder
from hpack.table import HeaderTable

from tests._fast.http import codec, hpack_codec
from tests._fast.http.hpack_codec import REQUEST, RESPONSE, TRAILERS, Decoder, Encoder

GET = b"\x82\x86\x84"  # :method GET, :scheme http, :path /
HOST = b"\x41\x01h"  # :authority h, and into the table
COOKIE, HOST_ID = codec.field_number(b"cookie"), codec.field_number(b"host")


def literal(name: bytes, value: bytes, kind: int = 0x00) -> bytes:
    """A literal with both strings, shorter than 127 octets, as they are."""
    return bytes([kind, len(name)]) + name + bytes([len(value)]) + value


def decode(block: bytes, section: int = REQUEST, **limits: int) -> dict[str, Any]:
    return Decoder().decode(block, section, **limits)


def fields(message: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value, _ in message["fields"]]


def test_the_static_table() -> None:
    for index, (name, value) in enumerate(HeaderTable.STATIC_TABLE, 1):
        known = (
            64 + [b":authority", b":method", b":path", b":scheme", b":status"].index(name)
            if (name.startswith(b":"))
            else codec.field_number(name)
        )
        assert hpack_codec.static_entry(index) == (name, value, known)


# RFC 7541 appendix C.3 and C.4, C.5 and C.6: three blocks each, without and with the Huffman code
REQUESTS = (
    ("828684410f7777772e6578616d706c652e636f6d", "828684418cf1e3c2e5f23a6ba0ab90f4ff"),
    ("828684be58086e6f2d6361636865", "828684be5886a8eb10649cbf"),
    (
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ),
)
RESPONSES = (
    (
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
        "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
    ),
    ("4803333037c1c0bf", "4883640effc1c0bf"),
    (
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48"
        "514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960"
        "d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ),
)


@pytest.mark.parametrize("huffman", (0, 1))
def test_requests_of_appendix_c(huffman: int) -> None:
    decoder = Decoder()
    first, second, third = (decoder.decode(bytes.fromhex(both[huffman])) for both in REQUESTS)
    assert (first["method"], first["scheme"], first["path"]) == (b"GET", b"http", b"/")
    assert fields(first) == [(b"host", b"www.example.com")]
    assert fields(second) == [(b"host", b"www.example.com"), (b"cache-control", b"no-cache")]
    assert (third["scheme"], third["path"]) == (b"https", b"/index.html")
    assert fields(third) == [(b"host", b"www.example.com"), (b"custom-key", b"custom-value")]
    assert decoder.table() == (
        [
            (b"custom-key", b"custom-value"),
            (b"cache-control", b"no-cache"),
            (b":authority", b"www.example.com"),
        ],
        164,
    )


@pytest.mark.parametrize("huffman", (0, 1))
def test_responses_of_appendix_c(huffman: int) -> None:
    """Where SETTINGS allow the table 256 bytes, and it evicts."""
    decoder = Decoder()
    decoder.allow(256)
    blocks = [bytes.fromhex(both[huffman]) for both in RESPONSES]
    first = decoder.decode(b"\x3f\xe1\x01" + blocks[0], RESPONSE)
    assert first["status"] == 302 and fields(first)[0] == (b"cache-control", b"private")
    assert decoder.table()[1] == 222
    second = decoder.decode(blocks[1], RESPONSE)
    assert second["status"] == 307 and fields(second) == fields(first)
    third = decoder.decode(blocks[2], RESPONSE)
    assert third["status"] == 200 and [name for name, _ in fields(third)] == [
        b"cache-control",
        b"date",
        b"location",
        b"content-encoding",
        b"set-cookie",
    ]
    entries, size = decoder.table()
    assert size == 215
    assert entries == [
        (b"set-cookie", b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
        (b"content-encoding", b"gzip"),
        (b"date", b"Mon, 21 Oct 2013 20:13:22 GMT"),
    ]


def test_a_block_that_ends_too_early_is_an_error_or_a_shorter_list() -> None:
    block = bytes.fromhex(REQUESTS[2][1]) + literal(b"x-long", b"v" * 100) + b"\x10\x85" + bytes(5)
    whole = [bytes.fromhex(both[1]) for both in REQUESTS[:2]]
    ends = 0
    for cut in range(len(block)):
        decoder = Decoder()
        for before in whole:
            decoder.decode(before)
        ends += decoder.decode(block[:cut])["result"] == "done"
    assert ends == 7  # behind each of the fields, and nothing at all


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",  # index 0
        b"\xbe",  # an empty dynamic table
        b"\xff\x80\x80\x80\x80\x10",  # too many octets
        b"\xff\xff\xff\xff\xff\x0f",
        b"\xff\xff\xff\xff\x7f",
        GET + b"\x20",  # a size update behind a field
        b"\x3f\xe2\x1f",  # and one above what is allowed
        b"\x7f\x80",
        b"\x40\x81\x00\x00",  # Huffman padding of zeros
        b"\x00\x01a\x7f\x80\x80\x80\x80\x01",
        b"\x7e\x00",  # a name beyond the tables
    ],
)
def test_errors_of_compression(block: bytes) -> None:
    assert decode(block) == {"result": "error"}


def test_a_lowered_table_must_be_confirmed() -> None:
    decoder = Decoder()
    decoder.allow(100)
    assert decoder.decode(GET + HOST) == {"result": "error"}
    decoder = Decoder()
    decoder.allow(100)
    assert decoder.decode(b"\x20\x3f\x45" + GET + HOST)["result"] == "done"
    assert decoder.decode(b"\x3f\x46" + GET) == {"result": "error"}
    decoder = Decoder()
    decoder.allow(100)
    decoder.allow(4096)
    assert decoder.decode(GET + HOST) == {"result": "error"}


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"X-Upper",
        b"x y",
        b"x\0",
        b"x:y",
        b"x\xe9",
        b":unknown",
        b":",
        b"x\x7f",
        b"x\r",
        *(
            b"connection",
            b"keep-alive",
            b"proxy-connection",
            b"transfer-encoding",
            b"upgrade",
        ),
    ],
)
def test_names_that_are_malformed(name: bytes) -> None:
    """However they come: as a literal, and from the table where they had to go."""
    assert decode(GET + literal(name, b"v")) == {"result": "malformed"}
    decoder = Decoder()
    assert decoder.decode(GET + literal(name, b"v", 0x40)) == {"result": "malformed"}
    assert decoder.table()[0] == [(name, b"v")]
    assert decoder.decode(GET + b"\xbe") == {"result": "malformed"}
    assert decoder.decode(GET + b"\x7e\x01w") == {"result": "malformed"}
    assert decoder.decode(GET)["result"] == "done"
    assert decode(literal(name, b"v"), TRAILERS) == {"result": "malformed"}


@pytest.mark.parametrize(
    "value", [b"a\0", b"a\nb", b"a\r", b" a", b"a ", b"\ta", b"a\t", b"\x7f", b"\x01", b" "]
)
def test_values_that_are_malformed(value: bytes) -> None:
    assert decode(GET + literal(b"x", value)) == {"result": "malformed"}
    decoder = Decoder()
    assert decoder.decode(GET + literal(b"x", value, 0x40)) == {"result": "malformed"}
    assert decoder.decode(GET + b"\xbe") == {"result": "malformed"}
    # the name of the entry is a good one
    assert fields(decoder.decode(GET + b"\x7e\x01w")) == [(b"x", b"w")]


@pytest.mark.parametrize("value", [b"", b"a b", b"a\tb", b"\xe9", b"'\"<>\\"])
def test_values_that_are_fine(value: bytes) -> None:
    assert fields(decode(GET + literal(b"x", value))) == [(b"x", value)]


@pytest.mark.parametrize(
    "block",
    [
        GET + b"\x82",  # twice
        literal(b"a", b"b") + GET,  # behind a field
        GET + b"\x88",  # :status in a request
        literal(b":path", b""),
        literal(b":authority", b""),
        GET + HOST + literal(b"host", b"other"),
        GET + literal(b"te", b"gzip"),
    ],
)
def test_malformed_requests(block: bytes) -> None:
    assert decode(block) == {"result": "malformed"}


@pytest.mark.parametrize(
    "block",
    [
        b"\x88\x88",
        b"\x82",
        literal(b":status", b"20"),
        literal(b":status", b"099"),
        literal(b":status", b"2x0"),
        literal(b":status", b"600"),
    ],
)
def test_malformed_answers(block: bytes) -> None:
    assert decode(block, RESPONSE) == {"result": "malformed"}


@pytest.mark.parametrize("block", [b"\x88", b"\x82", HOST])
def test_trailers_have_no_pseudo_fields(block: bytes) -> None:
    assert decode(block, TRAILERS) == {"result": "malformed"}


def test_host_is_the_first_field_and_there_once() -> None:
    message = decode(GET + HOST + literal(b"a", b"b") + literal(b"host", b"h") + literal(b"c", b"d"))
    assert fields(message) == [(b"host", b"h"), (b"a", b"b"), (b"c", b"d")]
    assert message["authority"] == b"h" and message["verbatim"]
    assert message["first"] == {HOST_ID: 0} and message["repeated"] == set()
    # without :authority it is a field like others
    message = decode(GET + literal(b"a", b"b") + literal(b"host", b"h"))
    assert message["authority"] is None and message["first"] == {HOST_ID: 1}


def test_the_authority_may_come_before_other_pseudo_fields() -> None:
    message = decode(HOST + GET)
    assert fields(message) == [(b"host", b"h")] and message["path"] == b"/" and message["verbatim"]


def test_te_is_for_one_hop() -> None:
    assert decode(GET + literal(b"te", b"trailers"))["fields"] == [(b"te", b"trailers", 1)]


def test_extended_connect() -> None:
    assert decode(GET[1:] + literal(b":protocol", b"websocket"))["protocol"] == b"websocket"


def test_cookies_are_joined() -> None:
    crumbs = [
        literal(b"cookie", b"a=b"),
        literal(b"x", b"y"),
        literal(b"cookie", b"c=d", 0x10),
        literal(b"cookie", b"e"),
    ]
    for order in itertools.permutations(crumbs):
        message = decode(GET + HOST + b"".join(order))
        names = [name for name, _ in fields(message)]
        assert names == [b"host", b"x", b"cookie"] and message["verbatim"]
        values = [crumb[9:] for crumb in order if crumb[2:3] == b"c"]
        assert message["fields"][2] == (b"cookie", b"; ".join(values), 2)
        assert message["first"] == {HOST_ID: 0, COOKIE: 2} and message["repeated"] == set()


def test_never_indexed_is_kept_in_mind() -> None:
    block = (
        GET + literal(b"a", b"b", 0x10) + literal(b"c", b"d") + literal(b"e", b"f", 0x40) + b"\x1f\x08\x01g"
    )
    assert [flags for *_, flags in decode(block)["fields"]] == [2, 0, 0, 2]


# -- limits --------------------------------------------------------------------------------------------


def test_the_limit_of_fields() -> None:
    block = GET + HOST + literal(b"a", b"b") * 9
    assert decode(block, fields=10)["result"] == "done"
    assert decode(block, fields=9) == {"result": "too large"}
    assert decode(GET + HOST, fields=0) == {"result": "too large"}
    assert decode(GET + literal(b"a", b"b") * 300) == {"result": "too large"}


def test_the_limit_of_bytes_is_that_of_the_list() -> None:
    sizes = sum(len(name) + len(value) + 32 for name, value in (
        (b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b"abc", b"defg"),
    ))  # fmt: skip
    block = GET + literal(b"abc", b"defg")
    assert decode(block, size=sizes)["result"] == "done"
    assert decode(block, size=sizes - 1) == {"result": "too large"}


def test_the_table_stays_in_step_when_a_block_is_too_large() -> None:
    """A bomb: an entry of nearly the whole table, a thousand times; and fields for the table among it."""
    value = b"v" * 4050
    bomb = GET + TheirEncoder().encode([(b"x", value)], huffman=False) + b"\xbe" * 1000
    for room, size in ((hpack_codec.ARENA_LEAST, 1 << 20), (1 << 17, 5000), (1 << 17, 1 << 20)):
        decoder = Decoder()
        block = bomb + literal(b"in", b"step", 0x40) + literal(b"not", b"added") + b"\xbe"
        assert decoder.decode(block, room=room, size=size) == {"result": "too large"}
        assert decoder.table()[0] == [(b"in", b"step")]
        assert fields(decoder.decode(GET + b"\xbe")) == [(b"in", b"step")]


@pytest.mark.parametrize("huffman", (False, True))
@pytest.mark.parametrize("kind", (0x00, 0x40))
def test_a_string_that_is_larger_than_the_arena(huffman: bool, kind: int) -> None:
    value = hpack_codec.encode_huffman(b"0" * 9000) if huffman else b"0" * 9000
    length = len(value) - 127
    long = bytes([0xFF if huffman else 0x7F, length & 127 | 128, length >> 7]) + value
    for strings in (b"\x01x" + long, long + b"\x01x", long + long):
        decoder = Decoder()
        assert decoder.decode(GET + literal(b"a", b"b", 0x40))["result"] == "done"
        block = GET + bytes([kind]) + strings + literal(b"c", b"d", 0x40)
        assert decoder.decode(block, room=hpack_codec.ARENA_LEAST) == {"result": "too large"}
        # what is larger than the table empties it (section 4.4), if it was meant for it
        left = [(b"c", b"d")] if kind else [(b"c", b"d"), (b"a", b"b")]
        assert decoder.table()[0] == left


def test_an_entry_as_large_as_the_table() -> None:
    value = b"v" * (4096 - 32 - 1)
    decoder = Decoder()
    encoder = TheirEncoder()
    for _ in range(3):
        assert fields(decoder.decode(GET + encoder.encode([(b"x", value)]), room=1 << 14)) == [(b"x", value)]
        assert decoder.table() == ([(b"x", value)], 4096)
        encoder = TheirEncoder()
    assert decoder.decode(GET + encoder.encode([(b"x", value + b"v")]), room=1 << 14)["result"] == "done"
    assert decoder.table() == ([], 0)


# -- encoding ------------------------------------------------------------------------------------------


def test_what_comes_again_gets_a_place() -> None:
    encoder = Encoder()
    block = [(b"user-agent", b"test/1.0"), (b"x-env", b"prod")]
    first, second, third = (encoder.encode(block) for _ in range(3))
    assert first == b"\x0f\x2b\x08test/1.0" + literal(b"x-env", b"prod")
    assert second[0] == 0x40 | 58
    assert third == b"\xbf\xbe"


def test_what_never_comes_again_pushes_nothing_out() -> None:
    encoder, decoder = Encoder(), Decoder()
    block = [(b"x-env", b"prod"), (b"user-agent", b"test/1.0")]
    for number in range(2000):
        decoder.decode(encoder.encode([*block, (b"x-id", b"%032d" % (number * 7919))]))
    assert decoder.table()[0] == block[::-1]


def test_static_entries() -> None:
    encoder = Encoder()
    assert encoder.encode([(b":method", b"PUT")]) == b"\x02\x03PUT"
    known = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/")]
    assert encoder.encode(known) == b"\x83\x87\x84"
    assert encoder.encode([(b"Accept-Encoding", b"gzip, deflate")]) == b"\x90"
    assert encoder.encode(
        [(b":status", b"%d" % status) for status in (200, 204, 206, 304, 400, 404, 500)]
    ) == bytes(range(0x88, 0x8F))
    assert encoder.encode([(b":status", b"503")]) == b"\x08\x03503"


@pytest.mark.parametrize(
    ("name", "value", "never"),
    [(b"authorization", b"Bearer " + b"x" * 50, False), (b"cookie", b"a=b", False), (b"x-secret", b"s", True),
     (b"Authorization", b"Basic x", False)],
)  # fmt: skip
def test_secrets_are_never_indexed(name: bytes, value: bytes, never: bool) -> None:
    encoder, decoder = Encoder(), Decoder()
    for _ in range(3):
        message = decoder.decode(GET + encoder.encode([(name, value, never)]))
        assert message["fields"] == [(name.lower(), value, 2)]
    assert decoder.table() == ([], 0)


def test_set_cookie_is_not_indexed_and_a_long_cookie_is() -> None:
    encoder = Encoder()
    for _ in range(3):
        block = encoder.encode([(b"set-cookie", b"a=b; path=/"), (b"cookie", b"session=" + b"0" * 30)])
    assert block[:3] == b"\x0f\x28\x0b" and block[-1:] == b"\xbe"


@pytest.mark.parametrize("length", [*range(1, 20), 63, 64, 65, 200])
def test_names_go_out_in_lower_case(length: int) -> None:
    every = bytes(octet for octet in range(33, 127) if octet not in b'"(),/:;<=>?@[\\]{}')
    name = (every * 4)[:length]
    for start in range(len(every)):
        text = (every[start:] + name)[:length]
        message = Decoder().decode(GET + Encoder().encode([(text, b"v")]))
        assert fields(message) == [(text.lower(), b"v")]


def test_size_updates() -> None:
    encoder = Encoder()
    encoder.allow(65536)
    assert encoder.encode([]) == b""
    encoder.allow(100)
    encoder.allow(0)
    encoder.allow(4096)
    assert encoder.encode([]) == b"\x20\x3f\xe1\x1f"
    encoder.allow(200)
    assert encoder.encode([]) == b"\x3f\xa9\x01"
    assert encoder.encode([]) == b""
