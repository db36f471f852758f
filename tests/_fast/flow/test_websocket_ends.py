"""WebSockets when their proxy leaves: a Close with 1001, time to end, and nothing by a reload."""

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.frames import Close, Frame, Opcode

from tests._fast.flow.lab import Lab, own_lab
from tests._fast.flow.peers import Peer, request
from tests._fast.flow.sidecar import until
from tests._fast.flow.test_h2_tunnels import open_tunnel as open_h2_tunnel
from tests._fast.flow.test_tunnels import CONNECT, SWITCHING, WEBSOCKET, open_tunnel

GOING_AWAY = Frame(Opcode.CLOSE, Close(1001, "").serialize()).serialize(mask=False)
ANSWER = Frame(Opcode.CLOSE, Close(1001, "").serialize()).serialize(mask=True)


def text(words: bytes, *, final: bool = True) -> bytes:
    return Frame(Opcode.TEXT, words, fin=final).serialize(mask=False)


def drain(lab: Lab) -> None:
    lab.sidecar.terminate()
    until(lambda: not lab.sidecar.workers(), "the worker knows")


def end(lab: Lab, client: Peer, upstream: Peer) -> None:
    """As RFC 6455 section 7 has it: the client answers, the server closes, and the proxy leaves."""
    client.send(ANSWER)
    assert upstream.read(len(ANSWER)) == ANSWER
    upstream.send(GOING_AWAY)
    upstream.close()
    client.expect_end()
    client.close()
    assert lab.left() == 0


def test_an_idle_one_is_told_at_once(tmp_path: Path) -> None:
    with own_lab(tmp_path) as lab:
        client, upstream = open_tunnel(lab)
        upstream.send(text(b"hello"))
        assert client.read(7) == text(b"hello")
        drain(lab)
        assert client.read(len(GOING_AWAY)) == GOING_AWAY
        end(lab, client, upstream)


@pytest.mark.parametrize("cut", [1, 100])
def test_one_in_the_middle_of_a_frame_is_told_behind_it(tmp_path: Path, cut: int) -> None:
    """The frame in one piece with the next one, which is dropped: nothing may follow a Close."""
    frame = text(b"x" * 200, final=False)
    with own_lab(tmp_path) as lab:
        client, upstream = open_tunnel(lab, first=frame[:cut])
        assert client.read(cut) == frame[:cut]
        drain(lab)
        upstream.send(frame[cut:] + text(b"too late"))
        assert client.read(len(frame) - cut) == frame[cut:]
        assert client.read(len(GOING_AWAY)) == GOING_AWAY
        upstream.send(text(b"far too late"))
        end(lab, client, upstream)


def test_one_in_the_middle_of_a_long_frame(tmp_path: Path) -> None:
    """It goes through a pipe."""
    data = Frame(Opcode.BINARY, os.urandom(8 << 20)).serialize(mask=False)
    with own_lab(tmp_path) as lab:
        client, upstream = open_tunnel(lab)
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(upstream.send, data[: 4 << 20])
            assert client.read(1 << 20) == data[: 1 << 20]
            drain(lab)
            assert client.read(3 << 20) == data[1 << 20 : 4 << 20]
            sending.result()
            sending = pool.submit(upstream.send, data[4 << 20 :] + text(b"too late"))
            assert client.read(len(data) - (4 << 20)) == data[4 << 20 :]
            assert client.read(len(GOING_AWAY)) == GOING_AWAY
            sending.result()
        end(lab, client, upstream)


def test_one_behind_a_frame_whose_end_waits_in_the_pipe(tmp_path: Path) -> None:
    """The client reads slowly: all of the frame has come long before it has gone to the client."""
    data = Frame(Opcode.BINARY, os.urandom(8 << 20)).serialize(mask=False)
    with own_lab(tmp_path) as lab:
        client, upstream = open_tunnel(lab)
        client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        with ThreadPoolExecutor(1) as pool:
            before = lab.sidecar.total("bytes_upstream_received")
            sending = pool.submit(upstream.send, data)
            received = client.read(1 << 20)
            drain(lab)
            while lab.sidecar.total("bytes_upstream_received") < before + len(data):
                received += client.read(min(1 << 14, len(data) - len(received)))
            received += client.read(len(data) - len(received))
            assert received == data
            sending.result()
            assert client.read(len(GOING_AWAY)) == GOING_AWAY
            end(lab, client, upstream)


def test_one_that_ends_by_itself_is_told_nothing(tmp_path: Path) -> None:
    closing = Frame(Opcode.CLOSE, Close(1000, "bye").serialize()).serialize(mask=False)
    with own_lab(tmp_path) as lab:
        client, upstream = open_tunnel(lab)
        upstream.send(closing)
        assert client.read(len(closing)) == closing
        drain(lab)
        client.send(ANSWER)
        assert upstream.read(len(ANSWER)) == ANSWER
        upstream.close()
        client.expect_end()
        client.close()
        assert lab.left() == 0


def test_one_that_is_opened_during_a_drain(tmp_path: Path) -> None:
    with own_lab(tmp_path) as lab:
        client = lab.client()
        client.send(request("GET", "/chat", *WEBSOCKET))
        upstream = lab.accept()
        upstream.read_head()
        drain(lab)
        upstream.send(SWITCHING)
        assert client.read_head().status == 101
        assert client.read(len(GOING_AWAY)) == GOING_AWAY
        end(lab, client, upstream)


def test_who_does_not_answer_is_cut_off_when_the_time_is_up(tmp_path: Path) -> None:
    with own_lab(tmp_path, drain_timeout="300ms") as lab:
        client, upstream = open_tunnel(lab)
        drain(lab)
        assert client.read(len(GOING_AWAY)) == GOING_AWAY
        client.expect_gone()
        upstream.expect_gone()
        assert lab.left() == 0


def test_over_http_2(tmp_path: Path) -> None:
    with own_lab(tmp_path) as lab:
        client, stream, upstream = open_h2_tunnel(lab)
        upstream.send(text(b"hello")[:3])
        client.need(lambda: len(client.answers[stream].body) == 3, "the first of it")
        drain(lab)
        upstream.send(text(b"hello")[3:] + text(b"too late"))
        client.need(
            lambda: client.answers[stream].body == text(b"hello") + GOING_AWAY, "the frame and the end"
        )
        client.send(stream, ANSWER)
        assert upstream.read(len(ANSWER)) == ANSWER
        upstream.close()
        client.need(lambda: client.answers[stream].ended, "the end of the stream")
        client.send(stream, b"", True)
        client.peer.close()
        assert lab.left() == 0


def test_another_tunnel_is_told_nothing(tmp_path: Path) -> None:
    """Its bytes are nobody's but its own."""
    with own_lab(tmp_path, route={"connect": True}) as lab:
        client = lab.client()
        client.send(CONNECT)
        upstream = lab.accept()
        upstream.read_head()
        upstream.send(b"HTTP/1.1 200 OK\r\n\r\n")
        assert client.read_head().status == 200
        drain(lab)
        upstream.send(b"still here")
        assert client.read(10) == b"still here"
        upstream.close()
        client.expect_end()
        client.close()
        assert lab.left() == 0


def test_a_reload_ends_none(tmp_path: Path) -> None:
    """Not one that takes its listener away either, nor all that its route had."""
    with own_lab(tmp_path) as lab:
        client, upstream = open_tunnel(lab)
        other = dict(lab.config["listeners"][0], name="other", address="127.0.0.2:0")
        lab.sidecar.reload(lab.config | {"listeners": [other]})
        until(lambda: lab.sidecar.total("requests_active") == 1, "nothing has changed")
        for words in (b"still", b"here"):
            upstream.send(text(words))
            assert client.read(len(text(words))) == text(words)
        assert lab.sidecar.total("websocket_farewells") == 0
        upstream.close()
        client.expect_end()


def test_frames_of_every_length_pass_untouched(lab: Lab) -> None:
    """In one stream, in pieces that have nothing to do with them."""
    sizes = [0, 1, 125, 126, 127, 65535, 65536, 200_000, 3, 1_000_000, 0, 7]
    data = b"".join(Frame(Opcode.BINARY, os.urandom(size)).serialize(mask=False) for size in sizes)
    client, upstream = open_tunnel(lab)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(
            lambda: [upstream.send(data[at : at + 9973]) for at in range(0, len(data), 9973)]
        )
        assert client.read(len(data)) == data
        sending.result()
        sending = pool.submit(upstream.send, data)
        assert client.read(len(data)) == data
        sending.result()
    upstream.close()
    client.expect_end()
    client.close()
