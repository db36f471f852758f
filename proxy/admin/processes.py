"""What the processes of the proxy take of this machine, from /proc."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """CPU in seconds, memory in bytes of proportional set size: shared pages are shared out."""

    cpu: float
    memory: int
    descriptors: int


def usage(pids: Iterable[int]) -> Usage:
    """Of these together; one that has ended meanwhile counts nothing."""
    found = [one(pid) for pid in pids]
    return Usage(*(sum(column) for column in zip(*found, strict=True))) if found else Usage(0.0, 0, 0)


def one(pid: int) -> Usage:
    place = Path(f"/proc/{pid}")
    cpu, memory, descriptors = 0.0, 0, 0
    with suppress(OSError, ValueError, IndexError):
        # after the name, which may hold spaces: state is the first field, utime and stime the 12th and 13th
        fields = (place / "stat").read_text().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / TICKS
        memory = parts(pid).get("Pss", 0)
        descriptors = sum(1 for _ in (place / "fd").iterdir())
    return Usage(cpu, memory, descriptors)


def parts(pid: int) -> dict[str, int]:
    """Memory of a process by kind, in bytes: Rss, Pss, Pss_Anon and so on; empty when it is gone."""
    found = {}
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, _, value = line.partition(":")
            found[name] = int(value.split()[0]) * 1024
    return found
