"""Connections for coroutines: read, write, close, and a server that takes them. See `loop`."""

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tulle.proxy.loop import Cancelled, Future, Task, current, spawn
from tulle.proxy.waiting import Timeout

LINGER = 2.0  # seconds
ACCEPT_PAUSE = 0.5  # seconds, when there are no descriptors left


class Stream:
    """One connection. Owns the socket, which becomes non-blocking."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection

    async def read(self, most: int) -> bytes:
        """What has come, at most so many bytes; nothing at the end. OSError when the connection breaks."""
        while True:
            try:
                return self.connection.recv(most)
            except BlockingIOError:
                await readable(self.connection.fileno())

    async def write(self, data: bytes) -> None:
        """All of it. OSError when the connection breaks."""
        left = memoryview(data)
        while left:
            try:
                left = left[self.connection.send(left) :]
            except BlockingIOError:
                await writable(self.connection.fileno())

    async def linger(self, most: int) -> None:
        """Say that no more comes, and read for a while what the peer still sends, at most so many bytes.

        Else a close with bytes unread is a reset, which may take the last answer away (RFC 9112 section 9.6).
        """
        self.connection.shutdown(socket.SHUT_WR)
        with suppress(TimeoutError):
            async with Timeout(LINGER):
                while most > 0 and (data := await self.read(most)):
                    most -= len(data)

    def close(self) -> None:
        self.connection.close()


class Server:
    """Takes connections from a listening socket, which it owns, and has each served by a task of its own."""

    def __init__(
        self, listening: socket.socket, serve: Callable[[Stream], Awaitable[None]], most: int
    ) -> None:
        """`most` connections at a time: what comes above that is closed at once."""
        listening.setblocking(False)
        self.listening = listening
        self.serve = serve
        self.most = most
        self.tasks: set[Task[None]] = set()
        current().add_reader(listening.fileno(), self._accept)

    def close(self) -> None:
        """Take no more, and end those that there are."""
        if self.listening.fileno() >= 0:
            current().remove_reader(self.listening.fileno())
            self.listening.close()
        for task in self.tasks:
            task.cancel()

    def _accept(self) -> None:
        try:
            connection, _ = self.listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            current().remove_reader(self.listening.fileno())
            current().call_later(ACCEPT_PAUSE, self._accept_again)
            return
        if len(self.tasks) >= self.most:
            connection.close()
            return
        task = spawn(self._connected(Stream(connection)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _accept_again(self) -> None:
        if self.listening.fileno() >= 0:
            current().add_reader(self.listening.fileno(), self._accept)

    async def _connected(self, stream: Stream) -> None:
        """The peer may go or be slow, and we may leave: all that ends the connection and nothing else."""
        try:
            with suppress(OSError, TimeoutError, Cancelled):
                await self.serve(stream)
        finally:
            stream.close()


async def readable(descriptor: int) -> None:
    """Wait until there is something to read, or the end."""
    event: Future[None] = Future()
    current().add_reader(descriptor, event.set_result, None)
    try:
        await event
    finally:
        current().remove_reader(descriptor)


async def writable(descriptor: int) -> None:
    """Wait until there is room to write."""
    event: Future[None] = Future()
    current().add_writer(descriptor, event.set_result, None)
    try:
        await event
    finally:
        current().remove_writer(descriptor)
