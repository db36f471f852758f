"""One client connection to the sidecar, and what an exchange on it came to."""

import asyncio
from typing import NamedTuple

import h11

RECEIVE = 65536  # bytes at once


class Answer(NamedTuple):
    """`server` says which backend it came from; `turned_away` that a limit of the sidecar refused it."""

    status: int
    server: str
    turned_away: bool
    body: bytes


class Client:
    """Kept alive for one request after the other; `usable` says whether another may follow."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.connection = h11.Connection(h11.CLIENT)
        self.usable = True

    @classmethod
    async def connect(cls, host: str, port: int) -> "Client":
        """OSError when nobody listens."""
        return cls(*await asyncio.open_connection(host, port))

    async def get(self, host: str, path: str) -> Answer:
        """OSError when the connection ends before the answer does, ValueError when that is malformed."""
        self.usable = False
        connection = self.connection
        if connection.our_state is not h11.IDLE:
            connection.start_next_cycle()
        request = h11.Request(method="GET", target=path, headers=[("host", host)])
        self.writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        try:
            answer = await self._answer()
        except h11.ProtocolError as error:
            raise ValueError(str(error)) from None
        self.usable = connection.our_state is h11.DONE and connection.their_state is h11.DONE
        return answer

    async def _answer(self) -> Answer:
        status, fields, body = 0, {}, bytearray()
        while not isinstance(event := self.connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status, fields = event.status_code, dict(event.headers)
            elif isinstance(event, h11.Data):
                body += event.data
            elif event is h11.NEED_DATA:
                data = await self.reader.read(RECEIVE)
                if not data and not fields:
                    raise ConnectionResetError("the connection ended before the answer")
                self.connection.receive_data(data)
        turned_away = b"connection_limit_reached" in fields.get(b"proxy-status", b"")
        return Answer(status, fields.get(b"server", b"").decode("latin-1"), turned_away, bytes(body))

    def close(self) -> None:
        self.writer.close()
