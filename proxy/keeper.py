"""Keeps shared memory for the workers of a former program, after an upgrade to one with another layout.

Only the program that laid memory out can read it. So, before the master becomes the new program, the old
spawner forks this process, which holds the memory for as long as old workers use it. It must need nothing
from the disk, where the new program is already: what it runs was loaded with the old one.

    to it     figures NUMBER LANE...   say what the lanes have counted, but for these
              ended LANE               the worker of this lane has been reaped
              log PATH                 open this file, anew if need be, and write the access log to it
              log                      write no access log
    from it   ready PID                once, first
              figures NUMBER           beside it a memfd, see `_fast.base.export`; JSON

It leaves when the master closes its end, and writes the last lines before.
"""

import os
import select
import socket
from contextlib import suppress

from tulle._fast.base import log_reader, process
from tulle._fast.base.export import export
from tulle._fast.base.stats import Stats
from tulle.proxy.descriptors import memfd
from tulle.proxy.sink import open_sink
from tulle.proxy.spawner import receive, send

GATHER = 5  # milliseconds to let lines gather, so that a write takes many
RETRY = 1000  # milliseconds until a file that failed is tried again


def run(descriptors: list[int]) -> int:
    """Keep until the master lets go; the exit status. Descriptors as a worker gets them."""
    process.set_name(b"tulle-keeper")
    memory, control, log, *wakes = descriptors
    keeper = Keeper(Stats(memory), socket.socket(fileno=control), log, wakes)
    keeper.serve()
    return 0


class Keeper:
    """Runs in the process of its own."""

    def __init__(self, stats: Stats, control: socket.socket, log: int, wakes: list[int]) -> None:
        self.stats = stats
        self.control = control
        self.log = log
        self.wakes = wakes  # by lane
        self.path = ""
        self.sink = -1

    def serve(self) -> None:
        send(self.control, f"ready {os.getpid()}".encode(), [])
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(self.log, select.POLLIN)
        while True:
            written = self.write()
            log_reader.set_waiting(self.stats, True)
            pause = None
            if written:
                pause = GATHER
            elif self.path and log_reader.waiting(self.stats):
                pause = RETRY
            ready = dict(poll.poll(pause))
            log_reader.set_waiting(self.stats, False)
            if self.log in ready:
                with suppress(BlockingIOError):  # the former program's logger, not gone yet, has read it
                    os.eventfd_read(self.log)
            if self.control.fileno() in ready and not self.obey():
                self.write()
                return

    def obey(self) -> bool:
        """Do what the master asks for next; False when it has gone."""
        try:
            data, _ = receive(self.control)
        except ConnectionError:
            return False
        what, _, rest = os.fsdecode(data).partition(" ")
        if what == "figures":
            number, *without = rest.split()
            self.say(number, [int(lane) for lane in without])
        elif what == "ended":
            self.stats.clear_lane(int(rest))
            for wake in self.wakes[: self.stats.lanes_used]:
                self.wake(wake)
        elif what == "log":
            self.path = rest
            self.close()
        return bool(data)

    def say(self, number: str, without: list[int]) -> None:
        import json

        figures = memfd("tulle-figures", json.dumps(export(self.stats, without)).encode())
        try:
            send(self.control, f"figures {number}".encode(), [figures])
        except OSError:
            return  # the master has gone, which shows when it is read from
        finally:
            os.close(figures)

    def wake(self, descriptor: int) -> None:
        """Have a worker look at who waits: there may be a place now."""
        try:
            os.eventfd_write(descriptor, 1)
        except BlockingIOError:
            return  # it has been told so often that it will look anyway

    # -- access log ---------------------------------------------------------------------------------------

    def write(self) -> int:
        """Once what the rings hold; the bytes that the file has taken. The new program says why if none."""
        if not self.path:
            return 0
        try:
            if self.sink < 0:
                self.sink = open_sink(self.path)
            return log_reader.drain(self.stats, self.sink)
        except OSError:
            self.close()
            return 0

    def close(self) -> None:
        if self.sink >= 0:
            os.close(self.sink)
            self.sink = -1
