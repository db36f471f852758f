"""gRPC without TLS: what a call costs, of one message each way and of a stream of answers."""

from functools import partial

from bench.demand import Policy
from bench.grpc_backend import COUNT, UNARY
from bench.scenarios.base import Scenario
from bench.scenarios.figures import CPU, FAILED, P50, P99, PSS, RATE
from bench.scenarios.http2 import measure_h2load

CONNECTIONS = 8
STREAMS = 8
FIELDS = {"content-type": "application/grpc", "te": "trailers"}


def message(text: bytes) -> bytes:
    """As gRPC frames it: not compressed, its length, itself."""
    return b"\0" + len(text).to_bytes(4, "big") + text


def calls(name: str, about: str, method: str, body: bytes) -> Scenario:
    return Scenario(
        name=f"grpc-{name}",
        about=f"gRPC, {CONNECTIONS} connections with {STREAMS} calls each: {about}",
        figures=(CPU, RATE, P50, P99, PSS, FAILED),
        measure=partial(
            measure_h2load, path=method, connections=CONNECTIONS, streams=STREAMS, fields=FIELDS,
            body=message(body),
        ),
        policy=Policy(patient=True),
        only=frozenset({"tulle", "envoy"}),
        http2=True,
        grpc=True,
    )  # fmt: skip


GRPC = (
    calls("unary", "one message of 100 bytes each way", UNARY, b"x" * 100),
    calls("stream", "50 answers of 100 bytes to a message", COUNT, b"100 50"),
)
