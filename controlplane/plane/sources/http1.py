"""A small HTTP/1.1 client over asyncio, by the `h11` package: JSON requests, answers without end."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import NamedTuple

import h11
import msgspec

READ_SIZE = 1 << 16
PATIENCE = 5.0  # seconds to connect, and to answer
LARGEST = 256 << 20  # bytes of an answer
LARGEST_LINE = 64 << 20


class HttpError(Exception):
    """No answer, or one that says no; says why."""


class Place(NamedTuple):
    """A server. `context` is for TLS."""

    host: str
    port: int
    context: ssl.SSLContext | None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Exchange:
    """One request on a connection of its own."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.http = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 16)

    async def begin(self, path: str, body: bytes, patience: float = PATIENCE) -> int:
        """Send it and wait for the head of the answer; its status."""
        try:
            async with asyncio.timeout(patience):
                self.reader, self.writer = await asyncio.open_connection(
                    self.place.host, self.place.port, ssl=self.place.context
                )
                head = h11.Request(
                    method="POST",
                    target=path,
                    headers=[
                        ("host", str(self.place)),
                        ("content-type", "application/json"),
                        ("content-length", str(len(body))),
                        ("connection", "close"),
                    ],
                )
                for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                    self.writer.write(self.http.send(event) or b"")
                await self.writer.drain()
                while True:
                    said = await self._event()
                    if isinstance(said, h11.Response):
                        return said.status_code
                    if not isinstance(said, h11.InformationalResponse):
                        raise HttpError(f"{self.place}: has closed the connection")
        except TimeoutError:
            raise HttpError(f"{self.place}: does not answer within {patience:g} s") from None
        except (OSError, ssl.SSLError) as error:
            raise HttpError(f"{self.place}: {getattr(error, 'strerror', None) or error}") from None

    async def parts(self) -> AsyncIterator[bytes]:
        """The body of the answer, as it comes. HttpError when it is cut off."""
        while True:
            try:
                event = await self._event()
            except OSError as error:
                raise HttpError(f"{self.place}: {error.strerror or error}") from None
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise HttpError(f"{self.place}: has closed the connection")

    async def lines(self) -> AsyncIterator[bytes]:
        """The body line by line."""
        data = bytearray()
        async for part in self.parts():
            data += part
            while (end := data.find(b"\n")) >= 0:
                yield bytes(data[:end])
                del data[: end + 1]
            if len(data) > LARGEST_LINE:
                raise HttpError(f"{self.place}: sends a line of more than {LARGEST_LINE:,} bytes")

    def close(self) -> None:
        if hasattr(self, "writer"):
            self.writer.close()

    async def _event(self) -> object:
        while True:
            try:
                event = self.http.next_event()
            except h11.RemoteProtocolError as error:
                raise HttpError(f"{self.place}: does not speak HTTP: {error}") from None
            if event is not h11.NEED_DATA:
                return event
            self.http.receive_data(await self.reader.read(READ_SIZE))


async def post(place: Place, path: str, content: object, patience: float = PATIENCE) -> bytes:
    """The body of the answer to a JSON request. HttpError when there is none, or its status is not 200."""
    exchange = Exchange(place)
    try:
        status = await exchange.begin(path, msgspec.json.encode(content), patience)
        data = bytearray()
        async with asyncio.timeout(patience):
            async for part in exchange.parts():
                data += part
                if len(data) > LARGEST:
                    raise HttpError(f"{place}: an answer of more than {LARGEST:,} bytes")
    except TimeoutError:
        raise HttpError(f"{place}: does not answer within {patience:g} s") from None
    finally:
        exchange.close()
    if status != 200:
        raise HttpError(f"{place}: {reason(bytes(data)) or f'status {status}'}")
    return bytes(data)


def reason(answer: bytes) -> str:
    """What an answer that says no says."""
    try:
        found = msgspec.json.decode(answer)
    except msgspec.DecodeError:
        return answer.decode(errors="replace").strip()[:200]
    if isinstance(found, dict):
        return str(found.get("message") or found.get("error") or "")[:200]
    return ""
