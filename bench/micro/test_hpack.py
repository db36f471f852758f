"""How long HPACK takes for a head when the tables are warm, 1000 times a round.

Run with `./dev test bench/micro`; microseconds a round are nanoseconds a head.
"""

from pytest_benchmark.fixture import BenchmarkFixture

from tests._fast.http.hpack_codec import REQUEST, Decoder, Encoder

TIMES = 1000
HEAD = [
    (b":method", b"GET"),
    (b":scheme", b"http"),
    (b":authority", b"shop.example.com"),
    (b":path", b"/api/v1/items"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"accept-language", b"en-US,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"x-forwarded-for", b"192.0.2.1"),
    (b"x-forwarded-proto", b"http"),
]
CHANGING = [(b"x-request-id", b"5f0c1c0e-3b1a-4f6e-9d4a-0123456789ab")]


def warm(fields: list[tuple[bytes, bytes]]) -> tuple[Encoder, Decoder, bytes]:
    encoder, decoder = Encoder(7), Decoder()
    for _ in range(3):
        block = encoder.encode(fields)
        assert decoder.decode(block, REQUEST)["result"] == "done"
    return encoder, decoder, block


def test_decode_ten_fields(benchmark: BenchmarkFixture) -> None:
    _, decoder, block = warm(HEAD)
    assert len(block) == len(HEAD)
    assert benchmark(decoder.decode_often, block, REQUEST, TIMES)


def test_decode_with_a_literal(benchmark: BenchmarkFixture) -> None:
    _, decoder, block = warm(HEAD)
    block += Encoder().encode(CHANGING)
    assert benchmark(decoder.decode_often, block, REQUEST, TIMES)


def test_encode_ten_fields(benchmark: BenchmarkFixture) -> None:
    encoder, *_ = warm(HEAD)
    assert benchmark(encoder.encode_often, HEAD, TIMES) == len(HEAD)
