"""The spawner: forked before anything heavy is imported and before any thread exists, it forks all others.

So a worker never begins as the fork of a threaded or fat process. It takes one order at a time over a
SOCK_SEQPACKET pair, reports each child that began and each that ended, and leaves when the master closes its
end.

    order    ORDER (kind, ticket, lane), descriptors beside it
    report   REPORT (kind, ticket, pid, wait status)

A worker gets as descriptors: shared memory, its control socket, the logger's eventfd, one eventfd a lane. A
task is a short-lived child, niced, that runs `tulle.proxy.tasks`; its descriptors: an answer socket, a memfd
that says what to do, then what that needs. A companion is a task that is not niced,
and stays until its answer socket is closed. A keeper, see `keeper`, gets what a worker gets.
"""

import array
import contextlib
import gc
import os
import select
import signal
import socket
import struct
import sys

from tulle._fast.base import process
from tulle.proxy.descriptors import memfd

ORDER = struct.Struct("=IIi")
REPORT = struct.Struct("=IIii")

WORKER, TASK, KEEPER, COMPANION = 1, 2, 3, 4
BEGAN, ENDED, FAILED = 1, 2, 3

LARGEST_MESSAGE = 8192  # has room for a path
MOST_DESCRIPTORS = 253  # what the system passes at once (SCM_MAX_FD)
TASK_NICENESS = 10
LEFT_TO_MASTER = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Handle:
    """The spawner, for the master."""

    def __init__(self, pid: int, orders: socket.socket) -> None:
        self.pid = pid
        self.orders = orders

    def end(self) -> None:
        """Have the spawner leave, and wait for that."""
        self.orders.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def start() -> Handle:
    """Fork the spawner. Call it while this process has one thread and little in memory."""
    preload()  # before the fork: the master needs some of it too
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    gc.freeze()  # what no collector visits stays shared
    pid = os.fork()
    if pid != 0:
        theirs.close()
        return Handle(pid, ours)
    status = 1
    try:
        close_all_but(theirs.fileno())
        Spawner(theirs).serve()
        status = 0
    finally:
        os._exit(status)


class Spawner:
    """Runs in the child: `serve` returns when the master has gone."""

    def __init__(self, orders: socket.socket) -> None:
        self.orders = orders
        self.tickets: dict[int, int] = {}  # of running children, by pid

    def serve(self) -> None:
        process.set_name(b"tulle-spawner")
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        process.die_with_parent(signal.SIGKILL)
        for number in LEFT_TO_MASTER:
            signal.signal(number, signal.SIG_IGN)
        gc.collect()
        gc.freeze()
        gc.disable()
        process.unmap_read_pages()
        wakeup, self.wakeup_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self.wakeup_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        poll = select.poll()
        poll.register(self.orders, select.POLLIN)
        poll.register(wakeup, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == wakeup:
                    os.read(wakeup, 512)
                    self.reap()
                elif not self.take_order():
                    return

    def take_order(self) -> bool:
        """Carry out the next order; False when the master has gone."""
        try:
            data, descriptors = receive(self.orders)
        except ConnectionError:
            return False
        if not data:
            return False
        kind, ticket, lane = ORDER.unpack(data)
        try:
            pid = os.fork()
        except OSError as error:
            self.report(FAILED, ticket, 0, error.errno or 0)
        else:
            if pid == 0:
                self.become(kind, lane, descriptors)
            self.tickets[pid] = ticket
            self.report(BEGAN, ticket, pid, 0)
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def become(self, kind: int, lane: int, descriptors: list[int]) -> None:
        """In the new child, never to return."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.orders.close()
            os.close(self.wakeup_writer)
            if kind == WORKER:
                from tulle.proxy import worker

                status = worker.run(lane, descriptors)
            elif kind == KEEPER:
                from tulle.proxy import keeper

                status = keeper.run(descriptors)
            else:
                from tulle.proxy import tasks

                if kind == TASK:
                    os.nice(TASK_NICENESS)
                gc.enable()
                status = tasks.run(descriptors)
        except KeyboardInterrupt:
            pass
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)

    def reap(self) -> None:
        while self.tickets:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.report(ENDED, self.tickets.pop(pid, 0), pid, status)

    def report(self, kind: int, ticket: int, pid: int, status: int) -> None:
        with contextlib.suppress(OSError):  # the master has gone, and the next order says so
            self.orders.send(REPORT.pack(kind, ticket, pid, status))


def begin_task(orders: socket.socket, task: bytes, descriptors: list[int], kind: int = TASK) -> socket.socket:
    """Order a task, see `tasks`; its answer will come over the socket. Its end shows there too: no ticket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    text = memfd("tulle-task", task)
    with theirs:
        send(orders, ORDER.pack(kind, 0, -1), [theirs.fileno(), text, *descriptors])
    os.close(text)
    return ours


def close_all_but(descriptor: int) -> None:
    """Of what a former program has left to the master, the spawner must hold nothing."""
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))


def preload() -> None:
    """Import once what children need: its pages are shared, and no other version takes its place."""
    from tulle.proxy import keeper, worker  # noqa: F401


def receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """One message and the descriptors beside it, closed on exec; empty at the end."""
    descriptors = array.array("i")
    data, ancillary, _, _ = connection.recvmsg(
        LARGEST_MESSAGE, socket.CMSG_SPACE(MOST_DESCRIPTORS * descriptors.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    return data, list(descriptors)


def send(connection: socket.socket, data: bytes, descriptors: list[int]) -> None:
    """One message with descriptors beside it. OSError when the other side has gone or cannot take it now."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    connection.sendmsg([data], ancillary)


if __name__ == "__main__":
    preload()
    Spawner(socket.socket(fileno=int(sys.argv[1]))).serve()
