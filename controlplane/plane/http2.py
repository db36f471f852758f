"""HTTP/2 over asyncio for either side, by the `h2` package: a few long streams on one connection.

What a peer can have us keep is bounded: by flow control the bytes of a stream that nobody has read yet, and
by our settings its streams and heads. A peer that takes nothing more, or answers no PING, is given up (RFC
9113 sections 5.2 and 6.7).
"""

import asyncio
import asyncio.sslproto
import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

MOST_STREAMS = 100
LARGEST_HEAD = 16 << 10  # bytes
WINDOW = 1 << 20  # bytes of a connection, and of a stream, that are under way
READ_SIZE = 1 << 16
SEND_PATIENCE = 30.0  # seconds that a peer has to take what is sent
CLOSE_PATIENCE = 2.0  # seconds for the last bytes to go and the other side to say farewell
PING_INTERVAL = 10.0  # seconds of silence after which a peer is asked whether it is there
PING_PATIENCE = 10.0


# asyncio gives each TLS connection a buffer of 256 KiB to read into, of which these use little
asyncio.sslproto.SSLProtocol.max_size = 16 << 10


def head_of(headers: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in headers}


class Lost(Exception):
    """The connection or the stream has ended before its time; says why."""


class Stream:
    """One request and its response, seen from either side."""

    def __init__(self, connection: "Connection", number: int) -> None:
        self.connection = connection
        self.number = number
        self.headers: dict[str, str] = {}
        self.head = asyncio.Event()
        self.parts: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue()
        self.ended = False
        self.lost: str | None = None

    @property
    def path(self) -> str:
        return self.headers.get(":path", "")

    @property
    def method(self) -> str:
        return self.headers.get(":method", "")

    @property
    def status(self) -> int:
        return int(self.headers.get(":status", "0"))

    async def answered(self) -> int:
        """Wait for the head of the response; its status."""
        await self.head.wait()
        self._check()
        return self.status

    async def read(self) -> bytes:
        """Some bytes of the body; empty at its end. Lost when it was cut off."""
        if self.parts.empty():
            if self.ended:
                return b""
            self._check()
        data, counted = await self.parts.get()
        if counted:
            self.connection.taken(self, counted)
        if not data:
            self._check()
        return data

    async def read_all(self, most: int) -> bytes:
        """The whole body; Lost when it is longer than that."""
        data = bytearray()
        while part := await self.read():
            data += part
            if len(data) > most:
                self.reset(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
                raise Lost(f"a body is longer than {most:,} bytes")
        return bytes(data)

    async def respond(self, status: int, body: bytes | None = b"", content_type: str = "") -> None:
        """Answer; without a body (None) the stream stays open for `send`."""
        headers = [(":status", str(status))]
        if content_type:
            headers.append(("content-type", content_type))
        self.connection.send_headers(self, headers, end=body == b"")
        if body:
            await self.send(body, end=True)

    async def send(self, data: bytes, end: bool = False) -> None:
        await self.connection.send(self, data, end)

    def reset(self, code: int = h2.errors.ErrorCodes.CANCEL) -> None:
        self.connection.reset(self, code)

    def lose(self, reason: str) -> None:
        if self.lost is None and not (self.ended and self.head.is_set()):
            self.lost = reason
        self.head.set()
        self.parts.put_nowait((b"", 0))

    def _check(self) -> None:
        if self.lost is not None:
            raise Lost(self.lost)


class Connection:
    """One connection. `on_stream` is called with each request, on the server's side."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_stream: Callable[[Stream], None] | None = None,
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.on_stream = on_stream
        config = h2.config.H2Configuration(client_side=on_stream is None, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        self.streams: dict[int, Stream] = {}
        self.windows = asyncio.Condition()
        self.reason = ""  # why it has ended
        self.heard = 0.0
        self.pinged = False
        self._begin()

    @property
    def closed(self) -> bool:
        return bool(self.reason)

    def _begin(self) -> None:
        self.h2.local_settings = h2.settings.Settings(
            client=self.on_stream is None,
            initial_values={
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: LARGEST_HEAD,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
            },
        )
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(WINDOW)
        self.flush()

    async def run(self) -> None:
        """Read until the connection ends; never raises for what a peer does."""
        loop = asyncio.get_running_loop()
        self.heard = loop.time()
        pinging = asyncio.create_task(self._keep_alive())
        reason = "the other side has closed the connection"
        try:
            while not self.closed and (data := await self.reader.read(READ_SIZE)):
                self.heard = loop.time()
                for event in self.h2.receive_data(data):
                    self._take(event)
                self.flush()
                async with self.windows:
                    self.windows.notify_all()
        except h2.exceptions.ProtocolError as error:
            reason = f"a breach of HTTP/2: {error}"
            self.flush()
        except (OSError, EOFError) as error:
            reason = f"the connection has failed: {error}"
        except asyncio.CancelledError:
            self.writer.transport.abort()
            raise
        finally:
            pinging.cancel()
            self.close(reason)
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.writer.wait_closed(), CLOSE_PATIENCE)
        self.writer.transport.abort()

    def close(self, reason: str) -> None:
        """End it at once; all streams are lost."""
        if self.reason:
            return
        self.reason = reason
        for stream in list(self.streams.values()):
            stream.lose(reason)
        self.streams.clear()
        with contextlib.suppress(Exception):
            self.h2.close_connection()
            self.flush()
        self.writer.close()
        self._wake()

    def request(self, method: str, path: str, authority: str, end: bool = True) -> Stream:
        """Begin a request. Lost when there is no connection any more."""
        if self.closed:
            raise Lost(self.reason)
        try:
            number = self.h2.get_next_available_stream_id()
            stream = self.streams[number] = Stream(self, number)
            head = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]
            self.h2.send_headers(number, head, end_stream=end)
        except h2.exceptions.ProtocolError as error:
            raise Lost(str(error)) from None
        self.flush()
        return stream

    def send_headers(self, stream: Stream, headers: Iterable[tuple[str, str]], end: bool) -> None:
        if self.closed or stream.lost is not None:
            raise Lost(stream.lost or self.reason)
        try:
            self.h2.send_headers(stream.number, list(headers), end_stream=end)
        except h2.exceptions.ProtocolError as error:
            raise Lost(str(error)) from None
        self.flush()

    async def send(self, stream: Stream, data: bytes, end: bool) -> None:
        """Send all of it, as fast as the other side takes it. Lost when that takes nothing for too long."""
        view = memoryview(data)
        while True:
            if self.closed or stream.lost is not None:
                raise Lost(stream.lost or self.reason)
            try:
                room = min(self.h2.local_flow_control_window(stream.number), self.h2.max_outbound_frame_size)
                if view and room <= 0:
                    await self._wait_for_window()
                    continue
                part, view = view[:room], view[room:]
                last = not view
                self.h2.send_data(stream.number, bytes(part), end_stream=end and last)
            except h2.exceptions.ProtocolError as error:
                raise Lost(str(error)) from None
            self.flush()
            await self._drain()
            if last:
                return

    def taken(self, stream: Stream, size: int) -> None:
        """So many bytes of a body have been read, so there may come more."""
        if not self.closed:
            with contextlib.suppress(h2.exceptions.ProtocolError):
                self.h2.acknowledge_received_data(size, stream.number)
            self.flush()

    def reset(self, stream: Stream, code: int) -> None:
        """End it before its time; who reads it is told as well."""
        self.streams.pop(stream.number, None)
        stream.lose("the stream was reset")
        if not self.closed:
            with contextlib.suppress(h2.exceptions.ProtocolError):
                self.h2.reset_stream(stream.number, code)
            self.flush()

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if data and not self.writer.is_closing():
            self.writer.write(data)

    # -- inside -------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(SEND_PATIENCE):
                await self.writer.drain()
        except (OSError, TimeoutError):
            self.close("the other side takes nothing any more")
            raise Lost(self.reason) from None

    async def _wait_for_window(self) -> None:
        try:
            async with asyncio.timeout(SEND_PATIENCE), self.windows:
                await self.windows.wait()
        except TimeoutError:
            self.close("the other side takes nothing any more")
            raise Lost(self.reason) from None

    def _wake(self) -> None:
        async def wake() -> None:
            async with self.windows:
                self.windows.notify_all()

        with contextlib.suppress(RuntimeError):
            task = asyncio.get_running_loop().create_task(wake())
            self._waking = task

    async def _keep_alive(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(PING_INTERVAL)
            silent = loop.time() - self.heard
            if self.pinged and silent >= PING_INTERVAL + PING_PATIENCE:
                self.close("the other side does not answer any more")
                return
            if silent >= PING_INTERVAL / 2:
                self.pinged = True
                with contextlib.suppress(h2.exceptions.ProtocolError):
                    self.h2.ping(b"tulle\0\0\0")
                self.flush()

    def _take(self, event: Any) -> None:
        match event:
            case h2.events.RequestReceived() if self.on_stream is not None:
                stream = self.streams[event.stream_id] = Stream(self, event.stream_id)
                stream.headers = head_of(event.headers)
                stream.head.set()
                self.on_stream(stream)
            case h2.events.ResponseReceived():
                if answered := self.streams.get(event.stream_id):
                    answered.headers = head_of(event.headers)
                    answered.head.set()
            case h2.events.DataReceived():
                counted = event.flow_controlled_length or 0
                reading = self.streams.get(event.stream_id)
                if reading is None:
                    self.h2.acknowledge_received_data(counted, event.stream_id)
                elif event.data or counted:
                    if event.data:
                        reading.parts.put_nowait((event.data, counted))
                    else:
                        self.h2.acknowledge_received_data(counted, event.stream_id)
            case h2.events.StreamEnded():
                if ending := self.streams.get(event.stream_id):
                    ending.ended = True
                    ending.head.set()
                    ending.parts.put_nowait((b"", 0))
                    if self.on_stream is None:
                        self.streams.pop(event.stream_id, None)
            case h2.events.StreamReset():
                if broken := self.streams.pop(event.stream_id, None):
                    broken.lose("the other side has reset the stream")
            case h2.events.ConnectionTerminated():
                self.close("the other side goes away")
            case h2.events.PingAckReceived():
                self.pinged = False
            case _:
                pass

    def finished(self, stream: Stream) -> None:
        """Nothing more will be asked of this stream."""
        self.streams.pop(stream.number, None)
