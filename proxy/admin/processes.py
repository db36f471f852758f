"""What the processes of the proxy take of this machine, from /proc."""

import os
from collections.abc import Iterable
from contextlib import suppress
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
    cpu, memory, descriptors = 0.0, 0, 0
    with suppress(OSError, ValueError, IndexError):
        with open(f"/proc/{pid}/stat") as file:
            # after the name, which may hold spaces: state is the first field, utime the 12th, stime the 13th
            fields = file.read().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / TICKS
        memory = parts(pid).get("Pss", 0)
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    return Usage(cpu, memory, descriptors)


def parts(pid: int) -> dict[str, int]:
    """Memory of a process by kind, in bytes: Rss, Pss, Pss_Anon and so on; empty when it is gone."""
    found = {}
    with suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file.readlines()[1:]:
            name, _, value = line.partition(":")
            found[name] = int(value.split()[0]) * 1024
    return found
