"""Reads a whole message, head to trailers, with our codec and with h11, into the same terms."""

from dataclasses import dataclass
from typing import Any

import h11

from tests._fast.http import codec
from tests._fast.http.codec import REQUEST, TRAILERS

LIMITS = (1 << 20, 1 << 20, 255)
Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Message:
    """What both sides must agree on; `rest` is what follows the message."""

    start: tuple[Any, ...]
    version: bytes
    fields: Fields
    body: bytes
    trailers: Fields
    rest: bytes
    closes: bool | None


def _comparable(fields: list[Any]) -> Fields:
    """h11 gives the transfer coding in lower case."""
    return [
        (field[0], field[1].lower() if field[0].lower() == b"transfer-encoding" else field[1])
        for field in fields
    ]


def ours(kind: int, data: bytes, method: str = "GET") -> Message | str:
    """The message, or the result that kept us from having one ("more" or an error)."""
    head = codec.parse(kind, data, (), LIMITS, method)
    if head["result"] != "done":
        return str(head["result"])
    rest = data[head["head_length"] :]
    body: bytes = b""
    trailers: Fields = []
    if head["framing"] == "length":
        if len(rest) < head["content_length"]:
            return "more"
        body, rest = rest[: head["content_length"]], rest[head["content_length"] :]
    elif head["framing"] == "chunked":
        result, body, consumed = codec.decode_chunks(rest)
        if result != "last":
            return "more" if result == "more" else "bad chunk"
        section = codec.parse(TRAILERS, rest[consumed:], (), LIMITS)
        if section["result"] != "done":
            return str(section["result"])
        trailers = _comparable(section["fields"])
        rest = rest[consumed + section["head_length"] :]
    elif head["framing"] == "close":
        body, rest = rest, b""
    start = (
        (head["method_text"], head["target"]) if kind == REQUEST else (head["status"], head["reason"] or b"")
    )
    return Message(
        start,
        b"1.%d" % head["version_minor"],
        _comparable(head["fields"]),
        body,
        trailers,
        rest,
        # h11 keeps no HTTP/1.0 connection, and has no say after 1xx or in a tunnel
        None
        if head["version_minor"] == 0 or head["framing"] == "tunnel" or 0 < head["status"] < 200
        else "keep-alive" not in head["flags"] and head["framing"] != "close",
    )


def _client(method: str) -> h11.Connection:
    """A client that has sent a request, and asked for an upgrade with it."""
    name = "PATCH" if method == "other" else method
    target = "h:1" if method == "CONNECT" else "/"
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    fields = [("host", "h"), ("upgrade", "x"), ("connection", "upgrade")]
    connection.send(h11.Request(method=name, target=target, headers=fields))
    connection.send(h11.EndOfMessage())
    return connection


def theirs(kind: int, data: bytes, method: str = "GET") -> Message | str:
    """The message as h11 has it, "more", or "rejected"."""
    if kind == REQUEST:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    else:
        connection = _client(method)
    if data:
        connection.receive_data(data)
    head: h11.Request | h11.Response | h11.InformationalResponse | None = None
    body = b""
    trailers: Fields = []
    closed = False
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request | h11.Response | h11.InformationalResponse):
                head = event
                if isinstance(event, h11.InformationalResponse):
                    break
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                trailers = event.headers.raw_items()
                break
            elif event is h11.PAUSED:
                break
            elif event is h11.NEED_DATA and isinstance(head, h11.Response) and not closed:
                # a body may last until the end of the connection
                closed = True
                connection.receive_data(b"")
            else:
                return "more"
    except h11.RemoteProtocolError:
        return "more" if closed else "rejected"
    if head is None:
        return "more"
    if isinstance(head, h11.Request):
        start: tuple[Any, ...] = (head.method, head.target)
    else:
        start = (head.status_code, bytes(head.reason))
    if connection.their_state is h11.MIGHT_SWITCH_PROTOCOL:
        # h11 tells what becomes of the connection only when the switch is refused
        connection.send(h11.Response(status_code=400, headers=[]))
    tunnel = isinstance(head, h11.InformationalResponse) or connection.their_state is h11.SWITCHED_PROTOCOL
    keeps = None if head.http_version == b"1.0" or tunnel else connection.their_state is h11.MUST_CLOSE
    return Message(
        start,
        head.http_version,
        head.headers.raw_items(),
        body,
        trailers,
        connection.trailing_data[0],
        keeps and not closed,
    )
