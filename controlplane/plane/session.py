"""One sidecar that follows the mesh: what it has, what it should have, and what it has said of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Literal

from tulle.controlplane.mesh.resources import Key, Resource, version_of
from tulle.controlplane.plane import wire
from tulle.controlplane.plane.figures import Figures
from tulle.controlplane.plane.http2 import Stream

State = Literal["synced", "pending", "refused", "stale"]
PartOf = Callable[[str], dict[Key, Resource]]


class Session:
    """A sidecar of an identity. `part` tells what an identity is to have."""

    def __init__(
        self, identity: str, hello: wire.Hello, part: PartOf, tell: Callable[[], None], figures: Figures
    ) -> None:
        self.identity = identity
        self.node = hello.node
        self.program = hello.program
        self.certificate_expires = hello.certificate_expires
        self.held: dict[Key, bytes] = {(one.kind, one.name): one.digest for one in hello.held}
        self.active = version_of(self.held)
        self.refused_version = ""
        self.reasons: list[str] = []
        self.last_error = ""
        self.connected = True
        self.since = time.time()  # connected, or not connected, since
        self.updates = 0
        self.changed = asyncio.Event()
        self.due: float | None = None  # when a change came that it is to have; monotonic
        self.figures = figures
        self.stream: Stream | None = None
        self.part = part
        self.tell = tell

    def wake(self, since: float) -> None:
        """What it is to have may be different, by a change that came then."""
        if self.due is None:
            self.due = since
        self.changed.set()

    def state(self, wanted: str | None = None) -> State:
        """`wanted` is the version that it is to have, for who knows it."""
        if not self.connected:
            return "stale"
        if wanted is None:
            wanted = version_of({key: one.digest for key, one in self.part(self.identity).items()})
        if self.active == wanted:
            return "synced"
        return "refused" if self.refused_version == wanted else "pending"

    async def serve(self, messages: AsyncIterator[bytes], send: Callable[[bytes], Awaitable[None]]) -> None:
        """Bring it up to date again and again, until it leaves. WireError when it breaks the rules."""
        inbox = Inbox(messages)
        try:
            await self._serve(inbox, send)
        finally:
            inbox.close()

    async def _serve(self, inbox: "Inbox", send: Callable[[bytes], Awaitable[None]]) -> None:
        first = True
        while True:
            self.changed.clear()
            since, self.due = self.due, None
            target = self.part(self.identity)
            digests = {key: one.digest for key, one in target.items()}
            version = version_of(digests)
            if target and version != self.refused_version and (first or version != self.active):
                first = False
                await send(wire.frame(self._update(version, target)))
                self.updates += 1
                self.figures.updates["sent"] += 1
                answer = await inbox.take()
                if answer is None:
                    return
                self._take(wire.decode_from_sidecar(answer), version, digests)
                if since is not None and self.active == version:
                    self.figures.took(time.monotonic() - since)
            elif not await self._wait(inbox):
                return

    def _update(self, version: str, target: Mapping[Key, Resource]) -> wire.Update:
        return wire.Update(
            version,
            self.active,
            [
                wire.Changed(*key, one.payload)
                for key, one in target.items()
                if self.held.get(key) != one.digest
            ],
            [key for key in self.held if key not in target],
        )

    async def _wait(self, inbox: "Inbox") -> bool:
        """Until something is different; False when the sidecar has left. It has nothing to say meanwhile."""
        changing = asyncio.ensure_future(self.changed.wait())
        reading = inbox.next()
        try:
            await asyncio.wait((changing, reading), return_when=asyncio.FIRST_COMPLETED)
        finally:
            changing.cancel()
        if not reading.done():
            return True
        if await inbox.take() is not None:
            raise wire.WireError("it speaks without having been asked")
        return False

    def _take(self, answer: wire.FromSidecar, version: str, digests: dict[Key, bytes]) -> None:
        match answer:
            case wire.Taken() if answer.version == version:
                self.held, self.active = digests, version
                self.refused_version, self.reasons = "", []
                self.figures.updates["success"] += 1
                self.certificate_expires = answer.certificate_expires or self.certificate_expires
            case wire.Refused() if answer.version == version:
                self.refused_version = version
                self.figures.updates["refused"] += 1
                self.reasons = [
                    reason[: wire.LONGEST_REASON] for reason in answer.reasons[: wire.MOST_REASONS]
                ]
                self.last_error = self.reasons[0] if self.reasons else "no reason given"
            case _:
                raise wire.WireError("it answers something else than it was sent")
        self.tell()

    def left(self, reason: str) -> None:
        if self.connected:
            self.connected = False
            self.since = time.time()
            if reason:
                self.last_error = reason
            self.tell()


class Inbox:
    """The messages of a sidecar; to wait for one may be given up, and it is not lost."""

    def __init__(self, messages: AsyncIterator[bytes]) -> None:
        self.messages = messages
        self.reading: asyncio.Task[bytes | None] | None = None

    def next(self) -> "asyncio.Task[bytes | None]":
        if self.reading is None:
            self.reading = asyncio.create_task(self._read())
        return self.reading

    async def take(self) -> bytes | None:
        """The next message; None when there is none any more."""
        reading = self.next()
        found = await reading
        self.reading = None
        return found

    def close(self) -> None:
        """Whatever comes now is for nobody."""
        if self.reading is not None:
            self.reading.add_done_callback(lambda reading: reading.cancelled() or reading.exception())
            self.reading.cancel()

    async def _read(self) -> bytes | None:
        return await anext(self.messages, None)
