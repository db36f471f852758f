"""Clients and backends that do whatever comes to their minds: no answer is wrong, nothing stays.

What each does with a request follows from the seed and the request's path, how often it has come, and from
nothing else; how it falls together does not. A failure names the path, and wants a test of its own elsewhere
once it is understood.
"""

import random
import select
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.peers import Ended, Message, Peer, request, response

ROUNDS = 60
CLIENTS = 8
PATIENCE = 30.0  # of a client for an answer: the sidecar's own limits are below it
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "retries": {"route": {"retries": {"on": ["reset", "5xx", "connect-failure"], "attempts": 2}}},
    "hedging": {
        "route": {"hedging": {"delay": "1ms"}, "retries": {"on": ["reset", "5xx"], "attempts": 1}},
        "cluster": {"circuit_breaker": {"max_retries": None}},
    },
    "tight": {
        "cluster": {
            "circuit_breaker": {"max_connections": 3, "max_pending_requests": 4, "max_requests": 6},
            "connection_pool": {"max_requests_per_connection": 5},
        },
        "route": {"timeouts": {"request": "500ms", "per_try": "200ms", "idle": "500ms"}},
    },
}
# How a backend treats a request, how it answers, and what a client is like
TREATMENTS = (*["answer"] * 15, "close", "reset", "cut", "cut and reset", "answer early")
ANSWERS = (*["length"] * 4, *["chunked"] * 3, "until close", "503", "garbage", "hints", "stray")
MANNERS = (*["patient"] * 6, "cut", "gone", "deaf", "garbage")


def body_of(path: bytes) -> bytes:
    """What belongs to a path, in a request and in its answer: up to 200 KB."""
    draw = random.Random(path)
    return path + draw.randbytes(draw.choice([0, 1, 100, 5000, 16384, 70000, 200000]))


def pieces(draw: random.Random, data: bytes) -> Iterator[bytes]:
    """The data in a few pieces."""
    while data:
        size = draw.choice([1, 10, 1000, 20000, len(data)])
        yield data[:size]
        data = data[size:]


def chunked(draw: random.Random, data: bytes) -> bytes:
    first = draw.randint(1, 30000)
    parts = [data[:first], *(data[at : at + 30000] for at in range(first, len(data), 30000))]
    lines = [b"%x%s\r\n%s\r\n" % (len(part), draw.choice([b"", b";x=y"]), part) for part in parts if part]
    return b"".join(lines) + b"0\r\n" + draw.choice([b"", b"X-Trailer: 1\r\n"]) + b"\r\n"


class Backend:
    """A listening socket with a thread for every connection. `wrong` gets what a sidecar must not do."""

    def __init__(self, seed: int, wrong: list[str]) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.seed = seed
        self.wrong = wrong
        self.seen: Counter[bytes] = Counter()  # requests whose head was read, by path
        self.peers: list[Peer] = []
        self.threads: list[threading.Thread] = []
        self.stopping = False
        self.thread = threading.Thread(target=self.run)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping = True
        with socket.create_connection(self.listening.getsockname()):
            self.thread.join()
        for peer in self.peers:
            with suppress(OSError):
                peer.connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        self.listening.close()

    def run(self) -> None:
        while True:
            connection, _ = self.listening.accept()
            if self.stopping:
                connection.close()
                return
            peer = Peer(connection)
            thread = threading.Thread(target=self.serve, args=(peer,))
            self.peers.append(peer)
            self.threads.append(thread)
            thread.start()

    def serve(self, peer: Peer) -> None:
        try:
            while self.treat(peer):
                pass
        except (OSError, Ended):
            pass  # the other side has gone, as clients do here
        except (AssertionError, ValueError) as error:
            self.wrong.append(f"the backend got {bytes(peer.received[:200])!r}: {error}")
        peer.close()

    def treat(self, peer: Peer) -> bool:
        """Whether another request may come on the connection."""
        head = peer.read_head()
        method, path, _ = head.start.split(b" ")
        self.seen[path] += 1
        if method == b"POST" and self.seen[path] > 1:
            self.wrong.append(f"{head.start!r} has come {self.seen[path]} times")
        draw = random.Random(f"{self.seed} {path!r} {self.seen[path]}")
        treatment = draw.choice(TREATMENTS)
        if treatment == "close":
            return False
        if treatment == "reset":
            peer.reset()
            return False
        if treatment != "answer early":
            self.read_body(peer, head, path)
        answer, goes_on = answer_of(path, method == b"HEAD", draw)
        if treatment.startswith("cut"):
            answer = answer[: draw.randint(0, len(answer))]
        for piece in pieces(draw, answer):
            peer.send(piece)
        if treatment == "cut and reset":
            peer.reset()
        return goes_on and treatment == "answer"

    def read_body(self, peer: Peer, head: Message, path: bytes) -> None:
        if head.one(b"expect"):
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.read_body(head, until_close=False)
        if head.start.startswith((b"PUT", b"POST")) and head.body != body_of(path):
            self.wrong.append(f"{head.start!r} has come with {len(head.body)} bytes that are not its own")


def answer_of(path: bytes, is_head: bool, draw: random.Random) -> tuple[bytes, bool]:
    """What a backend sends, and whether the connection goes on."""
    kind = draw.choice(ANSWERS)
    body = body_of(path)
    if is_head:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), True
    if kind == "chunked":
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(draw, body), True
    if kind == "until close":
        # No framing tells when it is cut: with the length beside it the client can know
        return b"HTTP/1.1 200 OK\r\nX-Length: %d\r\n\r\n" % len(body) + body, False
    if kind == "503":
        return response(b"busy", status=b"503 Service Unavailable"), True
    if kind == "garbage":
        return draw.randbytes(200), False
    if kind == "hints":
        return b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" * 5 + response(body), True
    return response(body) + (b"x" if kind == "stray" else b""), True


class Client(threading.Thread):
    """Its rounds, each on a connection of its own, with a few requests one behind the other."""

    def __init__(self, connect: Callable[[], socket.socket], name: str, wrong: list[str]) -> None:
        super().__init__()
        self.connect = connect
        self.label = name
        self.wrong = wrong

    def run(self) -> None:
        for number in range(ROUNDS):
            draw = random.Random(f"{self.label} {number}")
            paths = [f"/{self.label}/{number}/{index}" for index in range(draw.choice([1, 1, 2, 5]))]
            peer = Peer(self.connect())
            peer.connection.settimeout(PATIENCE)
            try:
                self.converse(peer, draw, paths)
            except TimeoutError:
                self.wrong.append(f"no answer within {PATIENCE:g} s to one of {paths}")
            except (OSError, Ended):
                pass  # the connection has ended; whatever had come until then was checked
            except (AssertionError, ValueError) as error:
                self.wrong.append(f"{paths}: {error}")
            peer.close()

    def converse(self, peer: Peer, draw: random.Random, paths: list[str]) -> None:
        methods = [draw.choice(["GET", "GET", "HEAD", "PUT", "POST", "DELETE"]) for _ in paths]
        whole = [whole_request(draw, method, path) for method, path in zip(methods, paths, strict=True)]
        data = b"".join(whole)
        manner = draw.choice(MANNERS)
        if manner == "cut":
            data = data[: draw.randint(0, len(data) - 1)]
        if manner == "garbage":
            data += draw.randbytes(50)
        writer = threading.Thread(target=write, args=(peer, draw, data, manner))
        writer.start()
        try:
            if manner == "deaf":
                select.select([peer.connection], [], [], PATIENCE)  # and leaves when an answer begins
                return
            for method, path in zip(methods, paths, strict=True):
                check(peer.read_response(method), method, path.encode(), self.wrong)
        finally:
            with suppress(OSError):
                peer.connection.shutdown(socket.SHUT_RDWR)
            writer.join()


def whole_request(draw: random.Random, method: str, path: str) -> bytes:
    if method not in ("PUT", "POST"):
        return request(method, path)
    fields = [b"Expect: 100-continue"] if draw.random() < 0.2 else []
    body = body_of(path.encode())
    if draw.random() < 0.5:
        return request(method, path, *fields, body=body)
    return request(method, path, b"Transfer-Encoding: chunked", *fields) + chunked(draw, body)


def write(peer: Peer, draw: random.Random, data: bytes, manner: str) -> None:
    with suppress(OSError):
        for piece in pieces(draw, data):
            peer.send(piece)
        if manner in ("cut", "gone"):
            peer.connection.shutdown(socket.SHUT_RDWR if manner == "gone" else socket.SHUT_WR)


def check(got: Message, method: str, path: bytes, wrong: list[str]) -> None:
    if got.status == 200 and method != "HEAD":
        body = body_of(path)
        announced = got.one(b"x-length")
        if announced and len(got.body) < int(announced):
            body = body[: len(got.body)]  # the backend had closed in order, in the middle of it
        if got.body != body:
            wrong.append(f"{method} {path!r}: {len(got.body)} bytes that are not those of its {len(body)}")
    elif got.status not in (200, 400, 502, 503, 504):
        wrong.append(f"{method} {path!r}: {got.start!r}")


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("seed", [1, 2])
def test_chaos(laboratory: Laboratory, settings: dict[str, Any], seed: int) -> None:
    wrong: list[str] = []
    with Backend(seed, wrong) as backend:
        lab = laboratory(endpoints=[backend.address], workers=2, **settings)
        clients = [Client(lab.sidecar.connect, f"{seed}.{number}", wrong) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert not wrong, "\n".join(wrong)
    assert len(backend.seen) > CLIENTS * ROUNDS // 2
    assert len(lab.sidecar.workers()) == 2
