"""h2load: as many requests as are answered, over HTTP/2 without TLS, many streams on a connection."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.cpus import on_cpus
from bench.load.result import LoadResult

TOTALS = re.compile(
    r"finished in (?P<seconds>[\d.]+)(?P<unit>m?s).*?"
    r"requests: .*? (?P<done>\d+) done, (?P<succeeded>\d+) succeeded, (?P<failed>\d+) failed, "
    r"(?P<errored>\d+) errored.*?"
    r"status codes: (?P<good>\d+) 2xx.*?"
    r"traffic: .*?\((?P<bytes>\d+)\) total",
    re.DOTALL,
)


def missing() -> str | None:
    """How to get h2load, if it is not there."""
    return None if shutil.which("h2load") else "h2load is not installed: apt-get install nghttp2-client"


def parse(output: str, latencies: list[int]) -> LoadResult:
    """What h2load printed, and what it wrote down of each request, in microseconds."""
    found = TOTALS.search(output)
    if found is None:
        raise RuntimeError(f"h2load did not finish: {output.strip() or 'it said nothing'}")
    errored, done, good = (int(found[name]) for name in ("errored", "done", "good"))
    bad = max(0, done - good)  # a head may be counted that came before the end of the time, without its body
    latencies = sorted(latencies) or [0]
    return LoadResult(
        requests=good,
        seconds=float(found["seconds"]) / (1000 if found["unit"] == "ms" else 1),
        bytes=int(found["bytes"]),
        failed=errored + bad,
        p50=float(latencies[len(latencies) // 2]),
        p99=float(latencies[len(latencies) * 99 // 100]),
        kinds={kind: count for kind, count in (("status", bad), ("reset", errored)) if count},
    )


def run_h2load(
    port: int,
    path: str = "/",
    *,
    connections: int,
    streams: int,
    seconds: int,
    cpus: frozenset[int],
    fields: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> LoadResult:
    """Load 127.0.0.1:`port` from one thread for whole seconds; with a body it is POST, else GET."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "requests"
        command = ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}", f"--log-file={log}"]
        command += [f"--header={name}: {value}" for name, value in (fields or {}).items()]
        if body:
            (Path(folder) / "body").write_bytes(body)
            command.append(f"--data={folder}/body")
        with on_cpus(cpus):
            finished = subprocess.run(
                [*command, f"http://127.0.0.1:{port}{path}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        lines = log.read_text().splitlines() if log.exists() else []
    return parse(finished.stdout, [int(line.split("\t")[2]) for line in lines])
