"""Event streams that are held open, by this process itself: it only reads what comes, once in a while."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from bench.process import Failed

PATIENCE = 10.0
"""Seconds that a stream has for its head."""
MARK = b"data:"
"""What every event has once."""


class Streams:
    """Connections on each of which a stream has begun."""

    def __init__(self, port: int, path: str, count: int) -> None:
        self.events = 0
        self.ended = 0
        self._open: list[socket.socket] = []
        try:
            for _ in range(count):
                self._open.append(_begin(port, path))
        except OSError as error:
            self.close()
            raise Failed(f"an event stream cannot be opened: {error}") from None

    def read(self) -> None:
        """Take what has come meanwhile, and count the events, and the streams that have ended."""
        for stream in list(self._open):
            try:
                while data := stream.recv(65536):
                    self.events += data.count(MARK)
            except BlockingIOError:
                continue
            except OSError:
                pass
            self.ended += 1
            self._open.remove(stream)
            stream.close()

    def close(self) -> None:
        for stream in self._open:
            stream.close()
        self._open.clear()


def _begin(port: int, path: str) -> socket.socket:
    stream = socket.create_connection(("127.0.0.1", port), PATIENCE)
    stream.sendall(f"GET {path} HTTP/1.1\r\nHost: bench.test\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        data = stream.recv(65536)
        if not data:
            stream.close()
            raise ConnectionResetError("closed before the head of the answer")
        head += data
    if not head.startswith(b"HTTP/1.1 200 "):
        stream.close()
        raise ConnectionRefusedError(head.partition(b"\r\n")[0].decode())
    stream.setblocking(False)
    return stream


@contextmanager
def streams(port: int, path: str, count: int) -> Iterator[Streams]:
    """So many streams, open while inside, but for those that the other side ends."""
    opened = Streams(port, path, count)
    try:
        yield opened
    finally:
        opened.close()
