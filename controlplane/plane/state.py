"""The mesh that is in force, and the sidecars that are to follow it.

A new mesh is taken whole or refused whole; what is refused is told, and the former goes on. Owns nothing that
its sources do not hold, but for what sidecars have said of themselves.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from tulle.controlplane.findings import Finding
from tulle.controlplane.mesh.load import Leased, MeshError, Part, load_mesh
from tulle.controlplane.mesh.model import Mesh, spiffe_id
from tulle.controlplane.mesh.part import Catalogue
from tulle.controlplane.mesh.resources import Key, Resource, resource, version_of
from tulle.controlplane.plane.figures import Figures
from tulle.controlplane.plane.session import Session
from tulle.controlplane.plane.sources.base import Content

TRUST: Key = ("trust", "bundle")
REMEMBERED = 3600.0  # seconds that a sidecar is told of after it has gone


class Difference(NamedTuple):
    """What a change means for the sidecars of one identity."""

    identity: str
    changed: list[Key]
    removed: list[Key]
    sidecars: int  # that are connected


class Plane:
    """Everything that a control plane knows."""

    def __init__(self) -> None:
        self.catalogue: Catalogue | None = None
        self.trust = resource(b"")
        self.serial = 0  # of the mesh in force; rises with each
        self.refused: list[str] = []  # why what the sources have now is not in force
        self.warnings: list[str] = []
        self.odd: list[Finding] = []  # what the checks have found about the mesh in force
        self.leased = Leased()
        self.figures = Figures()
        self.sessions: dict[str, Session] = {}
        self.changed = asyncio.Event()  # something of a session or the mesh has changed

    @property
    def mesh(self) -> Mesh | None:
        return None if self.catalogue is None else self.catalogue.mesh

    # -- the mesh -----------------------------------------------------------------------------------------

    def take(self, content: Content, since: float | None = None) -> bool:
        """Have this mesh in force; False when it is refused, see `refused`, or nothing is different.

        `since`: when what is different came, of the monotonic clock; by default now.
        """
        if since is None:
            since = time.monotonic()
        if content.faults:
            self.refused = [fault.text for fault in content.faults]
            self.figures.loaded("refused")
            return False
        try:
            loaded = load_mesh(content.parts, self.mesh, content.leases, self.leased, self.odd)
        except MeshError as error:
            self.refused = error.lines
            self.figures.loaded("refused")
            return False
        self.refused = []
        self.warnings = [fault.text for fault in loaded.warnings]
        self.odd = loaded.odd
        if loaded.mesh == self.mesh:
            self.figures.loaded("unchanged")
            return False
        self.figures.loaded("success")
        former, self.catalogue = self.catalogue, Catalogue(loaded.mesh, self.catalogue)
        self.serial += 1
        self._wake(former, since)
        return True

    def trusts(self, bundle: bytes) -> None:
        """The roots of the trust domain, in PEM form, from now on."""
        if self.trust.payload != bundle:
            self.trust = resource(bundle)
            self._wake(None, time.monotonic())

    def part(self, identity: str) -> dict[Key, Resource]:
        """What a sidecar is to have; empty before there is a mesh."""
        if self.catalogue is None:
            return {}
        return {**self.catalogue.part(identity), TRUST: self.trust}

    def version(self, identity: str) -> str:
        return version_of({key: one.digest for key, one in self.part(identity).items()})

    def _wake(self, former: Catalogue | None, since: float) -> None:
        now = self.catalogue
        some: set[Key] | None = None
        if former is not None and now is not None and former.keys is now.keys:
            old, new = former.mesh.services, now.mesh.services
            some = {("endpoints", name) for name, service in new.items() if service is not old[name]}
        concerned: dict[str, bool] = {}
        for session in self.sessions.values():
            wake = concerned.get(session.identity)
            if wake is None:
                wake = some is None or now is None or not some.isdisjoint(now.keys_of(session.identity))
                concerned[session.identity] = wake
            if wake:
                session.wake(since)
        self.tell()

    # -- what a change would do ---------------------------------------------------------------------------

    def differences(self, content: Content, part: Part) -> list[Difference]:
        """What would change for whom with this document in place of its former. MeshError if refused."""
        if content.faults:
            raise MeshError([fault for fault in content.faults if fault.origin != part.origin])
        parts = replaced(content.parts, part)
        loaded = load_mesh(parts, None, content.leases, Leased())
        new = Catalogue(loaded.mesh)
        found = []
        for identity in sorted(self.identities(loaded.mesh)):
            before = {key: one.digest for key, one in self.part(identity).items() if key != TRUST}
            after = new.digests(identity)
            changed = sorted(key for key, digest in after.items() if before.get(key) != digest)
            removed = sorted(key for key in before if key not in after)
            if changed or removed:
                count = sum(one.connected and one.identity == identity for one in self.sessions.values())
                found.append(Difference(identity, changed, removed, count))
        return found

    def identities(self, *meshes: Mesh) -> set[str]:
        """Of all services, and of all sidecars that are known."""
        own = [self.mesh] if self.mesh is not None else []
        found = {session.identity for session in self.sessions.values()}
        for mesh in (*own, *meshes):
            for service in mesh.services.values():
                if service.identity is not None:
                    found.add(spiffe_id(mesh, service.identity))
        return found

    # -- sidecars -----------------------------------------------------------------------------------------

    def join(self, session: Session) -> Session | None:
        """A sidecar has come; the session that it had until now, which is to end."""
        self._forget()
        former = self.sessions.get(session.node)
        self.sessions[session.node] = session
        self.tell()
        return former

    def standing(self) -> tuple[Counter[str], int]:
        """How many sidecars there are in each state, and how many versions those have that are connected."""
        wanted: dict[str, str] = {}
        states: Counter[str] = Counter()
        versions = set()
        for session in self.sessions.values():
            if session.identity not in wanted:
                wanted[session.identity] = self.version(session.identity)
            states[session.state(wanted[session.identity])] += 1
            if session.connected:
                versions.add(session.active)
        return states, len(versions)

    def lagging(self) -> list[Session]:
        """The connected sidecars that do not have what they should."""
        return [
            session
            for session in self.sessions.values()
            if session.connected and session.active != self.version(session.identity)
        ]

    async def settled(self, seconds: float) -> list[Session]:
        """Wait until all connected sidecars have what they should, or have refused it; those that do not."""
        end = time.monotonic() + seconds
        while True:
            self.changed.clear()
            late = self.lagging()
            waiting = [one for one in late if one.refused_version != self.version(one.identity)]
            left = end - time.monotonic()
            if not waiting or left <= 0:
                return late
            try:
                async with asyncio.timeout(left):
                    await self.changed.wait()
            except TimeoutError:
                return self.lagging()

    def tell(self) -> None:
        self.changed.set()

    def _forget(self) -> None:
        now = time.time()
        gone = [
            node
            for node, session in self.sessions.items()
            if not session.connected and now - session.since > REMEMBERED
        ]
        for node in gone:
            del self.sessions[node]


def replaced(parts: Iterable[Part], part: Part) -> list[Part]:
    """The parts with this one in place of that of its origin."""
    return [*(one for one in parts if one.origin != part.origin), part]
