"""A host that speaks HTTP/2 through `h2`, frame by frame, in the test's own thread."""

from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes, Settings

from tests._fast.flow.peers import Peer

Fields = list[tuple[str, str]]


@dataclass
class Request:
    """What has come on a stream."""

    stream: int
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    def one(self, name: bytes) -> bytes | None:
        values = [value for found, value in self.fields if found == name]
        assert len(values) <= 1, values
        return values[0] if values else None


class H2Backend:
    """A connection that the sidecar has opened; whatever waits has an end, as with `Peer`."""

    def __init__(self, peer: Peer, *, streams: int = 100, window: int = 65535, take: bool = True,
                 tunnels: bool = False) -> None:  # fmt: skip
        self.peer = peer
        self.take = take  # acknowledges what it has received, so that more may come
        self.http = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        self.http.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: streams,
                SettingCodes.INITIAL_WINDOW_SIZE: window,
                SettingCodes.ENABLE_CONNECT_PROTOCOL: int(tunnels),
            },
        )
        self.http.initiate_connection()
        self.requests: dict[int, Request] = {}
        self.pongs = 0
        self.flush()

    def flush(self) -> None:
        self.peer.send(self.http.data_to_send())

    def receive(self) -> None:
        """What the next read brings."""
        assert self.peer.unread or self.peer.fill(), "the sidecar has closed the connection"
        data = bytes(self.peer.unread)
        self.peer.unread.clear()
        for event in self.http.receive_data(data):
            self.note(event)
        self.flush()

    def note(self, event: Any) -> None:
        if isinstance(event, h2.events.RequestReceived):
            fields = [(bytes(name), bytes(value)) for name, value in event.headers]
            self.requests[event.stream_id] = Request(event.stream_id, fields)
        elif isinstance(event, h2.events.DataReceived):
            self.requests[event.stream_id].body += event.data
            if self.take and event.flow_controlled_length:
                self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            fields = [(bytes(name), bytes(value)) for name, value in event.headers]
            self.requests[event.stream_id].trailers = fields
        elif isinstance(event, h2.events.PingAckReceived):
            self.pongs += 1
        elif isinstance(event, h2.events.StreamEnded):
            self.requests[event.stream_id].ended = True
        elif isinstance(event, h2.events.StreamReset):
            self.requests[event.stream_id].reset = int(event.error_code)

    def ping(self) -> None:
        """All that was sent before has been seen."""
        self.http.ping(b"12345678")
        self.flush()
        pongs = self.pongs
        while self.pongs == pongs:
            self.receive()

    def head(self, index: int = 0) -> Request:
        """The request that came as number `index`, as soon as its head is here."""
        while len(self.requests) <= index:
            self.receive()
        return list(self.requests.values())[index]

    def whole(self, index: int = 0) -> Request:
        request = self.head(index)
        while not request.ended:
            self.receive()
        return request

    def answer(
        self,
        stream: int,
        body: bytes = b"",
        status: int = 200,
        fields: Fields | None = None,
        end: bool = True,
    ) -> None:
        self.http.send_headers(
            stream, [(":status", str(status)), *(fields or [])], end_stream=end and not body
        )
        if body:
            self.http.send_data(stream, body, end_stream=end)
        self.flush()

    def data(self, stream: int, body: bytes, end: bool = False) -> None:
        self.http.send_data(stream, body, end_stream=end)
        self.flush()

    def trailers(self, stream: int, fields: Fields) -> None:
        self.http.send_headers(stream, fields, end_stream=True)
        self.flush()

    def reset(self, stream: int, error: int) -> None:
        self.http.reset_stream(stream, error)
        self.flush()
