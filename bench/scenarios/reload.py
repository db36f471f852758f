"""Reloads under load: what the traffic notices, and when the new configuration is there.

A configuration of 10,000 routes and 1,000 clusters is put in place once a second while requests at a fixed
rate go through it and event streams are held open. It counts as active when a new connection sees it. What
carries traffic has a processor with the load, where it can be told from the rest; what compiles, the command
that asks for it, and the bench have the other, so that no latency is a wait for those. Memory
is that of the proxy as it has settled: after reloads at the same pace, once before and once after those that
are measured.
"""

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.cpus import on_cpus
from bench.demand import VERSION_PATH
from bench.load.own import Load
from bench.load.streams import Streams, streams
from bench.measure import PROC, pss
from bench.peers.base import put_files
from bench.process import Failed, fetch
from bench.scenarios.base import MB, Sample, Scenario, Stage, failures
from bench.scenarios.figures import (
    ACTIVE,
    CALM_P99,
    ENDED_STREAMS,
    EVENTS,
    FAILED,
    PSS_AFTER,
    PSS_BEFORE,
    RELOAD_P99,
    RELOADS,
    SLOWEST_ACTIVE,
)
from bench.scenarios.traffic import some_paths

ROUTES = 10_000
CLUSTERS = 1_000
RATE = 1000
CONNECTIONS = 16
STREAMS = 20
FIRST_VERSION = 1_000_001
"""All versions have as many digits, so that one text makes all files."""
INTERVAL = 1.0
ACTIVE_LIMIT = 30.0
SHORTEST = 5
"""Seconds; a median of fewer reloads says little."""
CALM = 20
"""Seconds at most of traffic without reloads, to compare with."""
WARM_UP = 5
"""Seconds of reloads before memory is first read: what a reload needs at all is not growth."""
SETTLING = 3.0
"""Seconds until memory is read: then no child is at work any more, and old tables have gone."""


def active_seconds(stage: Stage, files: dict[str, str], folder: Path, expected: str) -> float:
    """Put the files in place, tell the proxy, and wait until it answers with the new version."""
    put_files(files, folder)
    began = time.monotonic()
    stage.peer.signal_reload(stage.running)
    while time.monotonic() < began + ACTIVE_LIMIT:
        try:
            if fetch(stage.port, VERSION_PATH)[1] == expected.encode():
                return time.monotonic() - began
        except OSError:
            stage.running.check()
        time.sleep(0.005)
    raise Failed(f"{stage.peer.name} had not taken a new configuration after {ACTIVE_LIMIT:.0f} s")


def reload_often(stage: Stage, held: Streams, versions: Iterator[int], seconds: float) -> list[float]:
    """Reload every second for so long, or as fast as the proxy takes it; seconds until each was active."""
    folder = stage.running.folder
    files = stage.peer.files(stage.demand, folder)
    taken: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        expected = stage.demand.version_body.replace(str(FIRST_VERSION), str(next(versions)))
        changed = {name: text.replace(stage.demand.version_body, expected) for name, text in files.items()}
        due = time.monotonic() + INTERVAL
        taken.append(active_seconds(stage, changed, folder, expected))
        held.read()
        time.sleep(max(0.0, due - time.monotonic()))
    return taken


def load(stage: Stage, seconds: float) -> Load:
    return Load(
        stage.port,
        some_paths(ROUTES),
        connections=CONNECTIONS,
        seconds=seconds,
        cpus=stage.load_cpus,
        rate=RATE,
    )


def measure_reload(stage: Stage) -> Sample:
    seconds = max(stage.seconds, SHORTEST)
    events = some_paths(ROUTES)[0].removesuffix("item") + "events"
    versions = itertools.count(FIRST_VERSION + 1)
    part(stage)
    with on_cpus(stage.placement.proxy), streams(stage.port, events, STREAMS) as held:
        with load(stage, min(seconds, CALM)) as running:
            calm = running.result()
        reload_often(stage, held, versions, WARM_UP)
        before = settled_pss(stage)
        with load(stage, seconds) as running:
            taken = reload_often(stage, held, versions, seconds - INTERVAL / 2)
            busy = running.result()
        after = settled_pss(stage)
        held.read()
    return {
        "active_ms": median(taken) * 1e3,
        "slowest_active_ms": max(taken) * 1e3,
        **failures(busy),
        "calm_p99_us": calm.p99,
        "reload_p99_us": busy.p99,
        "pss_before_mb": before / MB,
        "pss_after_mb": after / MB,
        "reloads": len(taken),
        "events": held.events,
        "ended_streams": held.ended,
    }


def part(stage: Stage) -> None:
    """Give traffic the processor of the load, and all else of the proxy the other."""
    traffic = stage.peer.traffic(stage.running)
    for pid in stage.running.pids() if traffic else ():
        for thread in (PROC / str(pid) / "task").iterdir():
            cpus = stage.placement.load if pid in traffic else stage.placement.proxy
            os.sched_setaffinity(int(thread.name), cpus)


def settled_pss(stage: Stage) -> int:
    time.sleep(SETTLING)
    return pss(stage.running.pids())


def reload_scenario(name: str, about: str, *, yaml: bool, only: frozenset[str]) -> Scenario:
    return Scenario(
        name=name,
        about=about,
        figures=(
            ACTIVE,
            SLOWEST_ACTIVE,
            FAILED,
            CALM_P99,
            RELOAD_P99,
            PSS_BEFORE,
            PSS_AFTER,
            RELOADS,
            EVENTS,
            ENDED_STREAMS,
        ),
        measure=measure_reload,
        routes=ROUTES,
        clusters=CLUSTERS,
        version=FIRST_VERSION,
        yaml=yaml,
        fresh=True,
        both_cpus=True,
        only=only,
    )


RELOADS_UNDER_LOAD = (
    reload_scenario(
        "reload",
        f"{ROUTES:,} routes and {CLUSTERS:,} clusters reloaded every second under {RATE} requests/s",
        yaml=False,
        only=frozenset(),
    ),
    reload_scenario(
        "reload-yaml", "the same, the configuration as YAML", yaml=True, only=frozenset({"tulle"})
    ),
)
