"""The master's processes: those that the spawner forks for it, and those that come to it without.

A worker outlives its spawner when that dies, and its program when that is replaced; the system gives such
orphans to the master, which has said that it adopts them.
"""

import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

from tulle._fast.base import process
from tulle.proxy import spawner
from tulle.proxy.descriptors import content
from tulle.proxy.failure import Failure
from tulle.proxy.interpreter import module_command
from tulle.proxy.loop import current
from tulle.proxy.messages import warn
from tulle.proxy.streams import readable

ORPHAN_CHECK = 0.1  # seconds between looks at a process that is not our child yet
LOST = 0  # the wait status of a process whose end nobody has seen


class Child:
    """One process. `pid` is 0 until it is known."""

    def __init__(self, on_end: Callable[[int], None], pid: int = 0) -> None:
        self.pid = pid
        self.on_end = on_end  # called with the wait status


class Children:
    """Every process of a proxy but the master itself."""

    def __init__(self, handle: spawner.Handle) -> None:
        self.handle = handle
        self.tickets = 0
        self.forked: dict[int, Child] = {}  # by the spawner, by ticket
        self.adopted: dict[int, Child] = {}  # by pid

    @property
    def spawner_pid(self) -> int:
        return self.handle.pid

    def attach(self) -> None:
        """Hear of children from now on. The loop must be running."""
        process.adopt_orphans()
        loop = current()
        loop.add_reader(self.handle.orders.fileno(), self._report)
        loop.on_signal(signal.SIGCHLD, self._reap)
        self._reap()

    def fork_worker(self, lane: int, descriptors: list[int], on_end: Callable[[int], None]) -> Child:
        """A new worker; the caller may close the descriptors at once."""
        return self._fork(spawner.WORKER, lane, descriptors, on_end)

    def fork_keeper(self, descriptors: list[int]) -> None:
        """A process for `keeper`; it says who it is, and its end is for others to hear of."""
        self._fork(spawner.KEEPER, -1, descriptors, lambda status: None)

    def _fork(self, kind: int, lane: int, descriptors: list[int], on_end: Callable[[int], None]) -> Child:
        self.tickets += 1
        child = self.forked[self.tickets] = Child(on_end)
        order = spawner.ORDER.pack(kind, self.tickets, lane)
        with contextlib.suppress(
            OSError
        ):  # the spawner has just died, and its successor's end is this child's too
            spawner.send(self.handle.orders, order, descriptors)
        return child

    def adopt(self, pid: int, on_end: Callable[[int], None]) -> Child:
        """Hear of the end of a process that somebody else has begun."""
        child = self.adopted[pid] = Child(on_end, pid)
        self._check(pid)
        return child

    async def run_task(
        self, task: dict[str, Any], descriptors: list[int]
    ) -> tuple[dict[str, Any], list[int]]:
        """The answer of a task and the descriptors with it, which the caller closes."""
        try:
            answering = spawner.begin_task(self.handle.orders, json.dumps(task).encode(), descriptors)
        except OSError as error:
            raise Failure(f"no child can be begun for a task: {error.strerror}; try again") from None
        return await answer(answering)

    # -- reports of the spawner ---------------------------------------------------------------------------

    def _report(self) -> None:
        try:
            data = self.handle.orders.recv(spawner.REPORT.size, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:  # it is dying: its end comes with SIGCHLD, when its children are ours
            current().remove_reader(self.handle.orders.fileno())
            return
        kind, ticket, pid, status = spawner.REPORT.unpack(data)
        if kind == spawner.BEGAN:
            if child := self.forked.get(ticket):
                child.pid = pid
        elif child := self.forked.pop(ticket, None):
            if kind == spawner.FAILED:
                warn(f"a child cannot be forked: {os.strerror(status)}")
            child.on_end(LOST if kind == spawner.FAILED else status)

    # -- children of our own ------------------------------------------------------------------------------

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.handle.pid:
                self._replace_spawner(status)
            elif child := self.adopted.pop(pid, None):
                child.on_end(status)

    def _check(self, pid: int) -> None:
        """Find out if an orphan-to-be ended before it was ours: then no signal tells."""
        if pid not in self.adopted:
            return
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                self.adopted.pop(pid).on_end(LOST)
            else:
                current().call_later(ORPHAN_CHECK, self._check, pid)

    def _replace_spawner(self, status: int) -> None:
        """It has died, so its children are ours now; another begins, not as a fork of this fat process."""
        warn(f"the spawner {how_it_ended(status)}; another begins")
        loop = current()
        loop.remove_reader(self.handle.orders.fileno())
        self.handle.orders.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            theirs.set_inheritable(True)
            command = [*module_command(spawner.__name__), str(theirs.fileno())]
            pid = os.posix_spawn(command[0], command, os.environ)
        self.handle = spawner.Handle(pid, ours)
        loop.add_reader(ours.fileno(), self._report)
        orphans, self.forked = self.forked, {}
        for child in orphans.values():
            if child.pid:
                self.adopted[child.pid] = child
                self._check(child.pid)
            else:
                child.on_end(LOST)


async def answer(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Wait for the answer of a task; the descriptors with it are the caller's.

    `Failure` when the task died.
    """
    with connection:
        await readable(connection.fileno())
        descriptors: list[int] = []
        with contextlib.suppress(ConnectionError):
            descriptors = spawner.receive(connection)[1]
    if not descriptors:
        raise Failure(
            "a child that was to do a task has died; see what it wrote above, or whether memory ran out"
        )
    text, *descriptors = descriptors
    result = json.loads(content(text))
    os.close(text)
    if "failed" in result:
        for descriptor in descriptors:
            os.close(descriptor)
        raise Failure(f"a task of the proxy has failed: {result['failed']}; this is a bug, please report it")
    return result, descriptors


def how_it_ended(status: int) -> str:
    """A wait status, for people."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"left with status {code}"
    return f"was ended by {signal.Signals(-code).name}"
