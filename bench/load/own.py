"""Our own load (`bench.loops.load`), as a process of its own beside the backend."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.cpus import on_cpus
from bench.load.result import LoadResult, Stamp
from bench.process import ROOT, python_module

KINDS = ("connect", "reset", "status", "malformed", "unanswered")
"""How a request may fail: no connection, cut off, not 2xx, not to be understood, no answer in time."""


class Load:
    """A load that runs. A context manager, that ends it in any case.

    `rate` is requests a second over all connections, 0 for as many as are answered; `upload` is the size of
    the bodies that are sent, in bytes; with `hold` each connection makes one request and stays open; with
    `stamps`, for which a rate is needed, the times of each good answer are kept.
    """

    def __init__(
        self,
        port: int,
        paths: tuple[str, ...] = ("/",),
        *,
        connections: int,
        seconds: float,
        cpus: frozenset[int],
        rate: float = 0,
        upload: int = 0,
        hold: bool = False,
        stamps: bool = False,
    ) -> None:
        command = python_module(
            "bench.load",
            *("--port", port, "--connections", connections, "--seconds", seconds),
            *("--rate", rate, "--upload", upload),
            *(["--hold"] if hold else []),
            *(["--stamps"] if stamps else []),
            *(f"--path={path}" for path in paths),
        )
        with on_cpus(cpus):
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def result(self) -> LoadResult:
        """What it says when it is done, or when all the connections that it holds are open."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load ended without a result; what it wrote to stderr says why")
        said = json.loads(line)
        return LoadResult(
            **{key: said[key] for key in ("requests", "seconds", "bytes", "failed", "p50", "p99")},
            kinds={kind: said[kind] for kind in KINDS if said[kind]},
            stamps=_stamps(said),
        )


def _stamps(said: dict[str, Any]) -> tuple[Stamp, ...]:
    """Its stamps, which count from its start, as moments."""
    start = said.get("start", 0)
    stamps = said.get("stamps", ())
    return tuple(Stamp((start + written) / 1e6, (start + answered) / 1e6) for written, answered in stamps)


@contextmanager
def held_connections(port: int, path: str, *, count: int, cpus: frozenset[int]) -> Iterator[LoadResult]:
    """So many connections open, one answered request on each, while inside."""
    with Load(port, (path,), connections=count, seconds=60, cpus=cpus, hold=True) as load:
        yield load.result()
