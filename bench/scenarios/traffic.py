"""Traffic of one kind, as much as is answered or at a fixed rate: what a request or a gigabyte costs."""

import random
from functools import partial
from pathlib import Path

from bench.demand import route_path
from bench.load.own import Load
from bench.load.result import LoadResult
from bench.load.wrk import run_wrk
from bench.process import Failed
from bench.scenarios.base import Meter, Sample, Scenario, Stage, failures, memory, metered
from bench.scenarios.figures import (
    ALONE,
    BYTES_RATE,
    CPU,
    CPU_PER_GB,
    FAILED,
    LOGGED,
    P50,
    P99,
    PSS,
    RATE,
)

BODY = 10_000_000
GB = 1e9
STEADY_RATE = 2000
FEWEST_LOGGED = 0.5
"""The part of the requests that must be in the log; some are still in a buffer when a round ends."""
PATHS = 1000
"""Routes that the load asks for at most, drawn once from all there are."""


def sample_of(result: LoadResult, meter: Meter, stage: Stage, *, sent: int = 0) -> Sample:
    """The figures of a load; `sent` is the body bytes that each request carried."""
    carried = (result.bytes + sent * result.requests) / GB
    return {
        "cpu_us": meter.cpu / result.requests * 1e6 if result.requests else float("nan"),
        "cpu_per_gb": meter.cpu / carried if carried else float("nan"),
        "requests_per_second": result.rate,
        "gb_per_second": carried / result.seconds,
        "p50_us": result.p50,
        "p99_us": result.p99,
        **failures(result),
        **memory(stage.running),
    }


def measure_wrk(stage: Stage, *, connections: int, path: str = "/", headers: tuple[str, ...] = ()) -> Sample:
    with metered(stage.running) as meter:
        result = run_wrk(
            stage.port,
            path,
            connections=connections,
            seconds=stage.seconds,
            cpus=stage.load_cpus,
            headers=headers,
        )
    return sample_of(result, meter, stage)


def measure_own(
    stage: Stage, *, connections: int, paths: tuple[str, ...] = ("/",), rate: float = 0, upload: int = 0
) -> Sample:
    with (
        metered(stage.running) as meter,
        Load(
            stage.port,
            paths,
            connections=connections,
            seconds=stage.seconds,
            cpus=stage.load_cpus,
            rate=rate,
            upload=upload,
        ) as load,
    ):
        result = load.result()
    return sample_of(result, meter, stage, sent=upload)


def measure_logged(stage: Stage, *, connections: int) -> Sample:
    """As `measure_wrk`, for a proxy that logs; Failed if it does not, for then it was spared the work."""
    log = stage.running.folder / stage.peer.access_log
    before = lines(log)
    sample = measure_wrk(stage, connections=connections)
    logged = lines(log) - before
    asked = sample["requests_per_second"] * stage.seconds
    if logged < asked * FEWEST_LOGGED:
        raise Failed(
            f"{stage.peer.name} logged {logged} of {asked:.0f} requests: this is not what logging costs"
        )
    return sample | {"logged_percent": logged / asked * 100}


def lines(file: Path) -> int:
    """Lines of a file; none if it is not there."""
    return file.read_bytes().count(b"\n") if file.exists() else 0


def some_paths(routes: int, most: int = PATHS) -> tuple[str, ...]:
    """Paths that hit up to so many different routes, the same ones in each run."""
    draw = random.Random(routes)
    return tuple(route_path(route) + "item" for route in draw.sample(range(routes), min(routes, most)))


def keepalive(connections: int) -> Scenario:
    return Scenario(
        name=f"keepalive-{connections}",
        about=f"{connections} keep-alive connections, 100-byte responses",
        figures=(CPU, RATE, P50, P99, PSS, ALONE, FAILED),
        measure=partial(measure_wrk, connections=connections),
        with_direct=True,
    )


def many_routes(routes: int, asked: int = PATHS) -> Scenario:
    few = asked < min(routes, PATHS)
    return Scenario(
        name=f"routes-{routes}" + (f"-{asked}" if few else ""),
        about=f"{routes:,} routes by path prefix, {min(routes, asked):,} of them asked for, 64 connections",
        figures=(CPU, RATE, P50, P99, PSS, FAILED),
        measure=partial(measure_own, connections=64, paths=some_paths(routes, asked)),
        routes=routes,
        clusters=min(routes, 10),
    )


TRAFFIC = (
    *map(keepalive, (1, 16, 64, 256)),
    Scenario(
        name="close",
        about="`Connection: close` from the client, 64 at once",
        figures=(CPU, RATE, P50, P99, FAILED),
        measure=partial(measure_wrk, connections=64, headers=("Connection: close",)),
    ),
    Scenario(
        name="steady",
        about=f"{STEADY_RATE} requests a second over 16 connections, latency from the time each is due",
        figures=(P50, P99, CPU, RATE, FAILED),
        measure=partial(measure_own, connections=16, rate=STEADY_RATE),
        with_direct=True,
    ),
    Scenario(
        name="logs",
        about="as keepalive-64, with the access log on",
        figures=(CPU, LOGGED, RATE, P50, P99, FAILED),
        measure=partial(measure_logged, connections=64),
        access_log=True,
        only=frozenset({"tulle", "haproxy", "nginx", "envoy"}),
    ),
    Scenario(
        name="download",
        about="responses of 10 MB, 4 connections",
        figures=(CPU_PER_GB, BYTES_RATE, PSS, FAILED),
        measure=partial(measure_wrk, connections=4, path=f"/bytes/{BODY}"),
    ),
    Scenario(
        name="upload",
        about="request bodies of 10 MB, 4 connections",
        figures=(CPU_PER_GB, BYTES_RATE, PSS, FAILED),
        measure=partial(measure_own, connections=4, upload=BODY),
    ),
    Scenario(
        name="tcp-bodies",
        about="10 MB at a time through raw TCP, 4 connections",
        figures=(CPU_PER_GB, BYTES_RATE, PSS, FAILED),
        measure=partial(measure_wrk, connections=4, path=f"/bytes/{BODY}"),
        raw=True,
        only=frozenset({"relay", "tulle", "haproxy", "envoy"}),
    ),
    *map(many_routes, (10, 1_000, 100_000)),
    many_routes(100_000, asked=10),
    Scenario(
        name="closing",
        about=f"a backend that closes 50 idle connections a second at random, {STEADY_RATE} requests/s",
        figures=(FAILED, P99, RATE),
        measure=partial(measure_own, connections=32, rate=STEADY_RATE),
        close_rate=50,
        only=frozenset({"tulle", "haproxy", "nginx", "envoy"}),
    ),
)
