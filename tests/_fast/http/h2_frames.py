"""Frames made by `hyperframe`, blocks by `hpack`, and a server side of ours to send them to."""

from collections.abc import Sequence
from typing import Any

from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests._fast.http.h2_codec import SERVER, Connection

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
(
    NO_ERROR,
    PROTOCOL_ERROR,
    INTERNAL_ERROR,
    FLOW_CONTROL_ERROR,
    SETTINGS_TIMEOUT,
    STREAM_CLOSED,
    FRAME_SIZE_ERROR,
    REFUSED_STREAM,
    CANCEL,
    COMPRESSION_ERROR,
    CONNECT_ERROR,
    ENHANCE_YOUR_CALM,
) = range(12)

Fields = Sequence[tuple[str, str]]
GET: Fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")]
POST: Fields = [(":method", "POST"), *GET[1:]]


def raw(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", length: int | None = None) -> bytes:
    """A frame of any type, valid or not."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def block(fields: Fields) -> bytes:
    """Encoded without the dynamic table, so that blocks do not depend on each other."""
    encoder = Encoder()
    encoder.header_table_size = 0
    return encoder.encode(fields)[1:]


def headers(stream: int, fields: Fields = GET, *flags: str, **more: Any) -> bytes:
    frame = HeadersFrame(stream, block(fields), flags=flags or ("END_HEADERS", "END_STREAM"), **more)
    return frame.serialize()


def data(stream: int, body: bytes = b"", *flags: str, pad: int = 0) -> bytes:
    return DataFrame(stream, body, flags=flags, pad_length=pad).serialize()


def settings(ack: bool = False, **values: int) -> bytes:
    known = {name: getattr(SettingsFrame, name) for name in values}
    return SettingsFrame(
        settings={known[name]: value for name, value in values.items()}, flags=("ACK",) if ack else ()
    ).serialize()


def ping(opaque: bytes = b"12345678", ack: bool = False) -> bytes:
    return PingFrame(0, opaque, flags=("ACK",) if ack else ()).serialize()


def window(stream: int, increment: int) -> bytes:
    if increment:
        return WindowUpdateFrame(stream, increment).serialize()
    return raw(8, 0, stream, bytes(4))


def reset(stream: int, error: int = CANCEL) -> bytes:
    return RstStreamFrame(stream, error).serialize()


def goaway(last: int = 0, error: int = 0) -> bytes:
    return GoAwayFrame(0, last, error).serialize()


def priority(stream: int, parent: int = 0) -> bytes:
    return PriorityFrame(stream, depends_on=parent, stream_weight=5).serialize()


def continuation(stream: int, part: bytes, *flags: str) -> bytes:
    return ContinuationFrame(stream, part, flags=flags).serialize()


def frames(sent: bytes) -> list[Frame]:
    """What one side has sent, frame by frame."""
    found = []
    while sent:
        frame, length = Frame.parse_frame_header(memoryview(sent[:9]))
        frame.parse_body(memoryview(sent[9 : 9 + length]))
        found.append(frame)
        sent = sent[9 + length :]
    return found


def server(**limits: Any) -> Connection:
    """A server that has seen the client's opening and said its own."""
    connection = Connection(SERVER, **limits)
    connection.output()
    assert connection.receive(PREFACE + settings()) == [("settings",)]
    connection.output()
    return connection


def kinds(sent: bytes) -> list[str]:
    return [type(frame).__name__.removesuffix("Frame") for frame in frames(sent)]


def connection_error(connection: Connection, sent: bytes, *errors: int) -> int:
    """Receives what must end the connection; the error that GOAWAY gives."""
    events = connection.receive(sent)
    assert events and events[-1][0] == "failed", events
    last = frames(connection.output())[-1]
    assert isinstance(last, GoAwayFrame)
    assert last.error_code == events[-1][1]
    assert not errors or last.error_code in errors, last
    return int(last.error_code)


def stream_error(connection: Connection, sent: bytes, stream: int, error: int) -> list[Any]:
    """Receives what must end the stream alone; the events."""
    events = connection.receive(sent)
    assert not connection.failed, events
    resets = [frame for frame in frames(connection.output()) if isinstance(frame, RstStreamFrame)]
    assert [(frame.stream_id, frame.error_code) for frame in resets] == [(stream, error)]
    # and the connection goes on
    assert connection.receive(ping()) == []
    assert kinds(connection.output()) == ["Ping"]
    return events
