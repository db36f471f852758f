"""The books of the kernel: parsing, process trees, and that CPU time is counted at all."""

import os
import time
from pathlib import Path

from bench.measure import cpu_seconds, memory_alone, parse_pss, parse_smaps, parse_stat, process_tree, pss

STAT = "{pid} ({name}) S {parent} 1 1 0 -1 0 0 0 0 0 5 6 {children_user} {children_system} 20 0 1 0 9 0 0"


def fake_process(proc: Path, pid: int, parent: int, name: str = "proxy") -> None:
    (proc / str(pid)).mkdir()
    text = STAT.format(pid=pid, name=name, parent=parent, children_user=0, children_system=0)
    (proc / str(pid) / "stat").write_text(text)


def test_stat_with_brackets_and_spaces_in_the_name() -> None:
    text = STAT.format(pid=7, name="a) S 99 (b", parent=3, children_user=150, children_system=50)
    assert parse_stat(text) == (3, 200 / os.sysconf("SC_CLK_TCK"))


def test_tree_holds_grandchildren_and_nothing_else(tmp_path: Path) -> None:
    for pid, parent in ((10, 1), (11, 10), (12, 11), (13, 10), (20, 1), (21, 20)):
        fake_process(tmp_path, pid, parent)
    (tmp_path / "meminfo").write_text("not a process")
    assert process_tree(10, tmp_path) == [10, 11, 13, 12]
    assert process_tree(99, tmp_path) == []


def test_cpu_time_is_what_the_process_used() -> None:
    before, used_before = cpu_seconds([os.getpid()]), time.process_time()
    while time.process_time() < used_before + 0.02:
        pass
    used = cpu_seconds([os.getpid()]) - before
    assert 0.02 <= used <= time.process_time() - used_before + 0.02


def test_cpu_time_of_a_process_that_is_gone_is_nothing() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert cpu_seconds([pid]) == 0
    assert pss([pid]) == 0
    assert memory_alone([pid]) == 0


def test_pss_is_in_bytes() -> None:
    assert parse_pss("00-ff ---p 0 00:00 0 [rollup]\nRss: 90 kB\nPss: 12 kB\nPss_Dirty: 1 kB\n") == 12 * 1024


SMAPS = """\
55d0-55d1 r-xp 00001000 fe:00 42                 /usr/bin/python3
Rss:                 100 kB
Pss:                  30 kB
Shared_Clean:         80 kB
Shared_Dirty:          0 kB
Private_Clean:        15 kB
Private_Dirty:         5 kB
7ff0-7ff1 rw-p 00000000 00:00 0                  [heap]
Rss:                  64 kB
Pss:                  48 kB
Shared_Clean:          0 kB
Shared_Dirty:         32 kB
Private_Clean:         0 kB
Private_Dirty:        32 kB
"""


def test_smaps_tell_own_pages_from_those_of_shared_files() -> None:
    own, files = parse_smaps(SMAPS)
    assert own == (15 + 5 + 48) * 1024
    assert dict(files) == {("/usr/bin/python3", "00001000"): 80 * 1024}


def test_alone_is_never_less_than_what_is_private() -> None:
    own, files = parse_smaps(Path("/proc/self/smaps").read_text())
    assert own > 0
    assert files.total() >= 0
    assert memory_alone([os.getpid()]) >= pss([os.getpid()]) * 0.9
