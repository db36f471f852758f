"""HTTP/2 from clients, without TLS: what a request costs, by connections and streams on each."""

from collections.abc import Mapping
from functools import partial

from bench.demand import Policy
from bench.load.h2load import missing, run_h2load
from bench.process import Failed
from bench.scenarios.base import Sample, Scenario, Stage, metered
from bench.scenarios.figures import CPU, FAILED, P50, P99, PSS, RATE
from bench.scenarios.traffic import sample_of


def measure_h2load(
    stage: Stage,
    *,
    connections: int,
    streams: int,
    path: str = "/",
    fields: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Sample:
    if lacking := missing():
        raise Failed(lacking)
    with metered(stage.running) as meter:
        result = run_h2load(
            stage.port, path, connections=connections, streams=streams, seconds=stage.seconds,
            cpus=stage.load_cpus, fields=fields, body=body,
        )  # fmt: skip
    return sample_of(result, meter, stage)


def h2c(connections: int, streams: int, *, on: bool) -> Scenario:
    """`on`: HTTP/2 goes on to the backend."""
    return Scenario(
        name=f"h2c-{connections}x{streams}" + ("-h2c" if on else ""),
        about=(
            f"HTTP/2, {connections} connections with {streams} streams each, "
            f"to an HTTP/{'2' if on else '1.1'} backend"
        ),
        figures=(CPU, RATE, P50, P99, PSS, FAILED),
        measure=partial(measure_h2load, connections=connections, streams=streams),
        policy=Policy(patient=True),
        http2=on,
        only=frozenset({"tulle", "haproxy", "nghttpx", "envoy"}),
    )


HTTP2 = tuple(
    h2c(connections, streams, on=on)
    for on in (False, True)
    for connections, streams in ((1, 1), (8, 16), (64, 100))
)
