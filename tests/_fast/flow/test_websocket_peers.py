"""WebSocket by the package `websockets`: through the proxy all is as it is without it.

The ground is that of Autobahn's test suite, by its sections: framing (1), pings (2), reserved bits (3) and
opcodes (4), fragmentation (5), UTF-8 (6), closing (7), large messages (9) and compression (12, 13).
"""

import os
import threading
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Frame, Opcode
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import PATIENCE
from tests._fast.flow.sidecar import until

MOST = 16 << 20


def echo(connection: ServerConnection) -> None:
    """Every message comes back; the path may ask for a close instead."""
    if connection.request is not None and connection.request.path.startswith("/close/"):
        connection.close(int(connection.request.path.rpartition("/")[2]), "as asked")
        return
    for message in connection:
        connection.send(message)


@pytest.fixture(scope="module")
def echoing() -> Iterator[int]:
    with serve(echo, "127.0.0.1", 0, max_size=MOST, ping_interval=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield int(server.socket.getsockname()[1])
        server.shutdown()
        thread.join()


@pytest.fixture
def echo_lab(laboratory: Laboratory, echoing: int) -> Lab:
    return laboratory(endpoints=[f"127.0.0.1:{echoing}"])


@pytest.fixture(params=["directly", "through the proxy"])
def port(request: pytest.FixtureRequest, echoing: int, echo_lab: Lab) -> int:
    return echoing if request.param == "directly" else echo_lab.sidecar.ports["127.0.0.1"]


def opened(port: int, path: str = "/", *, compressed: bool = False) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{port}{path}", max_size=MOST, ping_interval=None, open_timeout=PATIENCE,
        close_timeout=PATIENCE, compression="deflate" if compressed else None, proxy=None,
    )  # fmt: skip


def raw(opcode: Opcode, data: bytes, *, final: bool = True, reserved: int = 0) -> bytes:
    frame = bytearray(Frame(opcode, data, fin=final).serialize(mask=True))
    frame[0] |= reserved << 4
    return bytes(frame)


def closed_with(client: ClientConnection, *frames: bytes) -> int:
    """The code that the server closes with when it gets these."""
    for frame in frames:
        client.socket.sendall(frame)
    with pytest.raises(ConnectionClosed) as caught:
        client.recv(timeout=PATIENCE)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65535, 65536])
def test_messages_of_every_length_of_length(port: int, size: int) -> None:
    with opened(port) as client:
        for message in ("x" * size, os.urandom(size)):
            client.send(message)
            assert client.recv(timeout=PATIENCE) == message


def test_a_frame_byte_by_byte(port: int) -> None:
    with opened(port) as client:
        for byte in raw(Opcode.TEXT, "Hello-µ@ßöäüàá-UTF-8!!".encode()):
            client.socket.sendall(bytes([byte]))
        assert client.recv(timeout=PATIENCE) == "Hello-µ@ßöäüàá-UTF-8!!"


def test_many_messages_in_one_piece(port: int) -> None:
    with opened(port) as client:
        client.socket.sendall(b"".join(raw(Opcode.TEXT, b"%d" % number) for number in range(500)))
        assert [client.recv(timeout=PATIENCE) for _ in range(500)] == [str(number) for number in range(500)]


@pytest.mark.parametrize("payload", [b"", b"x", b"\x00\xff\xfe", b"x" * 125])
def test_pings_and_pongs(port: int, payload: bytes) -> None:
    with opened(port) as client:
        assert client.ping(payload or None).wait(PATIENCE)
        client.pong(b"nobody asked")
        client.send("still there")
        assert client.recv(timeout=PATIENCE) == "still there"


def test_a_ping_between_fragments(port: int) -> None:
    with opened(port) as client:
        client.socket.sendall(raw(Opcode.TEXT, b"one ", final=False))
        assert client.ping("in between").wait(PATIENCE)
        client.socket.sendall(raw(Opcode.CONT, b"two ", final=False) + raw(Opcode.CONT, b"three"))
        assert client.recv(timeout=PATIENCE) == "one two three"


@pytest.mark.parametrize("fragments", [1, 2, 1000])
def test_fragments(port: int, fragments: int) -> None:
    with opened(port) as client:
        pieces = [f"x{number}" for number in range(fragments)]
        client.send(pieces)
        assert client.recv(timeout=PATIENCE) == "".join(pieces)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([raw(Opcode.TEXT, b"x", reserved=4)], 1002),
        ([raw(Opcode.PING, b"x", reserved=1)], 1002),
        ([b"\x83\x80\x00\x00\x00\x00"], 1002),  # opcodes that are nobody's
        ([b"\x8b\x80\x00\x00\x00\x00"], 1002),
        ([raw(Opcode.CONT, b"of nothing")], 1002),
        ([raw(Opcode.TEXT, b"x", final=False), raw(Opcode.TEXT, b"y")], 1002),
        ([b"\x89\xfe\x00\x7e\x00\x00\x00\x00" + bytes(126)], 1002),  # a ping that is too long
        ([raw(Opcode.TEXT, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80")], 1007),
        ([raw(Opcode.TEXT, b"\xf4\x90\x80\x80", final=False), raw(Opcode.CONT, b"")], 1007),
        ([raw(Opcode.CLOSE, b"\x03")], 1002),
        ([raw(Opcode.CLOSE, Close(1000, "").serialize() + b"\xff")], 1007),
        ([raw(Opcode.CLOSE, b"\x03\xed")], 1002),  # 1005, which is never sent
        ([raw(Opcode.CLOSE, b"\x03\xe8")], 1000),
        ([raw(Opcode.CLOSE, b"\x0b\xb8bye")], 3000),
        ([raw(Opcode.CLOSE, b"\x13\x87")], 4999),
    ],
)
def test_what_is_wrong_and_how_it_ends(port: int, frames: list[bytes], code: int) -> None:
    with opened(port) as client:
        assert closed_with(client, *frames) == code


@pytest.mark.parametrize("word", ["κόσμε", "\U0010ffff", "\ud7ff\ue000", "a\x00b"])
def test_text_cut_within_a_character(port: int, word: str) -> None:
    data = word.encode()
    with opened(port) as client:
        client.socket.sendall(raw(Opcode.TEXT, data[:1], final=False))
        client.socket.sendall(raw(Opcode.CONT, data[1:]))
        assert client.recv(timeout=PATIENCE) == word


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3999, 4000])
def test_a_close_of_the_server(port: int, code: int) -> None:
    with opened(port, f"/close/{code}") as client:
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(timeout=PATIENCE)
        assert caught.value.rcvd == Close(code, "as asked")


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_a_close_of_the_client(port: int, code: int) -> None:
    with opened(port) as client:
        client.send("last words")
        assert client.recv(timeout=PATIENCE) == "last words"
        client.close(code, "bye")
        assert (client.close_code, client.close_reason) == (code, "bye")


@pytest.mark.parametrize("fragment", [MOST, 1 << 16, 4096])
def test_large_messages(port: int, fragment: int) -> None:
    data = os.urandom(4 << 20)
    with opened(port) as client:
        client.send([data[at : at + fragment] for at in range(0, len(data), fragment)])
        assert client.recv(timeout=PATIENCE) == data


@pytest.mark.parametrize("size", [0, 1, 1000, 1 << 20])
def test_compression(port: int, size: int) -> None:
    with opened(port, compressed=True) as client:
        assert [extension.name for extension in client.protocol.extensions] == ["permessage-deflate"]
        for message in ("ab" * (size // 2), os.urandom(size)):
            client.send(message)
            assert client.recv(timeout=PATIENCE) == message


def test_over_http_2(echo_lab: Lab) -> None:
    """The same server, of HTTP/1.1, behind a client of HTTP/2 (RFC 8441)."""
    client = H2Peer(echo_lab.client())
    client.need(lambda: client.http.remote_settings.enable_connect_protocol == 1, "the offer")
    stream = client.ask_raw(
        [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
            (":authority", "ws.test"), (":path", "/"), ("sec-websocket-version", "13"),
        ],
        end=False,
    )  # fmt: skip
    assert client.head(stream).status == 200
    answer = client.answers[stream]

    def echoed(opcode: Opcode, data: bytes) -> None:
        expected = answer.body + Frame(opcode, data).serialize(mask=False)
        client.send(stream, raw(opcode, data))
        client.need(lambda: len(answer.body) >= len(expected), "the echo")
        assert answer.body == expected

    for size in (0, 1, 125, 126, 65535, 65536, 300_000):
        echoed(Opcode.BINARY, os.urandom(size))
    echoed(Opcode.CLOSE, Close(1000, "bye").serialize())
    client.need(lambda: answer.ended, "the end")
    client.send(stream, b"", True)


def test_an_idle_one_ends(laboratory: Laboratory, echoing: int) -> None:
    lab = laboratory(endpoints=[f"127.0.0.1:{echoing}"], route={"timeouts": {"idle": "100ms"}})
    with opened(lab.sidecar.ports["127.0.0.1"]) as client, pytest.raises(ConnectionClosed):
        client.recv(timeout=PATIENCE)
    until(lambda: lab.sidecar.flags().get("SI") == 1, "it is counted")
