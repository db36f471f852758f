"""A control plane in this process, and light sidecars: the real protocol, and nothing behind it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from tulle.controlplane.address import parse_address
from tulle.controlplane.client import dial, follower
from tulle.controlplane.client.disk_state import CANDIDATE, PART, SavedPart, read_saved
from tulle.controlplane.client.follower import Follower, Standing, Where
from tulle.controlplane.identity.csr import make_request
from tulle.controlplane.identity.store import Store, create_store
from tulle.controlplane.identity.tokens import make_token
from tulle.controlplane.plane import wire
from tulle.controlplane.plane.program import Program, read_control

DOMAIN = "shop.example"
PATIENCE = 30.0  # seconds

MESH = """
trust_domain: shop.example
control: {address: %s, ca: %s, directories: [mesh.d], certificate_life: %s%s}
services:
  web: {identity: /ns/shop/sa/web, port: 8080, calls: [cart], endpoints: [{address: 10.0.0.1:15006}]}
"""
CART = """
services:
  cart: {identity: /ns/shop/sa/cart, port: 8081, calls: [], endpoints: [{address: %s}]}
"""


def spiffe(name: str) -> str:
    return f"spiffe://{DOMAIN}/ns/shop/sa/{name}"


async def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {PATIENCE:g} s: {what}"
        await asyncio.sleep(0.005)
    return found


class Plane:
    """A control plane on files of its own, which can be ended and begun again at the same address."""

    def __init__(self, folder: Path, life: str = "24h", more: str = "", other: "Plane | None" = None) -> None:
        """`more` are further options; `other` has the same mesh and CA."""
        self.folder = folder
        self.life = life
        self.more = more
        self.file = folder / "mesh.yaml"
        self.ca = other.ca if other else folder / "ca"
        self.store: Store = other.store if other else create_store(self.ca, DOMAIN, time.time())
        (folder / "mesh.d").mkdir(parents=True, exist_ok=True)
        self.said: list[str] = []
        self.address = "127.0.0.1:0"
        if not more:
            self.put("cart.yaml", CART % "10.0.0.2:15006")

    def put(self, name: str, text: str) -> None:
        """A document, in place as a whole."""
        draft = self.folder / "draft"
        draft.write_text(text)
        draft.replace(self.folder / "mesh.d" / name)

    def cart_at(self, *addresses: str) -> None:
        self.put("cart.yaml", CART % "}, {address: ".join(addresses))

    async def begin(self) -> "Plane":
        self.file.write_text(MESH % (self.address, self.ca, self.life, self.more))
        self.program = Program(self.file, read_control(self.file), self.said.append, self.said.append)
        await self.program.begin()
        self.following = asyncio.create_task(self.program.follow())
        assert self.program.server is not None
        host, port = self.program.server.servers[0].sockets[0].getsockname()[:2]
        self.address = f"{host}:{port}"
        await until(lambda: self.program.plane.catalogue, "a mesh in force")
        return self

    async def end(self) -> None:
        self.following.cancel()
        await self.program.end()

    def token(self, name: str, life: float = 3600.0) -> str:
        roots = tuple(one.facts.fingerprint for one in self.store.shown() if one.role != "intermediate")
        return make_token(self.store.secret(), spiffe(name), time.time(), life, roots=roots)

    def states(self) -> dict[str, str]:
        return {one.identity: one.state() for one in self.program.plane.sessions.values()}


class Sidecar:
    """Follows as a sidecar does; what it is given to install it takes, unless `refuses` says why not."""

    def __init__(
        self, folder: Path, addresses: list[str], token: str | None, token_file: Path | None = None
    ) -> None:
        self.folder = folder
        if token is not None:
            folder.parent.mkdir(exist_ok=True)
            token_file = folder.with_suffix(".token")
            token_file.write_text(token)
        self.installed: list[SavedPart] = []
        self.refuses: list[str] = []
        self.holds: asyncio.Event | None = None
        self.standing = Standing()
        self.lines: list[str] = []
        where = Where(tuple(addresses), str(folder / "state"), str(token_file) if token_file else None)
        self.follower = Follower(where, self._install, self._report, lambda _, line: self.lines.append(line))
        self.task = asyncio.create_task(self.follower.run())

    @property
    def part(self) -> SavedPart:
        return self.installed[-1] if self.installed else SavedPart("", [])

    def endpoints(self, service: str) -> bytes:
        return next(
            (one.payload for one in self.part.resources if (one.kind, one.name) == ("endpoints", service)),
            b"",
        )

    async def end(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, BaseExceptionGroup):
            await self.task

    async def _install(self, path: Path) -> list[str]:
        assert path.name == CANDIDATE
        if self.holds is not None:
            await self.holds.wait()
        if self.refuses:
            return self.refuses
        self.installed.append(read_saved(path))
        path.replace(path.with_name(PART))
        return []

    def _report(self, standing: Standing) -> None:
        self.standing = standing


class Stage:
    """All that one test has begun."""

    def __init__(self, folder: Path, life: str, more: str = "") -> None:
        self.folder = folder
        self.plane = Plane(folder, life, more)
        self.sidecars: list[Sidecar] = []

    def sidecar(self, name: str, token: str | None = "", folder: str = "", **more: Any) -> Sidecar:
        """One with a good token, unless another is given, or none is to be."""
        own = self.plane.token(name) if token == "" else token
        place = self.folder / (folder or f"{name}{len(self.sidecars)}")
        place.mkdir(exist_ok=True)
        addresses = more.get("addresses", [self.plane.address])
        self.sidecars.append(Sidecar(place, addresses, own, more.get("token_file")))
        return self.sidecars[-1]

    async def joined(self, name: str, token: str | None = "", folder: str = "", **more: Any) -> Sidecar:
        """Such a one, in sync."""
        sidecar = self.sidecar(name, token, folder, **more)
        await self.synced(sidecar, name)
        return sidecar

    async def synced(self, sidecar: Sidecar, name: str) -> None:
        await until(
            lambda: (
                sidecar.part.version
                and sidecar.part.version == self.plane.program.plane.version(spiffe(name))
                and sidecar.standing.connected
            ),
            f"{name} in sync; it said {sidecar.lines}, the control plane {self.plane.said}",
        )


@contextlib.asynccontextmanager
async def stage(folder: Path, life: str = "24h", more: str = "") -> AsyncIterator[Stage]:
    found = Stage(folder, life, more)
    apart, follower.make_request_apart = follower.make_request_apart, _request_here
    await found.plane.begin()
    try:
        yield found
    finally:
        follower.make_request_apart = apart
        for sidecar in found.sidecars:
            await sidecar.end()
        await found.plane.end()


def play(folder: Path, scene: Callable[[Stage], Coroutine[Any, Any, None]], life: str = "24h") -> None:
    """A test on a stage of its own."""

    async def run() -> None:
        async with stage(folder, life) as found:
            await scene(found)

    asyncio.run(run())


async def enrol(found: Stage, token: str) -> tuple[int, str]:
    """Status and text of an attempt with this token."""
    address = parse_address(found.plane.address)
    _, request = make_request()
    async with dial.connection(address, dial.knowing(found.plane.store.bundle()), DOMAIN) as own:
        body = msgspec.msgpack.encode(wire.Enrol(token, request))
        status, answer = await dial.ask(own, "POST", "/v1/enrol", body)
    return status, answer.decode(errors="replace")


async def _request_here() -> tuple[bytes, bytes]:
    """Without a process for each, which would be most of the time that a test takes."""
    return make_request()
