"""The stock, by gRPC: `python -m tulle.proxy.demo.shop.stock NAME SOCKET`; `count` is how others call it.

    service Stock { rpc Count (Item) returns (Amount); }
    message Item { string name = 1; }
    message Amount { uint64 count = 1; }

Its messages are written by hand, which for a field each way is less than a library would be.
"""

import asyncio
import sys

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from tulle.controlplane.plane.http2 import Connection, Lost, Stream
from tulle.proxy.demo.application import RECEIVE, run

PATH = "/shop.Stock/Count"
AMOUNT = 17  # of everything
LARGEST = 1 << 16  # bytes of a message
_HEAD = 5  # bytes before a message: compressed or not, length
_NAME, _COUNT = 1 << 3 | 2, 1 << 3  # tags of the two fields


class Stock:
    """Answers every call."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, with prior knowledge of HTTP/2."""

        def on_stream(stream: Stream) -> None:
            task = asyncio.create_task(self._answer(connection, stream))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

        connection = Connection(reader, writer, on_stream)
        await connection.run()

    async def _answer(self, connection: Connection, stream: Stream) -> None:
        head = [(":status", "200"), ("content-type", "application/grpc"), ("server", self.name)]
        try:
            await stream.read_all(LARGEST)
            if stream.path != PATH:
                status = [("grpc-status", "12"), ("grpc-message", "there is no such method")]
                connection.send_headers(stream, [*head, *status], end=True)
                return
            connection.send_headers(stream, head, end=False)
            await stream.send(message(bytes((_COUNT, AMOUNT))))
            connection.send_headers(stream, [("grpc-status", "0")], end=True)
        except Lost:
            pass  # whoever asked has gone
        finally:
            connection.finished(stream)


def message(content: bytes) -> bytes:
    """As gRPC sends one, not compressed."""
    return b"\0" + len(content).to_bytes(4, "big") + content


async def count(address: tuple[str, int], authority: str, item: str) -> tuple[str, int]:
    """Who has answered, and how many there are. OSError without an answer, ValueError for another one."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        return await _count(reader, writer, authority, item.encode())
    except ProtocolError as error:
        raise ValueError(str(error)) from None
    finally:
        writer.close()


async def _count(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, name: bytes
) -> tuple[str, int]:
    http = H2Connection(H2Configuration(header_encoding="utf-8"))
    http.initiate_connection()
    head = [(":method", "POST"), (":scheme", "http"), (":authority", authority), (":path", PATH)]
    head += [("content-type", "application/grpc"), ("te", "trailers")]
    http.send_headers(1, head)
    http.send_data(1, message(bytes((_NAME, len(name))) + name), end_stream=True)
    fields: dict[str, str] = {}
    body = b""
    while True:
        writer.write(http.data_to_send())
        data = await reader.read(RECEIVE)
        if not data:
            raise ConnectionResetError("the connection ended before the answer")
        for event in http.receive_data(data):
            match event:
                case ResponseReceived() | TrailersReceived():
                    fields |= {str(name): str(value) for name, value in event.headers or ()}
                case DataReceived():
                    body += event.data or b""
                case StreamReset() | ConnectionTerminated():
                    raise ConnectionResetError("the call was ended before the answer")
                case StreamEnded():
                    return fields.get("server", ""), _amount(fields, body)
                case _:
                    pass


def _amount(fields: dict[str, str], body: bytes) -> int:
    status = fields.get("grpc-status", "")
    if status != "0" or len(body) != _HEAD + 2 or body[_HEAD] != _COUNT:
        text = fields.get("grpc-message", "") or f"status {fields.get(':status', '')}"
        raise ValueError(f"gRPC status {status or 'is missing'}, {text}")
    return body[_HEAD + 1]


if __name__ == "__main__":
    asyncio.run(run(Stock(sys.argv[1]).serve, int(sys.argv[2])))
