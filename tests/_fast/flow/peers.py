"""Scripted peers: a test plays both ends of a connection through the proxy, line by line, in one thread.

Nothing here is a polite HTTP library: a peer sends the bytes that it is told to and keeps every byte that it
gets. Whatever waits has an end; a peer that hears nothing for `PATIENCE` seconds fails its test.
"""

import select
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

PATIENCE = 10.0
CRLF = b"\r\n"
Fields = list[tuple[bytes, bytes]]


@dataclass
class Message:
    """A message as it was on the wire, but for the white space around values."""

    start: bytes
    fields: Fields
    raw: bytes = b""  # the head, up to and with the empty line
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)  # size lines as they came, extensions too
    trailers: Fields = field(default_factory=list)
    informational: list["Message"] = field(default_factory=list)  # heads that came before this one

    @property
    def status(self) -> int:
        return int(self.start.split(b" ")[1])

    def all(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.fields if found.lower() == name.lower()]

    def one(self, name: bytes) -> bytes | None:
        """The value of a field that may be there at most once."""
        values = self.all(name)
        assert len(values) <= 1, f"{name!r} is there {len(values)} times: {self.raw!r}"
        return values[0] if values else None

    @property
    def names(self) -> list[bytes]:
        return [name for name, _ in self.fields]


def parse_fields(lines: Iterable[bytes]) -> Fields:
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        assert colon, f"no field: {line!r}"
        fields.append((name, value.strip(b" \t")))
    return fields


class Ended(AssertionError):
    """The other side has closed in an orderly way, in the middle of what was waited for."""


class Peer:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self.received = bytearray()  # all that ever came
        self.unread = bytearray()

    # -- sending ---------------------------------------------------------------------------------------------

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.sendall(piece)

    def half_close(self) -> None:
        self.connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.connection.close()

    def reset(self) -> None:
        """Close with RST in place of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    # -- receiving -------------------------------------------------------------------------------------------

    def fill(self) -> bool:
        """Wait for more bytes; False at the end. ConnectionResetError when it is no orderly one."""
        data = self.connection.recv(65536)
        self.received += data
        self.unread += data
        return bool(data)

    def need(self, enough: Callable[[], bool], what: str) -> None:
        while not enough():
            if not self.fill():
                raise Ended(f"the connection ended before {what}; unread: {bytes(self.unread[:400])!r}")

    def take(self, count: int) -> bytes:
        data = bytes(self.unread[:count])
        del self.unread[:count]
        return data

    def read(self, count: int) -> bytes:
        self.need(lambda: len(self.unread) >= count, f"{count} bytes")
        return self.take(count)

    def read_until(self, mark: bytes) -> bytes:
        """Up to and with the mark."""
        self.need(lambda: mark in self.unread, f"{mark!r}")
        return self.take(self.unread.index(mark) + len(mark))

    def read_line(self) -> bytes:
        return self.read_until(CRLF)[:-2]

    def read_rest(self) -> bytes:
        """All up to the orderly end of the connection."""
        while self.fill():
            pass
        return self.take(len(self.unread))

    def read_head(self) -> Message:
        raw = self.read_until(b"\r\n\r\n")
        start, *lines = raw[:-4].split(CRLF)
        return Message(start, parse_fields(lines), raw)

    def read_chunks(self, message: Message) -> None:
        """A chunked body and its trailers, into the message."""
        while True:
            line = self.read_line()
            message.chunks.append(line)
            size = int(line.partition(b";")[0], 16)
            if size == 0:
                break
            message.body += self.read(size)
            assert self.read(2) == CRLF
        lines = []
        while line := self.read_line():
            lines.append(line)
        message.trailers = parse_fields(lines)

    def read_body(self, message: Message, until_close: bool) -> None:
        """The body that the head announces (RFC 9112 section 6.3)."""
        coding = message.one(b"transfer-encoding")
        length = message.one(b"content-length")
        if coding is not None:
            assert coding.lower() == b"chunked", coding
            assert length is None, "a message with both framings"
            self.read_chunks(message)
        elif length is not None:
            message.body = self.read(int(length))
        elif until_close:
            message.body = self.read_rest()

    def read_request(self) -> Message:
        message = self.read_head()
        self.read_body(message, until_close=False)
        return message

    def read_response(self, method: str = "GET") -> Message:
        """The final response to a request of that method, those with 1xx in its `informational`."""
        informational = []
        while (message := self.read_head()).status < 200 and message.status != 101:
            informational.append(message)
        message.informational = informational
        if method != "HEAD" and message.status not in (101, 204, 304):
            self.read_body(message, until_close=True)
        return message

    # -- the end ---------------------------------------------------------------------------------------------

    def expect_end(self) -> None:
        """Nothing more comes but the orderly end."""
        rest = self.read_rest()
        assert not rest, f"more came before the end: {rest[:400]!r}"

    def expect_reset(self) -> bytes:
        """The connection is broken off with RST; what came before it."""
        try:
            rest = self.read_rest()
        except ConnectionResetError:
            return self.take(len(self.unread))
        raise AssertionError(f"the connection ended in an orderly way after {rest[:400]!r}")

    def expect_gone(self) -> bytes:
        """The connection ends, in whichever way; what came before."""
        try:
            return self.read_rest()
        except ConnectionResetError:
            return self.take(len(self.unread))

    def silent(self) -> bool:
        """Whether there is nothing to read at this moment, no end of the connection either."""
        return not self.unread and not select.select([self.connection], [], [], 0)[0]


class Backend:
    """A listening socket on loopback; the test accepts the connections and plays the server."""

    def __init__(self, backlog: int = 512) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.listening.settimeout(PATIENCE)
        self.accepted = 0

    @property
    def port(self) -> int:
        return int(self.listening.getsockname()[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def accept(self) -> Peer:
        connection, _ = self.listening.accept()
        self.accepted += 1
        return Peer(connection)

    def waiting(self) -> bool:
        """Whether somebody has connected and was not accepted yet."""
        return bool(select.select([self.listening], [], [], 0)[0])

    def close(self) -> None:
        self.listening.close()


class Unconnectable:
    """An address that refuses, or as a `blackhole` never answers: the queue of its listener is full."""

    def __init__(self, blackhole: bool) -> None:
        self.sockets = [socket.socket()]
        self.sockets[0].bind(("127.0.0.1", 0))
        if blackhole:
            self.fill_queue()

    @property
    def address(self) -> str:
        return "{}:{}".format(*self.sockets[0].getsockname())

    def fill_queue(self) -> None:
        """Whoever connects from now on is not let in."""
        self.sockets[0].listen(0)
        while True:
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(self.sockets[0].getsockname())
            self.sockets.append(client)
            if not select.select([], [client], [], 0.2)[1]:
                return  # this one is not let in any more, nor is who comes later

    def accept_late(self) -> Peer:
        """Make room in the queue, and take in who has knocked since: its next knock comes within a second."""
        listening, *own = self.sockets
        strangers = {client.getsockname() for client in own}
        if own:
            self.sockets.pop().close()
        listening.settimeout(PATIENCE)
        while True:
            connection, address = listening.accept()
            if address not in strangers:
                return Peer(connection)
            connection.close()

    def close(self) -> None:
        for each in self.sockets:
            each.close()


def response(body: bytes = b"", *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """A response with a length."""
    lines = [b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *fields]
    return CRLF.join(lines) + CRLF + CRLF + body


def request(method: str = "GET", path: str = "/", *fields: bytes, body: bytes | None = None) -> bytes:
    """A request to `proxy.test`, with a length when there is a body."""
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: proxy.test", *fields]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return CRLF.join(lines) + CRLF + CRLF + (body or b"")
