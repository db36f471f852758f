"""What a group of processes has used, from the kernel's own books: CPU time and memory.

CPU time is read from each process's CPU clock, which counts nanoseconds and includes threads that have ended.
Children that have ended and been waited for are added from `/proc/PID/stat`, which counts 10 ms ticks.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICK = 1 / os.sysconf("SC_CLK_TCK")


def parse_stat(text: str) -> tuple[int, float]:
    """The parent's PID and the CPU seconds of waited-for children, from the text of `/proc/PID/stat`."""
    fields = text[text.rindex(")") + 2 :].split()  # the name may hold spaces and brackets
    return int(fields[1]), (int(fields[13]) + int(fields[14])) * TICK


def process_tree(root: int, proc: Path = PROC) -> list[int]:
    """`root` and all processes below it, parents before children; empty when it has ended."""
    children: dict[int, list[int]] = {}
    alive = set()
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                parent, _ = parse_stat((entry / "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue
            alive.add(int(entry.name))
            children.setdefault(parent, []).append(int(entry.name))
    tree = [root] if root in alive else []
    for pid in tree:
        tree.extend(sorted(children.get(pid, ())))
    return tree


def cpu_clock(pid: int) -> int:
    """The number of the clock of the CPU time of process `pid`, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time, user and system, that the processes and their ended children have used so far, in seconds."""
    total = 0.0
    for pid in pids:
        try:
            _, reaped = parse_stat((PROC / str(pid) / "stat").read_text())
            total += reaped + time.clock_gettime_ns(cpu_clock(pid)) / 1e9
        except OSError:  # it has ended
            continue
    return total


def parse_pss(text: str) -> int:
    """Bytes of proportional set size from the text of `/proc/PID/smaps_rollup`."""
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError("no Pss line: this kernel has no smaps_rollup")


def pss(pids: Iterable[int]) -> int:
    """Proportional set size of the processes together, in bytes.

    Of a page that n processes share, each has one nth.
    """
    total = 0
    for pid in pids:
        try:
            total += parse_pss((PROC / str(pid) / "smaps_rollup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def parse_smaps(text: str) -> tuple[int, Counter[tuple[str, str]]]:
    """Memory of one process from the text of `/proc/PID/smaps`, in bytes.

    First its own part (private pages, and its share of anonymous ones), then what it shares of each mapped
    file with other processes, by path and offset.
    """
    own, files = 0, Counter[tuple[str, str]]()
    place = ("", "")
    for line in text.splitlines():
        key, *values = line.split()
        if not key.endswith(":"):  # the first line of a mapping: range, mode, offset, device, inode, path
            place = (values[4], values[1]) if len(values) > 4 and values[4].startswith("/") else ("", "")
        elif key.startswith("Private_") and place[0]:
            own += int(values[0]) * 1024
        elif key.startswith("Shared_") and place[0]:
            files[place] += int(values[0]) * 1024
        elif key == "Pss:" and not place[0]:
            own += int(values[0]) * 1024
    return own, files


def memory_alone(pids: Iterable[int]) -> int:
    """What the PSS of the processes would be if nothing else on the machine used the same files, in bytes.

    PSS flatters what shares an interpreter with the bench itself. Here a shared page of a file counts whole.
    """
    total, shared = 0, Counter[tuple[str, str]]()
    for pid in pids:
        try:
            own, files = parse_smaps((PROC / str(pid) / "smaps").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += own
        shared |= files  # the larger of two
    return total + shared.total()
