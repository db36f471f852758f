"""Connections against `h2` as the peer in both roles, in every split, and what windows and turns do."""

import random
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from tests._fast.http.h2_codec import CLIENT, Connection
from tests._fast.http.h2_frames import (
    GET,
    POST,
    PREFACE,
    data,
    frames,
    headers,
    kinds,
    ping,
    reset,
    server,
    settings,
    window,
)

# Everything that a server may get: in one stream of bytes, so that it can be cut anywhere.
LONG = [*GET, ("a", "b" * 400), ("cookie", "x=y")]
STORY = (
    PREFACE
    + settings(INITIAL_WINDOW_SIZE=70000)
    + settings(ack=True)
    + headers(1, LONG)
    + headers(3, [*POST, ("content-length", "9")], "END_HEADERS")
    + data(3, b"first", "PADDED", pad=7)
    + ping()
    + window(0, 10)
    + data(3, b"last", "END_STREAM")
    + headers(5, POST, "END_HEADERS", "PRIORITY", depends_on=3)
    + data(5, b"x" * 300)
    + headers(5, [("sum", "1")])
    + headers(7, POST, "END_HEADERS")
    + reset(7)
    + headers(9, GET)
)


def joined(events: list[Any]) -> list[Any]:
    """Pieces of one body as one."""
    merged: list[Any] = []
    for event in events:
        if event[0] == "body" and merged and merged[-1][:2] == event[:2] and not merged[-1][3]:
            merged[-1] = ("body", event[1], merged[-1][2] + event[2], event[3])
        else:
            merged.append(event)
    return merged


def told(pieces: list[bytes]) -> tuple[list[Any], bytes]:
    connection = Connection()
    events = []
    for piece in pieces:
        events += connection.receive(piece)
    sent = connection.output()
    connection.leave_all()
    return joined(events), sent


def test_every_split_tells_the_same() -> None:
    whole = told([STORY])
    assert [event[0] for event in whole[0]] == [
        "settings",
        "head",
        "head",
        "body",
        "head",
        "body",
        "trailers",
        "head",
        "closed",
        "head",
    ]
    assert told([STORY[at : at + 1] for at in range(len(STORY))]) == whole
    for cut in range(len(STORY)):
        assert told([STORY[:cut], STORY[cut:]]) == whole, cut


def peer(client: bool) -> h2.connection.H2Connection:
    made = h2.connection.H2Connection(h2.config.H2Configuration(client_side=client, header_encoding=None))
    made.initiate_connection()
    return made


class Pair:
    """One of ours and one of `h2`, and the bytes between them, which go in random pieces."""

    def __init__(self, ours: Connection, theirs: h2.connection.H2Connection, seed: int) -> None:
        self.ours, self.theirs, self.chance = ours, theirs, random.Random(seed)
        self.seen: list[Any] = []  # by ours
        self.heard: list[Any] = []  # by theirs
        self.turn()

    def turn(self) -> None:
        """Until nobody has anything to say."""
        while True:
            said = self.ours.output()
            for event in self.theirs.receive_data(said):
                self.heard.append(event)
                if isinstance(event, h2.events.DataReceived):
                    self.theirs.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            answer = self.theirs.data_to_send()
            if not said and not answer:
                return
            self.seen += self.ours.feed(answer, self.chance.randrange(1, 5000))

    def bodies(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for event in self.seen:
            if event[0] == "body":
                found[event[1]] = found.get(event[1], b"") + event[2]
        return found

    def heard_bodies(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for event in self.heard:
            if isinstance(event, h2.events.DataReceived):
                found[event.stream_id] = found.get(event.stream_id, b"") + event.data
        return found


@pytest.mark.parametrize("seed", range(15))
def test_as_a_server_for_h2(seed: int) -> None:
    chance = random.Random(seed)
    pair = Pair(Connection(), peer(client=True), seed)
    sent: dict[int, bytes] = {}
    for _ in range(30):
        stream = pair.theirs.get_next_available_stream_id()
        body = chance.randbytes(chance.choice((0, 1, 300, 20000, 60000)))
        fields = [*POST, ("x-number", str(chance.randrange(5))), ("user-agent", "h2")]
        pair.theirs.send_headers(stream, fields)
        sent[stream] = b""
        while body:
            part = min(
                len(body), pair.theirs.local_flow_control_window(stream), pair.theirs.max_outbound_frame_size
            )
            pair.theirs.send_data(stream, body[:part])
            sent[stream] += body[:part]
            body = body[part:]
            pair.turn()
        if chance.random() < 0.5:
            pair.theirs.end_stream(stream)
        else:
            pair.theirs.send_headers(stream, [("sum", "1")], end_stream=True)
    pair.turn()
    assert pair.bodies() | {stream: b"" for stream, body in sent.items() if not body} == sent
    answers = {stream: chance.randbytes(chance.randrange(100000)) for stream in sent}
    blocked = set()
    for stream, body in answers.items():
        pair.ours.respond(stream, 200, [(b"X-Stream", str(stream).encode()), (b"server", b"tulle")])
        trailers = [(b"grpc-status", b"0")] if chance.random() < 0.5 else None
        if pair.ours.send(stream, body, True, trailers) == 1:
            blocked.add(stream)
    pair.turn()
    assert set(pair.ours.drained()) == blocked
    assert pair.heard_bodies() == {stream: body for stream, body in answers.items() if body}
    ended = {event.stream_id for event in pair.heard if isinstance(event, h2.events.StreamEnded)}
    assert ended == set(sent)
    for stream in sent:
        pair.ours.leave(stream)
    assert pair.ours.occupied == (0, 0, 0)


@pytest.mark.parametrize("seed", range(15))
def test_as_a_client_of_h2(seed: int) -> None:
    chance = random.Random(seed)
    pair = Pair(Connection(CLIENT), peer(client=False), seed)
    asked: dict[int, bytes] = {}
    for _ in range(30):
        body = chance.randbytes(chance.choice((0, 1, 300, 60000)))
        stream = pair.ours.open(b"POST", 3, fields=[(b"X-Name", b"Value")], end=not body)
        assert stream is not None
        asked[stream] = body
        if body:
            pair.ours.send(stream, body, True)
    pair.turn()
    assert pair.heard_bodies() == {stream: body for stream, body in asked.items() if body}
    requests = [event for event in pair.heard if isinstance(event, h2.events.RequestReceived)]
    assert [event.stream_id for event in requests] == list(asked)
    assert all((b"x-name", b"Value") in event.headers for event in requests)
    for stream in asked:
        pair.theirs.send_headers(stream, [(":status", "103"), ("link", "x")])
        pair.theirs.send_headers(stream, [(":status", "200"), ("number", str(stream))])
        pair.theirs.send_data(stream, b"answer")
        pair.theirs.send_headers(stream, [("grpc-status", "0")], end_stream=True)
    pair.turn()
    for stream in asked:
        events = [event for event in pair.seen if len(event) > 1 and event[1] == stream]
        assert [event[0] for event in joined(events)] == ["head", "head", "body", "trailers"]
        pair.ours.leave(stream)
    assert pair.ours.occupied == (0, 0, 0)


def test_a_head_that_takes_several_frames() -> None:
    pair = Pair(Connection(), peer(client=True), 1)
    pair.theirs.send_headers(1, GET, end_stream=True)
    pair.turn()
    large = [
        (f"n{number}".encode(), random.Random(number).randbytes(400).hex().encode()) for number in range(60)
    ]
    pair.ours.respond(1, 200, large, True)
    sent = pair.ours.output()
    assert kinds(sent)[:2] == ["Headers", "Continuation"]
    events = pair.theirs.receive_data(sent)
    assert events[0].headers == [(b":status", b"200"), *large]
    pair.ours.leave(1)


def test_streams_take_turns() -> None:
    connection = server()
    connection.receive(settings(INITIAL_WINDOW_SIZE=2**20) + headers(1) + headers(3) + headers(5))
    for stream in (1, 3, 5):
        connection.respond(stream)
        connection.send(stream, bytes(200000), True)
    connection.output()
    order: list[int] = []
    for _ in range(40):
        connection.receive(window(0, 16384))
        order += [frame.stream_id for frame in frames(connection.output()) if frame.type == 0]
    counts = [order[:30].count(stream) for stream in (1, 3, 5)]
    assert max(counts) - min(counts) <= 8, order


def test_what_is_not_taken_gives_no_window_back() -> None:
    connection = server(take_bodies=False)
    connection.receive(headers(1, POST, "END_HEADERS"))
    for _ in range(4):
        connection.receive(data(1, bytes(16000)))
    assert "WindowUpdate" not in kinds(connection.output())
    assert connection.read(1) == bytes(64000)
    given = {frame.stream_id: frame.window_increment for frame in frames(connection.output())}
    assert set(given) == {0, 1}


def test_padding_and_bodies_that_nobody_wants_give_the_window_back() -> None:
    connection = server()
    connection.receive(headers(1, POST, "END_HEADERS"))
    connection.leave(1, 8)
    connection.output()
    for _ in range(40):
        connection.receive(data(1, bytes(3000)))
    returned = sum(
        frame.window_increment
        for frame in frames(connection.output())
        if frame.type == 8 and frame.stream_id == 0
    )
    assert returned >= 120000 - 65535 // 2


def test_windows_grow_with_what_the_path_carries() -> None:
    connection = server(window_most=1 << 20, connection_window_most=1 << 21)
    connection.receive(headers(1, POST, "END_HEADERS"))
    probe, carried = b"", 0
    for _ in range(1000):
        connection.receive(data(1, bytes(10000)))
        carried += 10000
        for frame in frames(connection.output()):
            if frame.type == 6:
                probe, carried = frame.opaque_data, 0
        if probe and carried + 10000 > connection.windows[0]:  # a round trip carries a window
            connection.receive(ping(probe, ack=True))
            probe = b""
    assert connection.windows[0] == 1 << 20
    assert connection.windows[1] >= 1 << 20


def test_windows_stay_where_the_path_is_short() -> None:
    connection = server(window_most=1 << 20, connection_window_most=1 << 21)
    connection.receive(headers(1, POST, "END_HEADERS"))
    for _ in range(300):
        connection.receive(data(1, bytes(16000)))
        for frame in frames(connection.output()):
            if frame.type == 6:
                connection.receive(ping(frame.opaque_data, ack=True))
    assert connection.windows == (65535, 65535)


def test_as_many_streams_as_the_peer_takes() -> None:
    client = Connection(CLIENT)
    client.receive(settings(MAX_CONCURRENT_STREAMS=2))
    assert (client.open(), client.open(), client.open()) == (1, 3, None)
    client.output()
    client.receive(headers(1, [(":status", "200")]))
    assert client.open() == 5
    client.leave_all()


def test_thousands_of_streams() -> None:
    connection = server(streams=5000)
    for number in range(5000):
        connection.receive(headers(2 * number + 1, POST, "END_HEADERS"))
    for number in range(4999, -1, -1):
        stream = 2 * number + 1
        connection.receive(data(stream, b"x", "END_STREAM"))
        connection.respond(stream, 200, (), True)
        connection.leave(stream)
    assert connection.occupied[1] == 0


@pytest.mark.parametrize("cut", [0, 5, 24, 60, 400, len(STORY)])
def test_a_connection_may_go_at_any_moment(cut: int) -> None:
    connection = Connection(take_bodies=False)
    connection.receive(STORY[:cut])
    connection.leave_all()
