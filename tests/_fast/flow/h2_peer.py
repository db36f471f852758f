"""A client that speaks HTTP/2 through `h2`, frame by frame, in the test's own thread."""

from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes

from tests._fast.flow.peers import Peer

Fields = list[tuple[str, str]]
GOAWAY = 7


@dataclass
class Answer:
    """What has come on a stream."""

    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    informational: list[list[tuple[bytes, bytes]]] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        return int(dict(self.fields)[b":status"])

    def one(self, name: bytes) -> bytes | None:
        values = [value for found, value in self.fields if found == name]
        assert len(values) <= 1, values
        return values[0] if values else None


class H2Peer:
    """A connection and its streams; whatever waits has an end, as with `Peer`."""

    def __init__(self, peer: Peer, *, acknowledge: bool = True, window: int | None = None) -> None:
        self.peer = peer
        self.acknowledge = acknowledge
        self.http = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding=None, validate_outbound_headers=False)
        )
        if window is not None:
            self.http.local_settings[SettingCodes.INITIAL_WINDOW_SIZE] = window
        self.http.initiate_connection()
        self.answers: dict[int, Answer] = {}
        self.goaways: list[tuple[int, int]] = []
        self.ended = False
        self.flush()

    def flush(self) -> None:
        self.peer.send(self.http.data_to_send())

    def ask(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        fields: Fields | None = None,
        end: bool = True,
        **more: Any,
    ) -> int:
        """Sends a request head; its stream."""
        stream = self.http.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":authority", "h2.test"), (":path", path)]
        self.http.send_headers(stream, head + (fields or []), end_stream=end, **more)
        self.answers[stream] = Answer()
        self.flush()
        return int(stream)

    def ask_raw(self, fields: Fields, end: bool = True) -> int:
        """A head of these fields and no others."""
        stream = int(self.http.get_next_available_stream_id())
        self.http.send_headers(stream, fields, end_stream=end)
        self.answers[stream] = Answer()
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, end: bool = False) -> None:
        """A body, as the windows let it go."""
        at = 0
        while at < len(data):
            self.need(lambda: self.http.local_flow_control_window(stream) > 0, "window")
            part = data[at : at + min(self.http.local_flow_control_window(stream), 16384)]
            at += len(part)
            self.http.send_data(stream, part, end_stream=end and at == len(data))
            self.flush()
        if end and not data:
            self.http.end_stream(stream)
            self.flush()

    def trailers(self, stream: int, fields: Fields) -> None:
        self.http.send_headers(stream, fields, end_stream=True)
        self.flush()

    def cancel(self, stream: int, error: int = 8) -> None:
        self.http.reset_stream(stream, error)
        self.flush()

    # -- receiving -------------------------------------------------------------------------------------------

    def take(self, event: Any) -> None:
        answer = self.answers.get(getattr(event, "stream_id", 0) or 0, Answer())
        if isinstance(event, h2.events.ResponseReceived):
            answer.fields = list(event.headers)
        elif isinstance(event, h2.events.InformationalResponseReceived):
            answer.informational.append(list(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            if self.acknowledge and event.flow_controlled_length:
                self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = list(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = int(event.error_code)

    def frames(self) -> bytes:
        """Whole frames of what has come. GOAWAY is noted here: `h2` takes the first one for the end."""
        kept = b""
        while len(self.peer.unread) >= 9:
            length = int.from_bytes(self.peer.unread[:3], "big") + 9
            if len(self.peer.unread) < length:
                break
            frame = self.peer.take(length)
            if frame[3] == GOAWAY:
                last, error = (int.from_bytes(frame[at : at + 4], "big") for at in (9, 13))
                self.goaways.append((last, error))
            else:
                kept += frame
        return kept

    def fill(self) -> bool:
        """Wait for something to come; False when the connection has ended."""
        if not self.peer.fill():
            self.ended = True
            return False
        for event in self.http.receive_data(self.frames()):
            self.take(event)
        self.flush()
        return True

    def need(self, enough: Any, what: str) -> None:
        while not enough():
            assert self.fill(), f"the connection ended before {what}; GOAWAYs: {self.goaways}"

    def answer(self, stream: int) -> Answer:
        """The whole answer, or that there is none."""
        answer = self.answers[stream]
        self.need(lambda: answer.ended or answer.reset is not None, f"the answer on {stream}")
        return answer

    def head(self, stream: int) -> Answer:
        answer = self.answers[stream]
        self.need(lambda: answer.fields or answer.reset is not None, f"the head on {stream}")
        return answer

    def read_rest(self) -> None:
        """Up to the end of the connection."""
        while self.fill():
            pass
