"""etcd as a source: followed over everything that may happen to it."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.plane.etcds import Member, cluster, encoded
from tests.controlplane.plane.running import until
from tulle.controlplane.mesh.model import EtcdSource
from tulle.controlplane.model_clusters import Endpoint
from tulle.controlplane.plane.sources import etcd, http1
from tulle.controlplane.plane.sources.base import SourceError
from tulle.controlplane.plane.sources.etcd import Etcd

Program = Callable[[str], str]
DOCUMENT = "/tulle/documents/shop.yaml"
SHOP = "services: {cart: {hostnames: [%s]}}"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd, "CHECK_INTERVAL", 0.3)
    monkeypatch.setattr(http1.post, "__defaults__", (1.0,))


class Watched:
    """A source that is followed, and how often it said that it has changed."""

    def __init__(self, *urls: str) -> None:
        self.said: list[str] = []
        self.source = Etcd(EtcdSource(endpoints=list(urls)), Path(), self.said.append)
        self.changes = 0
        self.source.on_change = self._changed
        self.task = asyncio.create_task(self.source.watch())

    def _changed(self) -> None:
        self.changes += 1

    def hostnames(self) -> list[str]:
        return [
            name
            for part in self.source.content().parts
            for service in part.content.services.values()
            for name in service.hostnames
        ]

    def leased(self) -> list[str]:
        return [lease.endpoint.address for lease in self.source.content().leases]

    async def has(self, name: str) -> None:
        await until(lambda: self.hostnames() == [name] and not self.source.trouble, f"{name}; {self.said}")

    async def pause(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    def go_on(self) -> None:
        self.task = asyncio.create_task(self.source.watch())


@contextlib.asynccontextmanager
async def watched(*urls: str) -> AsyncIterator[Watched]:
    found = Watched(*urls)
    try:
        yield found
    finally:
        await found.pause()


def put(member: Member, name: str) -> int:
    return member.put(DOCUMENT, SHOP % name)


def test_documents_and_leases_are_followed(program: Program, tmp_path: Path) -> None:
    async def scene(member: Member) -> None:
        put(member, "a")
        async with watched(member.url) as found, watched(member.url) as other:
            await found.has("a")
            source = found.source
            await source.put("shop.yaml", (SHOP % "b").encode())
            assert found.hostnames() == ["b"]  # what was written is there when `put` returns
            await other.has("b")
            await source.lease("cart", Endpoint(address="10.0.0.1:80"), 3600)
            await until(lambda: other.leased() == ["10.0.0.1:80"], "the lease")
            await other.source.lease("cart", Endpoint(address="10.0.0.1:80"), 3600)
            keys = member.ask("kv/range", key=encoded("/tulle/endpoints/cart/10.0.0.1:80"))
            assert keys["kvs"][0]["version"] == "1"  # another control plane has kept the same lease
            await source.end_lease("cart", "10.0.0.1:80")
            await until(lambda: not other.leased(), "the lease's end")
            member.put("/tulle/endpoints/cart/nonsense", "{}")
            await until(lambda: any("is no endpoint" in line for line in found.said), "what is no endpoint")
            await source.put("shop.yaml", b"")
            await until(lambda: not other.hostnames(), "the document's end")

    play(program, tmp_path, scene)


def test_a_lease_that_is_not_renewed_ends(program: Program, tmp_path: Path) -> None:
    async def scene(member: Member) -> None:
        async with watched(member.url) as found:
            await found.source.lease("cart", Endpoint(address="10.0.0.1:80"), 1.0)
            await until(lambda: found.leased(), "the lease")
            await until(lambda: not found.leased(), "the lease's end")

    play(program, tmp_path, scene)


def test_a_token_counts_once_for_all(program: Program, tmp_path: Path) -> None:
    async def scene(member: Member) -> None:
        async with watched(member.url) as one, watched(member.url) as other:
            now = time.time()
            uses = [source.use("abc", now + 60, now) for source in (one.source, other.source) * 4]
            assert sorted(await asyncio.gather(*uses)) == [*[False] * 7, True]

    play(program, tmp_path, scene)


def test_etcd_is_killed_and_comes_back(program: Program, tmp_path: Path) -> None:
    async def scene(member: Member) -> None:
        put(member, "a")
        async with watched(member.url) as found:
            await found.has("a")
            member.kill()
            await until(lambda: found.source.trouble, "the trouble")
            assert "serves on" in found.said[-1]
            assert found.hostnames() == ["a"]
            with pytest.raises(SourceError):
                await found.source.use("abc", time.time() + 60, time.time())
            member.begin()
            await until(member.is_well, "etcd is well")
            put(member, "b")
            await found.has("b")

    play(program, tmp_path, scene)


def test_what_was_compacted_meanwhile_is_read_anew(program: Program, tmp_path: Path) -> None:
    async def scene(member: Member) -> None:
        put(member, "a")
        member.put("/tulle/documents/other.yaml", "services: {stock: {}}")
        async with watched(member.url) as found:
            await until(lambda: len(found.source.documents) == 2, "both documents")
            await found.pause()
            member.delete("/tulle/documents/other.yaml")
            put(member, "b")
            revision = put(member, "c")
            member.ask("kv/compaction", revision=str(revision), physical=True)
            found.go_on()
            await found.has("c")
            assert list(found.source.documents) == [DOCUMENT]
            put(member, "d")
            await found.has("d")

    play(program, tmp_path, scene)


@pytest.mark.usefixtures("impatient")
def test_one_that_is_cut_off_is_left_for_another(program: Program, tmp_path: Path) -> None:
    """Its connections stay open and nothing comes."""

    async def scene(*members: Member) -> None:
        put(members[0], "a")
        async with watched(*(member.url for member in members)) as found:
            await found.has("a")
            silent = members[found.source.turn % 3]
            silent.signal(signal.SIGSTOP)
            try:
                others = [member for member in members if member is not silent]
                await until(lambda: any(member.is_leader() for member in others), "a leader")
                put(others[0], "b")
                await found.has("b")
            finally:
                silent.signal(signal.SIGCONT)

    play(program, tmp_path, scene, 3)


def test_the_leader_is_lost(program: Program, tmp_path: Path) -> None:
    async def scene(*members: Member) -> None:
        put(members[0], "a")
        async with watched(*(member.url for member in members)) as found:
            await found.has("a")
            leader = await until(lambda: next((one for one in members if one.is_leader()), None), "leader")
            leader.kill()
            others = [member for member in members if member is not leader]
            await until(lambda: any(member.is_leader() for member in others), "another leader")
            put(others[1], "b")
            await found.has("b")
            await found.source.put("shop.yaml", (SHOP % "c").encode())
            assert found.hostnames() == ["c"]

    play(program, tmp_path, scene, 3)


def play(
    program: Program, folder: Path, scene: Callable[..., Coroutine[Any, Any, None]], members: int = 1
) -> None:
    """A test with so many servers."""
    with cluster(program("etcd"), folder, members) as found:
        asyncio.run(scene(*found))
