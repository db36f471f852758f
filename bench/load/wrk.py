"""wrk, where it can do what is wanted: as many GETs of one path as are answered."""

import json
import shutil
import subprocess
from pathlib import Path

from bench.cpus import on_cpus
from bench.load.result import LoadResult

SCRIPT = Path(__file__).with_name("report.lua")


def missing() -> str | None:
    """How to get wrk, if it is not there."""
    return None if shutil.which("wrk") else "wrk is not installed: apt-get install wrk"


def parse(output: str) -> LoadResult:
    """The result line of the script, wherever it is in what wrk printed."""
    for line in output.splitlines():
        if line.startswith("RESULT "):
            said = json.loads(line.removeprefix("RESULT "))
            said["kinds"] = {kind: count for kind, count in said["kinds"].items() if count}
            return LoadResult(**said)
    raise RuntimeError(f"wrk did not finish: {output.strip() or 'it said nothing'}")


def run_wrk(
    port: int,
    path: str = "/",
    *,
    connections: int,
    seconds: int,
    cpus: frozenset[int],
    headers: tuple[str, ...] = (),
) -> LoadResult:
    """Load 127.0.0.1:`port` from one thread of wrk for whole seconds."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(SCRIPT)]
    for header in headers:
        command += ["-H", header]
    with on_cpus(cpus):
        finished = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{path}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    return parse(finished.stdout)
