"""How long a head takes to parse and to write again, and a chunked body to decode, 1000 times a round.

Run with `./dev test bench/micro`; microseconds a round are nanoseconds a message.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests._fast.http import codec, corpus
from tests._fast.http.codec import REQUEST, RESPONSE

TIMES = 1000
HEADS = {
    "small request": (REQUEST, corpus.SMALL),
    "browser request": (REQUEST, corpus.BROWSER),
    "response": (RESPONSE, corpus.ANSWER),
}
BODIES = {
    "one large chunk": b"4000\r\n" + b"x" * 0x4000 + b"\r\n0\r\n",
    "ten chunks": b"64\r\n%b\r\n" % (b"x" * 100) * 10 + b"0\r\n",
    "tiny chunks": b"1\r\nx\r\n" * 100 + b"0\r\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_parse(benchmark: BenchmarkFixture, name: str) -> None:
    kind, data = HEADS[name]
    assert benchmark(codec.parse_often, kind, data, TIMES)


@pytest.mark.parametrize("name", HEADS)
def test_write(benchmark: BenchmarkFixture, name: str) -> None:
    kind, data = HEADS[name]
    assert benchmark(codec.write_often, kind, data, TIMES)


@pytest.mark.parametrize("name", BODIES)
def test_decode(benchmark: BenchmarkFixture, name: str) -> None:
    data = BODIES[name]
    assert benchmark(codec.decode_often, data, TIMES)
