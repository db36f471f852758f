"""The control plane's server: who connects, who they are, and who may ask for what.

Sidecars and services come over mutual TLS, and are who their certificate says; operators over a Unix socket
that only its owner may open, or with a certificate that `operators` names. Without a certificate there are
only the roots, which are no secret, and enrolment by a token.
"""

import asyncio
import contextlib
import functools
import os
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.tokens import TokenError
from tulle.controlplane.mesh.access import matches
from tulle.controlplane.plane import wire
from tulle.controlplane.plane.credentials import Credentials
from tulle.controlplane.plane.http2 import Connection, Lost, Stream
from tulle.controlplane.plane.operators import Operators, Reply
from tulle.controlplane.plane.session import Session
from tulle.controlplane.plane.sources.base import SourceError, Store
from tulle.controlplane.plane.state import Plane

OPERATOR = "operator"  # who comes over the Unix socket
HANDSHAKE_PATIENCE = 10.0  # seconds
MOST_UNKNOWN = 256  # connections without a certificate at a time
UNKNOWN_PATIENCE = 15.0  # seconds that they may take
LARGEST_REQUEST = 256 << 10  # bytes
MOST_SIGNERS = 4  # threads that sign; more would only wait for each other
BACKLOG = 1024

Say = Callable[[str], None]


class Usage:
    """Join tokens that were used, as the store has them; asked for from the thread of a request."""

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self.store = store
        self.loop = loop

    def use(self, token_id: str, expires: float, now: float) -> bool:
        future = asyncio.run_coroutine_threadsafe(self.store.use(token_id, expires, now), self.loop)
        try:
            return future.result(30)
        except (SourceError, TimeoutError) as error:
            raise IdentityError(f"it cannot be known whether the token has been used: {error}") from None


class Server:
    """Answers on a TCP address and a Unix socket."""

    def __init__(
        self,
        plane: Plane,
        store: Store,
        credentials: Credentials,
        operators: list[str],
        most_sidecars: int,
        say: Say,
    ) -> None:
        self.plane = plane
        self.store = store
        self.credentials = credentials
        self.allowed = operators
        self.most_sidecars = most_sidecars
        self.say = say
        self.operators = Operators(plane, store)
        self.servers: list[asyncio.Server] = []
        self.connections: set[Connection] = set()
        self.unknown = 0
        # apart from the loop's own threads, which the store may need while these wait for it
        self.signers = ThreadPoolExecutor(MOST_SIGNERS, "signer")
        self.tasks: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Serve there; the address, with its port. OSError when it cannot be had."""
        server = await asyncio.start_server(
            self._connected,
            host,
            port,
            ssl=self.credentials.front,
            ssl_handshake_timeout=HANDSHAKE_PATIENCE,
            backlog=BACKLOG,
        )
        self.servers.append(server)
        name = server.sockets[0].getsockname()
        return name[0], name[1]

    async def listen_locally(self, path: Path) -> None:
        """Serve operators of this machine. OSError when it cannot be had."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            own.bind(str(path))
        finally:
            os.umask(mask)
        self.servers.append(await asyncio.start_unix_server(self._connected, sock=own))

    async def close(self) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.connections):
            connection.close("the control plane is leaving")
        for task in list(self.tasks):
            task.cancel()
        # while the loop runs: what they ask of the store is answered, or the program's end would wait in vain
        ending = functools.partial(self.signers.shutdown, cancel_futures=True)
        await asyncio.get_running_loop().run_in_executor(None, ending)

    # -- connections --------------------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secured = writer.get_extra_info("ssl_object")
        identity, dns_names, expires = (OPERATOR, (), 0.0) if secured is None else who_is(secured)
        if not identity and self.unknown >= MOST_UNKNOWN:
            self.plane.figures.turned_away["unknown"] += 1
            writer.close()
            return
        peer = Peer(identity, dns_names)

        def on_stream(stream: Stream) -> None:
            task = asyncio.create_task(self._answer(peer, connection, stream))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

        connection = Connection(reader, writer, on_stream)
        self.connections.add(connection)
        self.unknown += not identity
        ending = None
        loop = asyncio.get_running_loop()
        if not identity:
            ending = loop.call_later(UNKNOWN_PATIENCE, connection.close, "who has no certificate is brief")
        elif expires:
            left = max(0.0, expires - time.time())
            ending = loop.call_later(left, connection.close, "the certificate has expired")
        try:
            # the last that this task does: asyncio would report its end by the end of the program
            with contextlib.suppress(asyncio.CancelledError):
                await connection.run()
        finally:
            self.unknown -= not identity
            self.connections.discard(connection)
            if ending is not None:
                ending.cancel()

    async def _answer(self, peer: "Peer", connection: Connection, stream: Stream) -> None:
        try:
            reply = await self._reply(peer, connection, stream)
            if reply is not None:
                await stream.respond(reply.status, reply.body, reply.content_type)
        except (Lost, asyncio.CancelledError):
            pass
        except (IdentityError, wire.WireError, msgspec.MsgspecError, SourceError) as error:
            status = 401 if isinstance(error, TokenError) else 503 if isinstance(error, SourceError) else 400
            if isinstance(error, IdentityError) and not isinstance(error, TokenError):
                status = 403
            self.say(f"refused: {stream.method} {stream.path} of {peer.name}: {error}")
            with contextlib.suppress(Lost):
                await stream.respond(status, f"{error}\n".encode(), "text/plain")
        finally:
            connection.finished(stream)

    async def _reply(self, peer: "Peer", connection: Connection, stream: Stream) -> Reply | None:
        path = stream.path.partition("?")[0]
        if (stream.method, path) == ("GET", "/v1/bundle"):
            return Reply(200, self.credentials.bundle(), "application/x-pem-file")
        if (stream.method, path) == ("POST", "/v1/enrol"):
            return await self._enrol(stream)
        if not peer.identity:
            return Reply(401, b"this needs a certificate of the mesh; enrol with a token first\n")
        if (stream.method, path) == ("POST", "/v1/renew"):
            request = await stream.read_all(LARGEST_REQUEST)
            issued = await self._apart(
                "renew", self.credentials.renew, peer.identity, peer.dns_names, request, time.time()
            )
            return Reply(200, msgspec.msgpack.encode(issued))
        if (stream.method, path) == ("POST", wire.PATH):
            await self._serve(peer, stream)
            return None
        if path == "/v1/leases":
            return await self.operators.lease(peer.identity, self.is_operator(peer.identity), stream)
        if not self.is_operator(peer.identity):
            return Reply(403, f"{peer.identity} is no operator; see control.operators\n".encode())
        return await self.operators.reply(stream)

    def is_operator(self, identity: str) -> bool:
        return identity == OPERATOR or any(matches(pattern, identity) for pattern in self.allowed)

    async def _enrol(self, stream: Stream) -> Reply:
        body = await stream.read_all(LARGEST_REQUEST)
        used = Usage(self.store, asyncio.get_running_loop())
        try:
            sent = msgspec.msgpack.decode(body, type=wire.Enrol)
        except msgspec.MsgspecError as error:
            self.plane.figures.refuse("enrol", error)
            raise
        issued = await self._apart("enrol", self.credentials.enrol, used, sent, time.time())
        return Reply(200, msgspec.msgpack.encode(issued))

    async def _apart(self, kind: str, work: Callable[..., wire.Issued], *arguments: Any) -> wire.Issued:
        """In a thread: to sign takes a while, and may wait for the store. Counted by its kind."""
        try:
            issued = await asyncio.get_running_loop().run_in_executor(self.signers, work, *arguments)
        except (IdentityError, SourceError) as error:
            self.plane.figures.refuse(kind, error)
            raise
        self.plane.figures.issued[kind] += 1
        return issued

    # -- sidecars -----------------------------------------------------------------------------------------

    async def _serve(self, peer: "Peer", stream: Stream) -> None:
        messages = wire.frames(stream.read, wire.LARGEST_TO_CONTROL)
        first = await anext(messages, None)
        if first is None:
            raise wire.WireError("it has not said hello")
        hello = wire.decode_from_sidecar(first)
        if not isinstance(hello, wire.Hello) or not hello.node or len(hello.node) > 200:
            raise wire.WireError("it has not said hello")
        if sum(one.connected for one in self.plane.sessions.values()) >= self.most_sidecars:
            self.plane.figures.turned_away["max_sidecars"] += 1
            await stream.respond(503, b"there are max_sidecars already\n")
            return
        await stream.respond(200, None, "application/msgpack")
        # a node is told apart within its identity: nobody can end another's session
        named = msgspec.structs.replace(hello, node=f"{peer.identity} {hello.node}")
        session = Session(peer.identity, named, self.plane.part, self.plane.tell, self.plane.figures)
        session.stream = stream
        former = self.plane.join(session)
        if former is not None and former.connected and former.stream is not None:
            former.stream.reset()
            former.left("")
        reason = ""
        try:
            await session.serve(messages, stream.send)
        except (Lost, wire.WireError, msgspec.MsgspecError) as error:
            reason = str(error)
            stream.reset()
        finally:
            session.left(reason)


class Peer:
    """Who is at the other end; without a certificate nobody."""

    def __init__(self, identity: str, dns_names: tuple[str, ...]) -> None:
        self.identity = identity
        self.dns_names = dns_names

    @property
    def name(self) -> str:
        return self.identity or "somebody without a certificate"


def who_is(secured: ssl.SSLObject) -> tuple[str, tuple[str, ...], float]:
    """SPIFFE id, DNS names and end of the certificate that was shown and verified; all empty for none."""
    shown: dict[str, Any] = dict(secured.getpeercert() or {})
    names = shown.get("subjectAltName", ())
    uris = [value for kind, value in names if kind == "URI"]
    if len(uris) != 1:
        return "", (), 0.0
    expires = ssl.cert_time_to_seconds(str(shown["notAfter"]))
    return uris[0], tuple(value for kind, value in names if kind == "DNS"), float(expires)
