"""What every source is."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from tulle.controlplane.mesh.load import Fault, Lease, Part
from tulle.controlplane.model_clusters import Endpoint

LONGEST_LEASE = 3600.0  # seconds
SHORTEST_LEASE = 2.0


class SourceError(Exception):
    """A source that cannot be read or written now; says why."""


class Content(NamedTuple):
    """All that a source has. What has not changed is the same object as before."""

    parts: list[Part]
    leases: list[Lease]
    faults: list[Fault]  # documents that cannot be read at all


class Source(Protocol):
    """`on_change` is called when something may have changed, also once after the first look."""

    on_change: Callable[[], None]

    @property
    def known(self) -> bool:
        """Whether it has been read once: before that it may hold what is not seen yet."""

    async def watch(self) -> None:
        """Follow it for ever."""

    def content(self) -> Content: ...

    @property
    def trouble(self) -> str:
        """Why it cannot be followed at the moment; empty when it can."""


class Store(Source, Protocol):
    """A source that can be written to."""

    def origin(self, name: str) -> str:
        """What a document of this name is called in errors."""

    async def put(self, name: str, text: bytes) -> None:
        """Replace a document, or with an empty text remove it; `content` has it when this returns."""

    async def lease(self, service: str, endpoint: Endpoint, seconds: float) -> None:
        """Have an endpoint of a service for so long; again before that is over, for so long again."""

    async def end_lease(self, service: str, address: str) -> None: ...

    async def use(self, token_id: str, expires: float, now: float) -> bool:
        """Whether a join token is used for the first time, by whichever control plane."""


class Sources:
    """Several sources as one, of which one is written to."""

    def __init__(self, sources: Sequence[Source], store: Store) -> None:
        self.sources = sources
        self.store = store

    @property
    def trouble(self) -> str:
        return "; ".join(source.trouble for source in self.sources if source.trouble)

    @property
    def known(self) -> bool:
        return all(source.known for source in self.sources)

    @property
    def on_change(self) -> Callable[[], None]:
        return self.store.on_change

    @on_change.setter
    def on_change(self, on_change: Callable[[], None]) -> None:
        for source in self.sources:
            source.on_change = on_change

    async def watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            for source in self.sources:
                group.create_task(source.watch())

    def content(self) -> Content:
        found = [source.content() for source in self.sources]
        return Content(
            [part for one in found for part in one.parts],
            [lease for one in found for lease in one.leases],
            [fault for one in found for fault in one.faults],
        )

    def origin(self, name: str) -> str:
        return self.store.origin(name)

    async def put(self, name: str, text: bytes) -> None:
        await self.store.put(name, text)

    async def lease(self, service: str, endpoint: Endpoint, seconds: float) -> None:
        await self.store.lease(service, endpoint, seconds)

    async def end_lease(self, service: str, address: str) -> None:
        await self.store.end_lease(service, address)

    async def use(self, token_id: str, expires: float, now: float) -> bool:
        return await self.store.use(token_id, expires, now)
