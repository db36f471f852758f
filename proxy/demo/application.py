"""What all applications of the demos are made of: HTTP/1.1 over asyncio, by `h11`, with bodies of any length.

They are plain programs, which know of no sidecar and of no mesh.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple

import h11

RECEIVE = 65536  # bytes at once

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Reply(NamedTuple):
    """An answer. A body that comes in parts is sent part by part, as each comes."""

    status: int
    body: bytes | AsyncIterator[bytes]
    server: str
    content_type: str = "text/plain; charset=utf-8"


class Application:
    """Answers each request by its path."""

    async def reply(self, path: str) -> Reply:
        raise NotImplementedError

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until its other side or HTTP/1.1 ends it."""
        with contextlib.suppress(ConnectionError, h11.ProtocolError), contextlib.closing(writer):
            connection = h11.Connection(h11.SERVER)
            while await self._exchange(connection, reader, writer):
                connection.start_next_cycle()

    async def _exchange(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """One request and its answer; whether another may follow."""
        path = ""
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.ConnectionClosed):
                return False
            if isinstance(event, h11.Request):
                path = event.target.decode("latin-1")
            elif event is h11.NEED_DATA:
                data = await reader.read(RECEIVE)
                if not data:
                    return False
                connection.receive_data(data)
        reply = await self.reply(path)
        headers = [("server", reply.server), ("content-type", reply.content_type)]
        if isinstance(reply.body, bytes):
            headers.append(("content-length", str(len(reply.body))))
        reason = HTTPStatus(reply.status).phrase.encode()
        head = h11.Response(status_code=reply.status, reason=reason, headers=headers)
        written = connection.send(head) or b""
        if isinstance(reply.body, bytes):
            written += connection.send(h11.Data(reply.body)) or b""
        else:
            writer.write(written)
            written = b""
            async for part in reply.body:
                writer.write(connection.send(h11.Data(part)) or b"")
                await writer.drain()
        writer.write(written + (connection.send(h11.EndOfMessage()) or b""))
        await writer.drain()
        return connection.our_state is h11.DONE


async def run(serve: Serve, descriptor: int) -> None:
    """Serve on an inherited listening socket until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(serve, sock=socket.socket(fileno=descriptor), limit=RECEIVE)
    await stop.wait()
    server.close()
