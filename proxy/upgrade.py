"""USR2: the program that is installed now replaces the one that runs, in place, and no connection is lost.

The old program asks the new one first, in a child, if it could; then it becomes the new one by execve.
Sockets, shared memory and workers stay: the new program begins workers of its own, and when they are ready
lets the old ones finish. A no of the child changes nothing. When the new program lays out shared memory in
another way, a process of the old one stays with the old workers and their memory, see `keepers`.
"""

import json
import os
import signal
import sys
from typing import NamedTuple

from tulle.proxy import handover
from tulle.proxy.children import Children
from tulle.proxy.descriptors import content, memfd
from tulle.proxy.handover import Words
from tulle.proxy.interpreter import module_command
from tulle.proxy.loop import Future
from tulle.proxy.start import ENVIRONMENT, Options
from tulle.proxy.waiting import Timeout

# What would end the new program before it listens to signals waits until it does
FATAL = {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT}
PREFLIGHT = "tulle.proxy.preflight"
OTHER_LAYOUT = 3  # its exit status when it needs shared memory of its own
PREFLIGHT_TIMEOUT = 60.0  # seconds


class Verdict(NamedTuple):
    """Why the new program could not take over, a line each; and whether it needs shared memory of its own."""

    reasons: list[str]
    other_layout: bool = False


async def preflight(children: Children, words: Words, options: Options) -> Verdict:
    """Ask the program that is installed now if it could take over."""
    asked = {"handover": words, "source": options.source, "workers": options.workers}
    question = memfd("tulle-preflight", json.dumps(asked).encode())
    os.lseek(question, 0, os.SEEK_SET)
    said = memfd("tulle-preflight", b"")
    ended: Future[int] = Future()
    try:
        pid = os.posix_spawn(
            sys.executable,
            module_command(PREFLIGHT),
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, question, 0), (os.POSIX_SPAWN_DUP2, said, 1)],
        )
        children.adopt(pid, ended.set_result)
        try:
            async with Timeout(PREFLIGHT_TIMEOUT):
                status = await ended
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            return Verdict([f"the new program has not said within {PREFLIGHT_TIMEOUT:g} s that it could"])
        reasons = content(said).decode(errors="replace").splitlines()
    except OSError as error:
        return Verdict([f"the new program cannot be run: {error.strerror}"])
    finally:
        os.close(question)
        os.close(said)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, OTHER_LAYOUT) and not reasons:
        return Verdict(["the new program does not run; see what it wrote above"])
    return Verdict(reasons, code == OTHER_LAYOUT)


def replace_program(words: Words) -> str:
    """Become the program that is installed now. Comes back only when that fails, with the reason."""
    text = handover.give(words)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, FATAL)
    try:
        os.execve(
            sys.executable,
            [sys.executable, *sys.orig_argv[1:]],
            {**os.environ, ENVIRONMENT: str(text)},
        )
    except OSError as error:
        handover.take_back(words, text)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return f"the new program cannot be run: {error.strerror}"
