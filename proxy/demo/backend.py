"""One backend of the demo, as a process of its own: `python -m tulle.proxy.demo.backend NAME SOCKET MANNER`.

SOCKET is the descriptor of a listening socket that it inherits, MANNER one of `MANNERS`.
"""

import asyncio
import contextlib
import random
import signal
import socket
import sys
from http import HTTPStatus
from typing import NamedTuple

import h11


class Manner(NamedTuple):
    """How a backend behaves: delays in seconds, and which share of its answers is a 503."""

    least_delay: float
    most_delay: float
    failing: float


MANNERS = {
    "steady": Manner(0.0, 0.0, 0.0),
    "troubled": Manner(0.05, 0.35, 0.2),
}
RECEIVE = 65536  # bytes at once


class Backend:
    """Answers every request with its name."""

    def __init__(self, name: str, manner: Manner) -> None:
        self.name = name
        self.manner = manner

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
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.ConnectionClosed):
                return False
            if event is h11.NEED_DATA:
                data = await reader.read(RECEIVE)
                if not data:
                    return False
                connection.receive_data(data)
        status, text = await self._answer()
        body = text.encode()
        headers = [
            ("server", self.name),
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(body))),
        ]
        reason = HTTPStatus(status).phrase.encode()
        response = h11.Response(status_code=status, reason=reason, headers=headers)
        parts = (response, h11.Data(body), h11.EndOfMessage())
        writer.write(b"".join(connection.send(part) or b"" for part in parts))
        await writer.drain()
        return connection.our_state is h11.DONE

    async def _answer(self) -> tuple[int, str]:
        if self.manner.most_delay:
            await asyncio.sleep(random.uniform(self.manner.least_delay, self.manner.most_delay))
        if random.random() < self.manner.failing:
            return 503, f"{self.name} has failed, as it does now and then\n"
        return 200, f"this is {self.name}\n"


async def main(name: str, descriptor: int, manner: Manner) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(
        Backend(name, manner).serve, sock=socket.socket(fileno=descriptor), limit=RECEIVE
    )
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), MANNERS[sys.argv[3]]))
