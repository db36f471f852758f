"""Demos in sessions of their own, so that whatever one leaves behind is found."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PATIENCE = 100.0  # seconds: a demo begins ten processes and more, which others on the machine delay

Start = Callable[..., subprocess.Popen[str]]


@contextlib.contextmanager
def demos(folder: Path) -> Iterator[Start]:
    """Begins demos with these options, and this folder for temporary files."""
    begun = []

    def start(*options: str) -> subprocess.Popen[str]:
        demo = subprocess.Popen(
            [sys.executable, "-m", "tulle", "demo", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(folder)},
            start_new_session=True,
        )
        begun.append(demo)
        return demo

    yield start
    for demo in begun:
        for pid in session_members(demo.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        demo.communicate()


def session_members(session: int) -> list[int]:
    """The processes of a session, which children belong to whatever group they are in."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def all_gone(session: int) -> bool:
    """Whether a session is empty soon: the last of them may still be on their way out."""
    deadline = time.monotonic() + PATIENCE
    while left := session_members(session):
        if time.monotonic() > deadline:
            print("still there:", left)
            return False
        time.sleep(0.01)
    return True


def printed(lines: list[str], pattern: str) -> str:
    """What the demo's first lines give for a pattern with one group."""
    match = re.search(pattern, "\n".join(lines))
    assert match is not None
    return match[1]
