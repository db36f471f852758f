"""`python -m tests.fuzz [SECONDS] [TARGET...]` runs fuzz targets one after the other.

A target is a file `fuzz_NAME.py` in this folder with a function

    def main(seconds: float) -> int: ...

that feeds inputs of its own making for about so long and returns how many it tried. It raises when an
answer is wrong; a crash or a finding of a sanitizer ends its process. Either way it must have said which
input did it: it writes every input, or the seed and the number that make it, before it tries it.

Each target has a process of its own, so that one that crashes is named and the others still run.
Exit status: 0 all ran and found nothing, 1 a target failed, 2 there is no such target.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
RUN = "import sys; from tests.fuzz.fuzz_{name} import main; print(main(float(sys.argv[1])), 'inputs')"


def run(names: list[str], seconds: float) -> int:
    """Run the named targets, all of them when none is named; the exit status."""
    known = sorted(file.stem.removeprefix("fuzz_") for file in FOLDER.glob("fuzz_*.py"))
    unknown = sorted(set(names) - set(known))
    if unknown or not known:
        print(f"fuzz: no target {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or known:
        print(f"fuzz: {name}, {seconds:g} s", flush=True)
        code = RUN.format(name=name)
        if subprocess.run([sys.executable, "-c", code, str(seconds)], check=False).returncode != 0:
            failed.append(name)
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
