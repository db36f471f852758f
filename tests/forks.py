"""Several processes at once on the same memory, for tests of what workers share."""

import mmap
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence


def shared_words(count: int) -> memoryview:
    """So many 32-bit words, zero, that forked processes share."""
    return memoryview(mmap.mmap(-1, 4 * count)).cast("I")


def in_processes(works: Sequence[Callable[[], None]], seconds: float = 60) -> None:
    """Fork a process for each work, let all begin; AssertionError when one fails or takes too long."""
    gate, opener = os.pipe()
    pids = [_forked(work, gate, opener) for work in works]
    os.close(gate)
    os.close(opener)
    deadline = time.monotonic() + seconds
    failed = []
    for pid in pids:
        descriptor = os.pidfd_open(pid)
        ended = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]
        os.close(descriptor)
        if not ended:
            os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if not ended:
            failed.append(f"process {pid} did not end within {seconds} s")
        elif status != 0:
            failed.append(f"process {pid} ended with {status}; what it said is above")
    assert not failed, "; ".join(failed)


def _forked(work: Callable[[], None], gate: int, opener: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.close(opener)
        os.read(gate, 1)  # ends when nobody holds the other end any more
        work()
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
        os._exit(1)
    os._exit(0)
