"""The logger: a thread that takes lines from the workers' rings to a file. Workers never wait for it.

A sink that is slow, full or gone costs lines, never traffic: they stay in the rings, and when those are full
the workers drop what comes and count it.
"""

import os
import select
from contextlib import suppress
from typing import TYPE_CHECKING

from tulle._fast.base import log_reader
from tulle._fast.base.stats import Stats
from tulle.proxy.messages import say, warn
from tulle.proxy.sink import open_sink

if TYPE_CHECKING:
    import threading

GATHER = 0.005  # seconds to let lines gather, so that a write takes many
RETRY = 1.0  # seconds until a sink that failed is tried again
LAST_LINES = 1.0  # seconds that the last lines may take when the proxy leaves


class Logger:
    """Writes to one path at a time. `signal` is the eventfd that workers write to while the logger sleeps."""

    def __init__(self, stats: Stats, signal: int) -> None:
        self.stats = stats
        self.signal = signal
        self.path: str | None = None
        self.sink = -1
        self.failing = ""
        self.reopening = False
        self.stopping = False
        self.thread: threading.Thread | None = None

    def use(self, path: str | None) -> None:
        """Write to this file from now on, or to none."""
        if path == self.path:
            return
        self.path = path
        self.reopen()
        if path is not None and self.thread is None:
            self.start()

    def reopen(self) -> None:
        """Close the file and open its path anew, as after a rotation."""
        self.reopening = True
        self._wake()

    def start(self) -> None:
        """Begin to write, or go on after `stop`."""
        self.stopping = False
        import threading  # only a proxy that logs needs it

        self.thread = threading.Thread(target=self._run, name="tulle-logger", daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Write the last lines, for a moment at most."""
        self.stopping = True
        self._wake()
        if self.thread is not None:
            self.thread.join(LAST_LINES)
            self.thread = None

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_write(self.signal, 1)

    # -- the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self.signal, select.POLLIN)
        while True:
            if self.reopening:
                self._close()
            last = self.stopping
            written = self._write()
            if last and not written:
                self._close()
                return
            if written:
                poll.poll(0 if last else GATHER * 1000)  # a signal of ours ends it early
            else:
                self._sleep(poll)

    def _sleep(self, poll: select.poll) -> None:
        """Until a worker has appended, or the sink is due to be tried again."""
        if self.failing or self.path is None:
            poll.poll(RETRY * 1000 if self.path else None)
        else:
            log_reader.set_waiting(self.stats, True)
            if not log_reader.waiting(self.stats):
                poll.poll()
            log_reader.set_waiting(self.stats, False)
        with suppress(BlockingIOError):
            os.eventfd_read(self.signal)

    def _write(self) -> int:
        """One round: the bytes that the sink has taken."""
        if self.path is None:
            return 0
        try:
            if self.sink < 0:
                self.sink = open_sink(self.path)
            written = log_reader.drain(self.stats, self.sink)
        except BlockingIOError:
            writable = select.poll()
            writable.register(self.sink, select.POLLOUT)
            writable.poll(RETRY * 1000)
            return 0
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            if reason != self.failing:
                warn(
                    f"access log {self.path}: {reason}; lines are dropped and counted until it can be written"
                )
            self.failing = reason
            self._close()
            return 0
        if self.failing and written:
            say(f"access log {self.path}: written again")
            self.failing = ""
        return written

    def _close(self) -> None:
        self.reopening = False
        if self.sink >= 0:
            os.close(self.sink)
            self.sink = -1
