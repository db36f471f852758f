"""The control plane's admin server: `/ready`, `/status`, `/metrics`. HTTP/1.1 by `h11`, and bounded.

It is for operators and has no password; nothing can be changed by it.
"""

import asyncio
import contextlib
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import h11

from tulle.controlplane.address import SocketAddress
from tulle.controlplane.plane.operators import Operators, Reply, as_json
from tulle.controlplane.plane.sources.base import Store
from tulle.controlplane.plane.state import Plane

MOST_CONNECTIONS = 64
LONGEST_HEAD = 16 << 10  # bytes
LONGEST_BODY = 64 << 10  # bytes; bodies are read and not used
PATIENCE = 15.0  # seconds for the next request, and for an answer to be taken
READ_SIZE = 1 << 14

PAGES = """\
/ready    200 LIVE once there is a mesh, else 503 and why
/status   the mesh, and each sidecar: version, state, certificate, last error
/metrics  metrics for Prometheus
"""


class Admin:
    """Answers on one address. `metrics` makes that page, and its content type."""

    def __init__(
        self, plane: Plane, store: Store, operators: Operators, metrics: Callable[[], tuple[bytes, str]]
    ) -> None:
        self.plane = plane
        self.store = store
        self.operators = operators
        self.metrics = metrics
        self.server: asyncio.Server | None = None
        self.writers: set[asyncio.StreamWriter] = set()

    async def listen(self, address: SocketAddress) -> str:
        """Serve there; the address, with its port. OSError when it cannot be had."""
        if address.port is None:
            Path(address.host).unlink(missing_ok=True)
            self.server = await asyncio.start_unix_server(self._connected, address.host)
            return str(address)
        self.server = await asyncio.start_server(self._connected, address.host, address.port)
        host, port = self.server.sockets[0].getsockname()[:2]
        return str(SocketAddress(host, port))

    def close(self) -> None:
        if self.server is not None:
            self.server.close()
        for writer in list(self.writers):
            writer.close()

    def reply(self, method: str, path: str) -> Reply:
        """The page at a path."""
        if path not in ("/", "/ready", "/status", "/metrics"):
            return Reply(404, f"there is no page {path!r}; there are:\n{PAGES}".encode())
        if method not in ("GET", "HEAD"):
            return Reply(405, f"{path} takes GET\n".encode())
        match path:
            case "/ready":
                return self._ready()
            case "/status":
                return as_json(self.operators.status())
            case "/metrics":
                return Reply(200, *self.metrics())
        return Reply(200, PAGES.encode())

    def _ready(self) -> Reply:
        trouble = "; ".join((*self.plane.refused, *((self.store.trouble,) if self.store.trouble else ())))
        if self.plane.mesh is None:
            return Reply(503, f"no mesh yet: {trouble or 'it is being read'}\n".encode())
        return Reply(200, f"LIVE\n{trouble}\n".encode() if trouble else b"LIVE\n")

    # -- connections --------------------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self.writers) >= MOST_CONNECTIONS:
            writer.close()
            return
        self.writers.add(writer)
        try:
            # the last that this task does: asyncio would report its end by the end of the program
            with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self.writers.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
        while True:
            try:
                request = await self._request(http, reader)
                if request is None:
                    return
                path = request.target.decode("latin-1").partition("?")[0]
                reply = self.reply(request.method.decode("latin-1"), path)
            except h11.RemoteProtocolError as error:
                if http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
                    return
                request, reply = None, Reply(error.error_status_hint, b"bad request\n")
            headers = [
                ("content-type", reply.content_type),
                ("content-length", str(len(reply.body))),
                ("cache-control", "no-store"),
            ]
            if reply.status == 405:
                headers.append(("allow", "GET"))
            if request is None:
                headers.append(("connection", "close"))
            phrase = HTTPStatus(reply.status).phrase.encode()
            events: list[Any] = [h11.Response(status_code=reply.status, headers=headers, reason=phrase)]
            if request is None or request.method != b"HEAD":
                events.append(h11.Data(data=reply.body))
            for event in (*events, h11.EndOfMessage()):
                writer.write(http.send(event) or b"")
            async with asyncio.timeout(PATIENCE):
                await writer.drain()
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _request(self, http: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
        """The next request with its body read; None when the client has closed."""
        request: h11.Request | None = None
        body = 0
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                async with asyncio.timeout(PATIENCE):
                    http.receive_data(await reader.read(READ_SIZE))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += len(event.data)
                if body > LONGEST_BODY:
                    raise h11.RemoteProtocolError("the body is too long", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage):
                return request
            else:
                return None
