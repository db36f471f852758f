"""Checks over HTTP/2, with prior knowledge: one request at a time on a connection, through `h2`.

`h2` is imported when the first such connection is made: who checks nothing over HTTP/2 does not pay for it.
"""

from typing import Any

from tulle.proxy.streams import Stream

LONGEST_BODY = 1024 * 1024  # bytes of an answer, after which it is not read to its end
READ = 64 * 1024
Fields = list[tuple[str, str]]


class Reply:
    """An answer: fields by their names, in lower case, those of the head and of the trailers together."""

    def __init__(self) -> None:
        self.fields: dict[bytes, bytes] = {}
        self.body = b""
        self.ended = False

    @property
    def status(self) -> int:
        return int(self.fields.get(b":status", b"0"))


class Http2:
    """A connection. `usable` tells, after an answer, whether it is good for another request."""

    def __init__(self, stream: Stream) -> None:
        from h2.config import H2Configuration
        from h2.connection import H2Connection

        self.stream = stream
        self.usable = True
        self.http = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self.http.initiate_connection()

    def close(self) -> None:
        self.stream.close()

    async def ask(self, head: Fields, body: bytes) -> Reply | None:
        """The answer; None when stream or connection end before it. ValueError when that is not HTTP/2."""
        from h2.exceptions import ProtocolError

        try:
            return await self._ask(head, body)
        except ProtocolError as error:
            raise ValueError(str(error)) from error

    async def _ask(self, head: Fields, body: bytes) -> Reply | None:
        number = self.http.get_next_available_stream_id()
        self.http.send_headers(number, head, end_stream=not body)
        if body:
            self.http.send_data(number, body, end_stream=True)
        reply = Reply()
        while not reply.ended:
            await self.stream.write(self.http.data_to_send())
            data = await self.stream.read(READ)
            if not data:
                return None
            for event in self.http.receive_data(data):
                if not self._take(event, number, reply):
                    return None
        await self.stream.write(self.http.data_to_send())
        return reply

    def _take(self, event: Any, number: int, reply: Reply) -> bool:
        """False: there will be no answer."""
        from h2 import events

        if isinstance(event, events.ConnectionTerminated):
            # an answer that has come before it is whole all the same
            self.usable = False
            return reply.ended
        if getattr(event, "stream_id", number) != number:
            return True
        if isinstance(event, events.StreamReset):
            return reply.ended
        if isinstance(event, events.ResponseReceived | events.TrailersReceived):
            reply.fields |= {bytes(name): bytes(value) for name, value in event.headers}
        elif isinstance(event, events.DataReceived):
            reply.body += event.data
            self.http.acknowledge_received_data(event.flow_controlled_length, number)
            if len(reply.body) > LONGEST_BODY:
                self.usable = False
                reply.ended = True
        elif isinstance(event, events.StreamEnded):
            reply.ended = True
        return True
