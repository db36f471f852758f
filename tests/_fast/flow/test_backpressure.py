"""Large bodies flow as fast as the slower side takes them, and what is on its way never grows with them."""

import hashlib
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Peer, request, response
from tests._fast.flow.sidecar import proportional_memory, until

SIZE = 10_000_000
BLOCK = os.urandom(100_000)
ROOM = 3_000_000  # bytes that a worker may grow by while bodies of 10 MB pass
FRAMINGS = {
    "length": (b"Content-Length: %d" % SIZE, lambda block: block, b""),
    "chunked": (
        b"Transfer-Encoding: chunked",
        lambda block: b"%x\r\n%s\r\n" % (len(block), block),
        b"0\r\n\r\n",
    ),
}
Wrap = Callable[[bytes], bytes]


@contextmanager
def in_background(work: Callable[[], None]) -> Iterator[None]:
    """What the work raises is raised at the end of the block."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if raised:
        raise raised[0]


def blocks() -> Iterator[bytes]:
    for number in range(SIZE // len(BLOCK)):
        yield number.to_bytes(8, "big") + BLOCK[8:]


def digest() -> str:
    found = hashlib.sha256()
    for block in blocks():
        found.update(block)
    return found.hexdigest()


def write_body(peer: Peer, wrap: Wrap, end: bytes, slowly: bool) -> None:
    for number, block in enumerate(blocks()):
        peer.send(wrap(block))
        if slowly and number % 10 == 0:
            time.sleep(0.005)  # a slow writer
    peer.send(end)


def read_body(peer: Peer, head_framing: bytes, slowly: bool) -> str:
    """The digest of a body, read without keeping it."""
    found = hashlib.sha256()
    chunked = head_framing.startswith(b"Transfer")
    left = 0 if chunked else SIZE
    pieces = 0
    while True:
        if chunked and not left:
            left = int(peer.read_line().partition(b";")[0], 16)
            if not left:
                assert peer.read_line() == b""
                return found.hexdigest()
        piece = peer.take(left) if peer.unread else b""
        if not piece:
            peer.received.clear()
            peer.need(lambda: bool(peer.unread), "more of the body")
            pieces += 1
            if slowly and pieces % 20 == 0:
                time.sleep(0.01)  # a slow reader
            continue
        found.update(piece)
        left -= len(piece)
        if not left:
            if chunked:
                assert peer.read(2) == b"\r\n"
            else:
                return found.hexdigest()


PACES = pytest.mark.parametrize("slow", ["nobody", "writer", "reader"])
ALL = pytest.mark.parametrize(("framing", "wrap", "end"), FRAMINGS.values(), ids=FRAMINGS)


@ALL
@PACES
def test_a_large_answer(lab: Lab, framing: bytes, wrap: Wrap, end: bytes, slow: str) -> None:
    client = lab.client()
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    before = proportional_memory(lab.sidecar.workers()[0])
    upstream.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
    client.read_head()
    with in_background(lambda: write_body(upstream, wrap, end, slow == "writer")):
        assert read_body(client, framing, slow == "reader") == digest()
    assert proportional_memory(lab.sidecar.workers()[0]) < before + ROOM
    client.send(request())
    upstream.read_request()
    upstream.send(response(b"next"))
    assert client.read_response().body == b"next"


@ALL
@PACES
def test_a_large_request(lab: Lab, framing: bytes, wrap: Wrap, end: bytes, slow: str) -> None:
    client = lab.client()
    client.send(request("PUT", "/", framing))
    upstream = lab.accept()
    upstream.read_head()
    before = proportional_memory(lab.sidecar.workers()[0])
    with in_background(lambda: write_body(client, wrap, end, slow == "writer")):
        assert read_body(upstream, framing, slow == "reader") == digest()
    assert proportional_memory(lab.sidecar.workers()[0]) < before + ROOM
    upstream.send(response(b"ok"))
    assert client.read_response().body == b"ok"


def test_an_echo_of_a_large_body(lab: Lab) -> None:
    """Both ways at once, all in chunks: neither waits for the other to end."""
    framing, wrap, end = FRAMINGS["chunked"]
    client = lab.client()
    client.send(request("POST", "/", framing))
    upstream = lab.accept()
    upstream.read_head()
    upstream.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")

    def echo() -> None:
        upstream.connection.settimeout(10)
        while not upstream.received.endswith(b"\r\n0\r\n\r\n"):
            upstream.fill()
            upstream.send(upstream.take(len(upstream.unread)))
            del upstream.received[:-100]

    with in_background(echo), in_background(lambda: write_body(client, wrap, end, False)):
        client.read_head()
        assert read_body(client, framing, False) == digest()


@pytest.mark.parametrize("direction", ["down", "up"])
def test_nobody_reads(lab: Lab, direction: str) -> None:
    """The writer is stopped after what sockets hold, and goes on when the reader does."""
    client = lab.client()
    client.send(request("PUT", "/", b"Content-Length: 100000000"))
    upstream = lab.accept()
    upstream.read_head()
    writer, reader = (upstream, client) if direction == "down" else (client, upstream)
    if direction == "down":
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        client.read_head()
    before = proportional_memory(lab.sidecar.workers()[0])
    sent = write_until_blocked(writer)
    assert sent < 60_000_000
    assert proportional_memory(lab.sidecar.workers()[0]) < before + ROOM
    while len(reader.received) < sent:
        reader.fill()
    assert write_until_blocked(writer) > 0


def write_until_blocked(writer: Peer) -> int:
    writer.connection.setblocking(False)
    sent = 0
    while select.select([], [writer.connection], [], 0.3)[1]:
        sent += writer.connection.send(BLOCK)
    writer.connection.settimeout(10)
    return sent


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_fast_body_leaves_time_for_others(lab: Lab, direction: str) -> None:
    """While one connection could keep the only worker busy for ever, others are served."""
    client = lab.client()
    other = lab.client()
    other.send(request())
    quick = lab.accept()
    quick.read_request()
    client.send(request("PUT", "/", b"Content-Length: 100000000000"))
    upstream = lab.accept()
    upstream.read_head()
    writer, reader = (upstream, client) if direction == "down" else (client, upstream)
    if direction == "down":
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
    done = threading.Event()

    def write() -> None:
        try:
            while not done.is_set():
                writer.send(BLOCK)
        except OSError:
            pass

    def read() -> None:
        into = bytearray(1 << 20)
        try:
            while not done.is_set() and reader.connection.recv_into(into):
                pass
        except OSError:
            pass

    with in_background(write), in_background(read):
        try:
            for _ in range(20):
                quick.send(response(b"quick"))
                assert other.read_response().body == b"quick"
                other.send(request())
                quick.read_request()
        finally:
            done.set()
            reader.connection.shutdown(2)


def test_memory_comes_back(lab: Lab) -> None:
    """200 connections with 64 KB each on their way, and then none: nothing stays behind but free lists."""
    worker = lab.sidecar.workers()[0]
    for _ in range(3):
        clients = [lab.client() for _ in range(100)]
        for client in clients:
            client.send(request())
        for upstream in [lab.accept() for _ in clients]:
            upstream.read_request()
            upstream.send(response(b"x" * 65536))
        for client in clients:
            assert len(client.read_response().body) == 65536
        lab.tidy()
        now = proportional_memory(worker)
    assert now < 40_000_000
    until(lambda: lab.sidecar.total("downstream_active") == 0, "all are closed")
