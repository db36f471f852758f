"""`python -m tests.fuzz [SECONDS] [TARGET...]` runs fuzz targets, as many at once as there are processors.

A target is a file `fuzz_NAME.py` in this folder with a function

    def check(number: int) -> None: ...

that makes the input of this number, the same one each time, and tries it. It raises when an answer is wrong;
a crash or a finding of a sanitizer ends its process. `python -m tests.fuzz.target NAME 1 NUMBER` tries that
input again.

Each target has a process of its own, so that one that crashes is named and the others still run.
Exit status: 0 all ran and found nothing, 1 a target failed, 2 there is no such target.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(__file__).parent


def run(names: list[str], seconds: float) -> int:
    """Run the named targets, all of them when none is named; the exit status."""
    known = sorted(file.stem.removeprefix("fuzz_") for file in FOLDER.glob("fuzz_*.py"))
    unknown = sorted(set(names) - set(known))
    if unknown or not known:
        print(f"fuzz: no target {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2

    def succeeds(name: str) -> bool:
        command = [sys.executable, "-m", "tests.fuzz.target", name, str(seconds)]
        return subprocess.run(command, check=False).returncode == 0

    chosen = names or known
    print(f"fuzz: {', '.join(chosen)}, {seconds:g} s each", flush=True)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as at_once:
        failed = [name for name, good in zip(chosen, at_once.map(succeeds, chosen), strict=True) if not good]
    if failed:
        print(f"fuzz: failed: {', '.join(failed)}; what they printed is above", file=sys.stderr)
    return 1 if failed else 0


def main() -> int:
    arguments = sys.argv[1:]
    seconds = 60.0
    if arguments and arguments[0].replace(".", "", 1).isdigit():
        seconds = float(arguments.pop(0))
    return run(arguments, seconds)


if __name__ == "__main__":
    raise SystemExit(main())
