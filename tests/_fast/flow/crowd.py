"""Many clients and a backend that serves them all, in threads, for what only shows under load."""

import selectors
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from tests._fast.flow.peers import Message, Peer, response


class Server:
    """A backend in one thread: answers every request at once, by default with its path, and counts.

    `answer` gets the start line of a request, and how many its connection has carried with it; it gives the
    bytes to send, or `CLOSE` to close the connection in place of an answer.
    """

    CLOSE = b"close"

    def __init__(self, answer: Callable[[bytes, int], bytes] | None = None, body: bytes = b"") -> None:
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listening.setblocking(False)
        self.answer = answer or (lambda start, carried: response(body or start.split(b" ")[1]))
        self.most_open = 0  # connections at a time
        self.accepted = 0
        self.seen: Counter[bytes] = Counter()  # requests by path
        self.unread: dict[socket.socket, bytearray] = {}
        self.carried: Counter[socket.socket] = Counter()  # requests by connection
        self.error: BaseException | None = None
        self.waker, self.woken = socket.socketpair()
        self.thread = threading.Thread(target=self._run)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.waker.close()
        self.thread.join()
        for each in [*self.unread, self.listening, self.woken]:
            each.close()
        if self.error and not value:
            raise self.error

    def between(self) -> None:
        """Called in its thread after every event."""

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as self.selector:
                self.selector.register(self.listening, selectors.EVENT_READ)
                self.selector.register(self.woken, selectors.EVENT_READ)
                while all(self._serve(key.fileobj) for key, _ in self.selector.select()):
                    pass
        except BaseException as error:
            self.error = error

    def _serve(self, readable: object) -> bool:
        if readable is self.woken:
            return False
        if readable is self.listening:
            self._accept()
        elif isinstance(readable, socket.socket) and readable in self.unread:
            self._read(readable)
        self.between()
        return True

    def _accept(self) -> None:
        try:
            connection, _ = self.listening.accept()
        except BlockingIOError:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.accepted += 1
        # Whoever has gone before this one came has sent its FIN before: only the others are open beside it
        beside = sum(not has_ended(other) for other in self.unread)
        self.most_open = max(self.most_open, beside + 1)
        self.unread[connection] = bytearray()
        self.selector.register(connection, selectors.EVENT_READ)

    def drop(self, connection: socket.socket) -> None:
        """Close it, with RST when something has come that was not read."""
        self.selector.unregister(connection)
        del self.unread[connection]
        del self.carried[connection]
        connection.close()

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.drop(connection)
            return
        unread = self.unread[connection]
        unread += data
        while (end := unread.find(b"\r\n\r\n")) >= 0:
            head = bytes(unread[:end])
            del unread[: end + 4]
            start = head.partition(b"\r\n")[0]
            self.seen[start.split(b" ")[1]] += 1
            self.carried[connection] += 1
            answer = self.answer(start, self.carried[connection])
            if answer == self.CLOSE:
                self.drop(connection)
                return
            connection.sendall(answer)


def has_ended(connection: socket.socket) -> bool:
    """Whether its FIN or RST is here, behind whatever has not been read."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


class Client(threading.Thread):
    """Sends its requests one after the other, each as soon as the one before is answered."""

    def __init__(self, connect: Callable[[], socket.socket], requests: Iterator[bytes], fresh: bool) -> None:
        super().__init__()
        self.connect = connect
        self.requests = requests
        self.fresh = fresh  # a connection for every request
        self.answers: list[Message] = []
        self.broken: list[Exception] = []  # connections that ended without an answer

    def run(self) -> None:
        peer = None
        for sent in self.requests:
            try:
                peer = peer or Peer(self.connect())
                peer.send(sent)
                got = peer.read_response()
            except (OSError, AssertionError) as error:
                self.broken.append(error)
                got = None
            if got is not None:
                self.answers.append(got)
            if peer and (got is None or self.fresh or got.one(b"connection") == b"close"):
                peer.close()
                peer = None
        if peer:
            peer.close()


@contextmanager
def crowd(
    connect: Callable[[], socket.socket],
    count: int,
    requests: Callable[[int], Iterator[bytes]],
    fresh: bool = False,
) -> Iterator[list[Client]]:
    """So many clients at once; `requests` gives those of each. All have finished when the block ends."""
    clients = [Client(connect, requests(index), fresh) for index in range(count)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.join()


@contextmanager
def lasting_crowd(
    connect: Callable[[], socket.socket],
    count: int,
    sent: Callable[[int], bytes],
    *,
    fresh: bool = False,
    pause: float = 0.0,
) -> Iterator[list[Client]]:
    """A crowd in which each asks the same until the block ends, `pause` seconds after each answer."""
    done = threading.Event()

    def requests(index: int) -> Iterator[bytes]:
        while not done.wait(pause):
            yield sent(index)

    with crowd(connect, count, requests, fresh) as clients:
        try:
            yield clients
        finally:
            done.set()


def check_all_answered(clients: Iterable[Client]) -> None:
    """Each has had answers, all of them good ones."""
    for client in clients:
        assert client.broken == []
        assert client.answers
        assert {answer.status for answer in client.answers} == {200}
