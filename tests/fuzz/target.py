"""`python -m tests.fuzz.target NAME SECONDS [FIRST]` runs one fuzz target, from the input of this number on.

The number of the input is in a file before it is tried: a crash ends this process, and then it is there.
"""

import importlib
import os
import sys
import tempfile
import time
from pathlib import Path


def run(name: str, seconds: float, first: int = 0) -> None:
    """Try inputs for so long; raises what the target raises."""
    check = importlib.import_module(f"tests.fuzz.fuzz_{name}").check
    file, path = tempfile.mkstemp(prefix=f"fuzz_{name}-")
    print(f"{name}: if it crashes, {path} holds the number of the input", flush=True)
    number = first
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        os.pwrite(file, b"%d\n" % number, 0)
        check(number)
        number += 1
    os.close(file)
    Path(path).unlink()
    print(f"{name}: {number - first} inputs, nothing found", flush=True)


if __name__ == "__main__":
    run(sys.argv[1], float(sys.argv[2]), *map(int, sys.argv[3:4]))
