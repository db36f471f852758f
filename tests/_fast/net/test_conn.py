"""Connections over socket pairs: what is read and when, what is queued and when it goes, and both ends."""

import errno
import random
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests._fast.base.memory import BUF_LARGE, BUF_SMALL
from tests._fast.net.wires import Wires

SMALL, LARGE = BUF_SMALL - 24, BUF_LARGE - 24  # what fits into a buffer
MINUTE = 60_000_000_000


@dataclass
class Pipe:
    """A connection, number 0 of `wires`, and the socket at its other end."""

    wires: Wires
    ours: socket.socket  # closed with the connection
    peer: socket.socket
    calls: list[str] = field(default_factory=list)

    def turn(self) -> list[str]:
        """What the owner of the connection was called for."""
        return [str(call[1]) for call in self.wires.turn() if call[0] == 0]

    def put(self, data: bytes) -> None:
        assert self.peer.send(data) == len(data), "the socket buffer is too small for the test"

    def got(self) -> bytes:
        """What is there for the peer to read now."""
        found = b""
        while True:
            try:
                piece = self.peer.recv(1 << 16)
            except BlockingIOError:
                return found
            if not piece:
                return found
            found += piece

    def reset(self) -> None:
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peer.close()


def connected(ours: socket.socket, peer: socket.socket, send_buffer: int = 0) -> Pipe:
    for each in (ours, peer):
        each.setblocking(False)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    if send_buffer:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, send_buffer)
    wires = Wires()
    wires.add(ours.detach())
    return Pipe(wires, ours, peer)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        return ours, listening.accept()[0]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = connected(*socket.socketpair())
    yield made
    made.peer.close()


@pytest.fixture
def narrow() -> Iterator[Pipe]:
    """With little room in the sockets."""
    made = connected(*socket.socketpair(), send_buffer=4096)
    yield made
    made.peer.close()


@pytest.fixture
def tcp() -> Iterator[Pipe]:
    made = connected(*tcp_pair())
    yield made
    made.peer.close()


def noise(length: int) -> bytes:
    return random.Random(length).randbytes(length)


# -- input ------------------------------------------------------------------------------------------------


def test_a_short_read_is_the_end_of_what_there_is(pipe: Pipe) -> None:
    assert pipe.turn() == []
    assert pipe.wires.buffers == (0, 0)
    pipe.put(b"hello")
    assert pipe.turn() == ["input"]
    assert pipe.wires.state(0) == {"readable"}
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.state(0) == set()
    assert pipe.wires.data(0) == b"hello"
    assert pipe.turn() == []
    pipe.put(b" again")
    assert pipe.turn() == ["input"]
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.data(0) == b"hello again"
    assert pipe.wires.bytes == (11, 0)


def test_an_idle_connection_holds_no_buffer(pipe: Pipe) -> None:
    pipe.put(b"hello")
    pipe.turn()
    pipe.wires.fill(0)
    pipe.wires.take(0, 2)
    pipe.wires.release(0)
    assert pipe.wires.buffers == (1, 0)
    pipe.wires.take(0, 3)
    pipe.wires.release(0)
    assert pipe.wires.buffers == (0, 0)
    assert pipe.wires.fill(0) == "done"
    assert pipe.wires.buffers == (0, 0)


def test_a_peer_that_fills_its_buffer_gets_large_ones_until_it_does_so_no_longer(pipe: Pipe) -> None:
    sent = noise(SMALL + LARGE + 100)
    pipe.put(sent)
    pipe.turn()
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.capacity(0) == SMALL
    assert pipe.wires.state(0) == {"readable", "bulk"}
    got = pipe.wires.take(0, SMALL)
    pipe.wires.release(0)
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.capacity(0) == LARGE
    assert pipe.wires.state(0) == {"readable", "bulk"}
    got += pipe.wires.take(0, LARGE)
    pipe.wires.release(0)
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.state(0) == set()
    got += pipe.wires.take(0, 100)
    assert got == sent
    pipe.wires.release(0)
    pipe.put(b"x")
    pipe.turn()
    pipe.wires.fill(0)
    assert pipe.wires.capacity(0) == SMALL


def test_a_full_buffer_takes_no_more_until_it_grows_and_then_no_more(pipe: Pipe) -> None:
    sent = noise(2 * LARGE)
    pipe.put(sent)
    pipe.turn()
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.fill(0) == "full"
    assert pipe.wires.grow(0) == "done"
    assert pipe.wires.buffers == (0, 1)
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.data(0) == sent[:LARGE]
    assert pipe.wires.fill(0) == "full"
    assert pipe.wires.grow(0) == "full"
    assert "readable" in pipe.wires.state(0)
    pipe.wires.take(0, 1000)
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.data(0) == sent[1000 : LARGE + 1000]


def test_an_emptied_buffer_is_filled_from_its_start(pipe: Pipe) -> None:
    for _ in range(5):
        pipe.put(noise(SMALL - 1))
        pipe.turn()
        assert pipe.wires.fill(0) == "data"
        assert pipe.wires.take(0, SMALL - 1) == noise(SMALL - 1)
    assert pipe.wires.buffers == (1, 0)


def test_nothing_moves_in_a_pinned_buffer(pipe: Pipe) -> None:
    pipe.put(b"head")
    pipe.turn()
    pipe.wires.fill(0)
    pin = pipe.wires.pin(0)
    pipe.wires.take(0, 4)
    pipe.put(b"body")
    pipe.turn()
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.data(0) == b"body"
    assert pipe.wires.pinned(pin, 8) == b"headbody"
    assert pipe.wires.buffers == (1, 0)
    pipe.wires.take(0, 4)
    pipe.wires.release(0)
    assert pipe.wires.buffers == (1, 0)
    pipe.put(b"more")
    pipe.turn()
    pipe.wires.fill(0)
    assert pipe.wires.data(0) == b"more"
    assert pipe.wires.pinned(pin, 8) == b"headbody"
    assert pipe.wires.buffers == (2, 0)
    pipe.wires.unpin(pin)
    assert pipe.wires.buffers == (1, 0)


@pytest.mark.parametrize("taken", [0, 1, SMALL // 2 + 1, SMALL - 1, SMALL])
def test_the_unread_bytes_leave_a_full_pinned_buffer(pipe: Pipe, taken: int) -> None:
    sent = noise(SMALL + 50)
    pipe.put(sent)
    pipe.turn()
    pipe.wires.fill(0)
    pin = pipe.wires.pin(0)
    pipe.wires.take(0, taken)
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.data(0) == sent[taken:]
    assert pipe.wires.pinned(pin, SMALL) == sent[:SMALL]
    pipe.wires.unpin(pin)
    assert sum(pipe.wires.buffers) == 1


@pytest.mark.parametrize("taken", [60, SMALL, LARGE - 100])
def test_a_full_pinned_buffer_of_the_largest_size_is_no_end_of_input(pipe: Pipe, taken: int) -> None:
    sent = noise(LARGE + 50)
    pipe.put(sent)
    pipe.turn()
    pipe.wires.fill(0)
    pipe.wires.grow(0)
    pipe.wires.fill(0)
    pin = pipe.wires.pin(0)
    assert pipe.wires.fill(0) == "full"
    pipe.wires.take(0, taken)
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.data(0) == sent[taken:]
    assert pipe.wires.state(0) <= {"bulk"}
    assert pipe.wires.pinned(pin, LARGE) == sent[:LARGE]
    pipe.wires.unpin(pin)


def test_without_a_buffer_the_bytes_stay_where_they_are(pipe: Pipe) -> None:
    pipe.wires.limit_buffers(1, 1)
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    other = pipe.wires.add(ours.detach())
    peer.send(b"first")
    pipe.put(b"second")
    pipe.wires.turn()
    assert pipe.wires.fill(other) == "data"
    assert pipe.wires.fill(0) == "no memory"
    assert pipe.wires.state(0) == {"readable"}
    pipe.wires.close(other)
    peer.close()
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.data(0) == b"second"


# -- the end of input -------------------------------------------------------------------------------------


def test_the_end_is_read_after_all_that_came_before(pipe: Pipe) -> None:
    pipe.put(b"last words")
    pipe.peer.close()
    assert pipe.turn() == ["input"]
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.state(0) == {"readable", "hung up"}
    assert pipe.wires.fill(0) == "end"
    assert pipe.wires.state(0) == {"hung up", "eof"}
    assert pipe.wires.data(0) == b"last words"
    assert pipe.wires.fill(0) == "end"
    pipe.wires.take(0, 10)
    pipe.wires.release(0)
    assert pipe.wires.buffers == (0, 0)


def test_a_peer_that_has_said_all_still_listens(tcp: Pipe) -> None:
    tcp.put(b"question")
    tcp.peer.shutdown(socket.SHUT_WR)
    while "hung up" not in tcp.wires.state(0):
        tcp.turn()
    assert [tcp.wires.fill(0), tcp.wires.fill(0)] == ["data", "end"]
    assert tcp.wires.send(0, [b"answer"]) == "done"
    assert tcp.peer.recv(100) == b"answer"


def test_a_reset_is_an_error_after_all_that_came_before(tcp: Pipe) -> None:
    tcp.put(b"last words")
    tcp.reset()
    while "hung up" not in tcp.wires.state(0):
        tcp.turn()
    assert tcp.wires.fill(0) == "data"
    assert tcp.wires.fill(0) == "error"
    assert tcp.wires.error(0) == errno.ECONNRESET
    assert {"broken", "eof"} <= tcp.wires.state(0)
    assert tcp.wires.data(0) == b"last words"


def hear_the_end(tcp: Pipe) -> str:
    """Read all that has come and the end behind it: how that is told."""
    while "hung up" not in tcp.wires.state(0):
        tcp.turn()
    while (told := tcp.wires.fill(0)) == "data":
        pass
    return told


def test_a_peer_that_closes_having_read_all_has_not_reset(tcp: Pipe) -> None:
    tcp.wires.send(0, [b"question"])
    assert tcp.peer.recv(100) == b"question"
    tcp.peer.close()
    assert hear_the_end(tcp) == "end"
    assert not tcp.wires.was_reset(0)


def test_a_peer_that_closes_with_bytes_unread_has(tcp: Pipe) -> None:
    tcp.wires.send(0, [b"question"])
    while tcp.peer.recv(100, socket.MSG_PEEK) != b"question":
        pass
    tcp.peer.close()
    assert hear_the_end(tcp) == "error"
    assert tcp.wires.was_reset(0)


def test_a_reset_behind_the_end_is_kept_by_the_socket(tcp: Pipe) -> None:
    """Reading tells of an orderly end alone."""
    tcp.peer.close()
    tcp.wires.send(0, [b"question"])
    assert hear_the_end(tcp) == "end"
    assert tcp.wires.was_reset(0)


def test_a_write_that_finds_the_peer_gone_tells_of_a_reset(tcp: Pipe) -> None:
    tcp.peer.close()
    tcp.wires.send(0, [b"question"])
    assert tcp.wires.send(0, [b"question"]) == "error"
    assert hear_the_end(tcp) == "end"
    assert tcp.wires.was_reset(0)


def test_a_queue_that_finds_no_buffer_is_no_reset(narrow: Pipe) -> None:
    narrow.wires.limit_buffers(1, 1)
    assert narrow.wires.send(0, [noise(1_000_000)]) == "error"
    assert not narrow.wires.was_reset(0)


def test_the_end_is_seen_before_it_is_read(pipe: Pipe) -> None:
    assert not pipe.wires.at_end(0)
    pipe.put(b"last words")
    pipe.peer.close()
    assert not pipe.wires.at_end(0)
    pipe.turn()
    pipe.wires.fill(0)
    assert pipe.wires.at_end(0)
    assert pipe.wires.fill(0) == "end"


# -- pausing ----------------------------------------------------------------------------------------------


def test_a_paused_owner_is_called_when_it_resumes(pipe: Pipe) -> None:
    pipe.wires.pause(0)
    pipe.put(b"hello")
    assert pipe.turn() == []
    pipe.wires.resume(0)
    assert pipe.turn() == ["input"]
    assert pipe.turn() == []
    assert pipe.wires.fill(0) == "data"


def test_resuming_brings_back_what_was_left_in_the_buffer(pipe: Pipe) -> None:
    pipe.put(b"hello")
    pipe.turn()
    pipe.wires.fill(0)
    pipe.wires.pause(0)
    assert pipe.turn() == []
    pipe.wires.resume(0)
    pipe.wires.resume(0)
    assert pipe.turn() == ["input"]


def test_resuming_an_idle_connection_calls_nobody(pipe: Pipe) -> None:
    pipe.wires.pause(0)
    pipe.wires.resume(0)
    assert pipe.turn() == []


def test_pausing_again_before_the_turn_keeps_the_owner_from_being_called(pipe: Pipe) -> None:
    pipe.put(b"hello")
    pipe.wires.pause(0)
    pipe.turn()
    pipe.wires.resume(0)
    pipe.wires.pause(0)
    assert pipe.turn() == []
    pipe.wires.resume(0)
    assert pipe.turn() == ["input"]


def test_a_paused_owner_hears_of_the_end_when_it_resumes(pipe: Pipe) -> None:
    pipe.wires.pause(0)
    pipe.peer.close()
    assert pipe.turn() == []
    assert "hung up" in pipe.wires.state(0)
    pipe.wires.resume(0)
    assert pipe.turn() == ["input"]
    assert pipe.wires.fill(0) == "end"


# -- output -----------------------------------------------------------------------------------------------


def test_what_the_socket_takes_is_sent_at_once(pipe: Pipe) -> None:
    assert pipe.wires.send(0, [b"one"]) == "done"
    assert pipe.wires.send(0, [b"", b"two", b"", b"three"]) == "done"
    assert pipe.wires.send(0, []) == "done"
    assert pipe.wires.send(0, [b""]) == "done"
    assert pipe.got() == b"onetwothree"
    assert pipe.wires.bytes == (0, 11)
    assert pipe.wires.state(0) == set()
    assert pipe.turn() == []


def test_what_it_does_not_take_is_queued_and_goes_when_it_can(narrow: Pipe) -> None:
    pieces = [noise(100), noise(70_000), b"", noise(200_000)]
    assert narrow.wires.send(0, pieces) == "blocked"
    queued = narrow.wires.queued(0)
    assert queued == 270_100 - narrow.wires.bytes[1] > 200_000
    assert narrow.wires.send(0, []) == "blocked"
    assert narrow.wires.send(0, [b"the", b" end"]) == "blocked"
    assert narrow.wires.queued(0) == queued + 7
    got, calls = b"", list[str]()
    while not calls:
        got += narrow.got()
        calls = narrow.turn()
    assert calls == ["drained"]
    got += narrow.got()
    assert got == b"".join(pieces) + b"the end"
    assert narrow.wires.queued(0) == 0
    assert narrow.wires.bytes[1] == len(got)
    assert narrow.wires.buffers == (0, 0)
    assert narrow.wires.send(0, [b"more"]) == "done"
    assert narrow.got() == b"more"
    assert "drained" not in narrow.turn()


@pytest.mark.parametrize("seed", range(20))
def test_bytes_keep_their_order_whatever_the_sockets_take(narrow: Pipe, seed: int) -> None:
    """The owner sends in pieces of all sizes until it is blocked, and again when the queue is empty."""
    draw = random.Random(seed)
    sent, got, blocked = bytearray(), bytearray(), False
    while len(sent) < 600_000 or blocked:
        if not blocked and len(sent) < 600_000:
            pieces = [
                draw.randbytes(draw.choice((0, 1, 100, 5000, 40_000))) for _ in range(draw.randint(1, 8))
            ]
            result = narrow.wires.send(0, pieces)
            sent += b"".join(pieces)
            assert result == ("blocked" if narrow.wires.queued(0) else "done")
            blocked = result == "blocked"
        if draw.random() < 0.5:
            got += narrow.got()
        drained = "drained" in narrow.turn()
        assert drained == (blocked and not narrow.wires.queued(0))
        blocked = blocked and not drained
    got += narrow.got()
    assert got == sent
    assert narrow.wires.buffers == (0, 0)


def test_writing_to_a_peer_that_has_gone(pipe: Pipe) -> None:
    """No signal, and what the peer had said can still be read."""
    pipe.put(b"last words")
    pipe.peer.close()
    assert pipe.wires.send(0, [b"hello"]) == "error"
    assert pipe.wires.error(0) == errno.EPIPE
    assert pipe.wires.state(0) == {"broken"}
    assert pipe.wires.send(0, [b"hello"]) == "error"
    assert pipe.turn() == ["input"]
    assert pipe.wires.fill(0) == "data"
    assert pipe.wires.data(0) == b"last words"


def test_a_queue_whose_peer_goes_is_dropped_and_the_owner_told(narrow: Pipe) -> None:
    assert narrow.wires.send(0, [noise(300_000)]) == "blocked"
    narrow.peer.close()
    assert narrow.turn()[0] == "drained"
    assert "broken" in narrow.wires.state(0)
    assert narrow.wires.queued(0) == 0
    assert narrow.wires.buffers == (0, 0)
    assert narrow.wires.send(0, [b"more"]) == "error"


def test_a_queue_that_finds_no_buffer_breaks_the_connection(narrow: Pipe) -> None:
    narrow.wires.limit_buffers(1, 1)
    assert narrow.wires.send(0, [noise(1_000_000)]) == "error"
    assert narrow.wires.error(0) == errno.ENOMEM
    assert "broken" in narrow.wires.state(0)
    assert narrow.wires.buffers == (0, 0)


def test_drained_is_told_to_who_writes_past_the_queue(narrow: Pipe) -> None:
    narrow.wires.want_drained(0)
    assert narrow.turn() == ["drained"]
    assert narrow.turn() == []


# -- the end of output ------------------------------------------------------------------------------------


def test_shutting_down_ends_what_the_peer_reads(pipe: Pipe) -> None:
    pipe.wires.send(0, [b"bye"])
    pipe.wires.shutdown(0)
    pipe.wires.shutdown(0)
    assert pipe.peer.recv(100) == b"bye"
    assert pipe.peer.recv(100) == b""
    pipe.put(b"late answer")
    assert pipe.turn() == ["input"]
    assert pipe.wires.fill(0) == "data"


def test_shutting_down_waits_for_the_queue(narrow: Pipe) -> None:
    sent = noise(300_000)
    assert narrow.wires.send(0, [sent]) == "blocked"
    narrow.wires.shutdown(0)
    got, piece = b"", b"?"
    while piece:
        try:
            piece = narrow.peer.recv(1 << 16)
            got += piece
        except BlockingIOError:
            narrow.turn()
    assert got == sent


def test_closing_buries_at_the_end_of_the_turn_and_gives_all_back(narrow: Pipe) -> None:
    narrow.put(b"unread")
    narrow.turn()
    narrow.wires.fill(0)
    assert narrow.wires.send(0, [noise(300_000)]) == "blocked"
    narrow.wires.set_timer(0, 0)
    narrow.wires.close(0)
    narrow.wires.close(0)
    narrow.wires.resume(0)
    assert narrow.wires.buffers == (0, 0)
    assert narrow.turn() == ["buried"]
    assert narrow.turn() == []


def test_closing_is_orderly_or_a_reset(tcp: Pipe) -> None:
    tcp.wires.close(0)
    assert tcp.peer.recv(100) == b""
    ours, peer = tcp_pair()
    tcp.wires.close(tcp.wires.add(ours.detach()), reset=True)
    with pytest.raises(ConnectionResetError):
        peer.recv(100)
    peer.close()


def test_an_owner_that_closes_when_called_is_not_called_again(narrow: Pipe) -> None:
    """Room and input come in one event: it closes when told of the first."""
    assert narrow.wires.send(0, [noise(10_000)]) == "blocked"
    narrow.got()
    narrow.put(b"hello")
    narrow.wires.close_when_called(0)
    assert narrow.turn() == ["drained", "buried"]


def test_a_timer_calls_the_owner(pipe: Pipe) -> None:
    pipe.wires.set_timer(0, 1_000_000)
    called: list[str] = []
    while not called:
        called = [str(call[1]) for call in pipe.wires.turn(MINUTE)]
    assert called == ["timeout"]


# -- connecting -------------------------------------------------------------------------------------------


@dataclass
class Dialled:
    """A connection that is being made, number 0 of `wires`."""

    wires: Wires
    listening: socket.socket

    def called(self) -> list[tuple[str, int]]:
        """The first that the owner is called for, with the errno of a connect."""
        while True:
            calls = self.wires.turn(MINUTE)
            if calls:
                return [(str(call[1]), int(call[2]) if len(call) == 3 else 0) for call in calls]


def dial(address: tuple[str, int], listening: socket.socket) -> Dialled:
    ours = socket.socket()
    ours.setblocking(False)
    assert ours.connect_ex(address) in (0, errno.EINPROGRESS)
    wires = Wires()
    wires.add(ours.detach(), connecting=True)
    return Dialled(wires, listening)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def test_the_owner_is_told_when_it_is_connected(listening: socket.socket) -> None:
    dialled = dial(listening.getsockname(), listening)
    assert dialled.wires.state(0) == {"connecting", "armed"}
    assert dialled.called() == [("connected", 0)]
    assert dialled.wires.state(0) == {"armed"}
    with listening.accept()[0] as peer:
        assert dialled.wires.send(0, [b"hello"]) == "done"
        assert peer.recv(100) == b"hello"


def test_the_owner_is_told_why_it_is_not_connected(listening: socket.socket) -> None:
    address = listening.getsockname()
    listening.close()
    dialled = dial(address, listening)
    dialled.wires.close_when_called(0)
    assert dialled.called() == [("connected", errno.ECONNREFUSED), ("buried", 0)]


def test_what_is_sent_while_connecting_goes_when_connected(listening: socket.socket) -> None:
    dialled = dial(listening.getsockname(), listening)
    assert dialled.wires.send(0, [b"early ", b"bird"]) == "blocked"
    assert dialled.called() == [("connected", 0), ("drained", 0)]
    with listening.accept()[0] as peer:
        assert peer.recv(100) == b"early bird"
    assert dialled.wires.buffers == (0, 0)


def test_a_peer_that_speaks_first_is_heard(listening: socket.socket) -> None:
    """Also when its words come with the connection, in one event."""
    dialled = dial(listening.getsockname(), listening)
    with listening.accept()[0] as peer:
        peer.send(b"220 hello")
        peer.shutdown(socket.SHUT_WR)
        assert dialled.called() == [("connected", 0), ("input", 0)]
        assert dialled.wires.fill(0) == "data"
        assert dialled.wires.data(0) == b"220 hello"
        assert dialled.wires.fill(0) == "end"
