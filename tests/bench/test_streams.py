"""Event streams that the bench holds open: what comes is counted, and who ends them is noticed."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.load.streams import streams
from bench.process import Failed

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


@contextmanager
def server(head: bytes) -> Iterator[tuple[int, list[socket.socket]]]:
    """A port, and the connections there: each is sent this head."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection = listening.accept()[0]
                except OSError:
                    return
                connections.append(connection)
                connection.recv(4096)
                connection.sendall(head)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listening.getsockname()[1], connections
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for connection in connections:
                connection.close()


def test_events_and_ends_are_counted() -> None:
    with server(HEAD) as (port, connections), streams(port, "/events", 3) as held:
        assert len(connections) == 3
        held.read()
        assert (held.events, held.ended) == (0, 0)
        for connection in connections:
            connection.sendall(b"data: one\n\ndata: two\n\n")
        connections[0].close()
        while held.events < 6:
            held.read()
        while not held.ended:
            held.read()
        assert (held.events, held.ended) == (6, 1)


def test_a_stream_that_does_not_begin_is_told() -> None:
    with (
        server(b"HTTP/1.1 503 Service Unavailable\r\n\r\n") as (port, _),
        pytest.raises(Failed, match="503 Service Unavailable"),
        streams(port, "/events", 1),
    ):
        pass
