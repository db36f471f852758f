"""Files and directories as a source: looked at again and again, and read when they have changed.

A directory has documents (`.yaml`, `.yml`, `.json`, `.toml`), and of the first one `leases/` the endpoints
that have registered themselves: a file each, whose time is when the lease ends. So all that is known is in
files, and a control plane that is started anew, or another on the same directory, knows the same.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from tulle.controlplane.identity import disk
from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.stamps import stamp
from tulle.controlplane.identity.tokens import UsedOnDisk
from tulle.controlplane.mesh.load import Fault, Lease, MeshError, Part, read_part
from tulle.controlplane.model_clusters import Endpoint
from tulle.controlplane.plane.sources.base import Content, SourceError

INTERVAL = 0.25  # seconds between looks
ENDINGS = (".yaml", ".yml", ".json", ".toml")
LEASES = "leases"

_Content = tuple[int, int]  # size and inode of a file: another content has others


class LeaseFile(msgspec.Struct, frozen=True):
    """What the file of a lease has."""

    service: str
    endpoint: Endpoint


class _Read(NamedTuple):
    stamp: str
    part: Part | None
    faults: tuple[Fault, ...] = ()


class Files:
    """`first` is the file that `tulle control` was given; documents are put into the first directory."""

    def __init__(self, first: Path, directories: list[Path], used: UsedOnDisk) -> None:
        self.first = first
        self.directories = directories
        self.used = used
        self.on_change: Callable[[], None] = lambda: None
        self.read: dict[Path, _Read] = {}
        self.leases: dict[Path, tuple[_Content, LeaseFile | None]] = {}
        self.trouble = ""
        self.known = False

    async def watch(self) -> None:
        while True:
            if self.look():
                self.on_change()
            await asyncio.sleep(INTERVAL)

    def look(self) -> bool:
        """Read what has changed; whether anything has."""
        before, leases = self.read, self.leases
        found = {}
        for path in self._paths():
            now = stamp(str(path))
            old = before.get(path)
            found[path] = old if old is not None and old.stamp == now else self._read(path, now)
        self.read = found
        self.leases = dict(self._leases())
        self.known = True
        return found != before or self.leases != leases

    def content(self) -> Content:
        """In the order of the file names, the first file first."""
        parts = [one.part for one in self.read.values() if one.part is not None]
        faults = [fault for one in self.read.values() for fault in one.faults]
        leases = [Lease(one.service, one.endpoint) for _, one in self.leases.values() if one is not None]
        return Content(parts, leases, faults)

    # -- writing ------------------------------------------------------------------------------------------

    def origin(self, name: str) -> str:
        return str(self.directories[0] / name) if self.directories else name

    async def put(self, name: str, text: bytes) -> None:
        path = self._store() / name
        if path.suffix not in ENDINGS or path.name != name or name.startswith("."):
            raise SourceError(f"{name!r} is no name of a document; it ends in .yaml, .json or .toml")
        try:
            if text:
                disk.write(path, text, disk.FOR_ALL)
            else:
                path.unlink(missing_ok=True)
        except (OSError, IdentityError) as error:
            raise SourceError(str(error)) from None
        self.look()
        self.on_change()

    async def lease(self, service: str, endpoint: Endpoint, seconds: float) -> None:
        path = self._lease_path(service, endpoint.address)
        try:
            path.parent.mkdir(mode=0o755, exist_ok=True)
            content = msgspec.json.encode(LeaseFile(service, endpoint))
            if not path.exists() or path.read_bytes() != content:
                draft = path.with_suffix(".draft")
                draft.write_bytes(content)
                os.utime(draft, (time.time() + seconds,) * 2)
                draft.replace(path)
            os.utime(path, (time.time() + seconds,) * 2)
        except OSError as error:
            raise SourceError(f"{path}: cannot be written: {error.strerror}") from None
        if self.look():
            self.on_change()

    async def end_lease(self, service: str, address: str) -> None:
        with suppress(OSError):
            self._lease_path(service, address).unlink()
        if self.look():
            self.on_change()

    async def use(self, token_id: str, expires: float, now: float) -> bool:
        return self.used.use(token_id, expires, now)

    # -- inside -------------------------------------------------------------------------------------------

    def _store(self) -> Path:
        if not self.directories:
            raise SourceError(
                f"there is nowhere to write to: {self.first} names no directory; write"
                " control: {directories: [mesh.d]} into it"
            )
        return self.directories[0]

    def _lease_path(self, service: str, address: str) -> Path:
        name = hashlib.sha256(f"{service} {address}".encode()).hexdigest()[:32]
        return self._store() / LEASES / f"{name}.json"

    def _paths(self) -> Iterator[Path]:
        yield self.first
        for directory in self.directories:
            with suppress(OSError):
                for name in sorted(path.name for path in directory.iterdir()):
                    if name.endswith(ENDINGS) and not name.startswith("."):
                        yield directory / name

    def _read(self, path: Path, now: str) -> _Read:
        try:
            return _Read(now, read_part(path))
        except MeshError as error:
            return _Read(now, None, tuple(error.faults))

    def _leases(self) -> Iterator[tuple[Path, tuple[_Content, LeaseFile | None]]]:
        if not self.directories:
            return
        now = time.time()
        directory = self.directories[0] / LEASES
        with suppress(OSError):
            for path in sorted(directory.glob("*.json")):
                try:
                    status = path.stat()
                except OSError:
                    continue  # it has just ended
                if status.st_mtime <= now:
                    if status.st_mtime < now - 60:
                        path.unlink(missing_ok=True)
                    continue
                # a lease that goes on has a later time and is the same
                key = (status.st_size, status.st_ino)
                old = self.leases.get(path)
                yield path, old if old is not None and old[0] == key else (key, _lease(path))


def _lease(path: Path) -> LeaseFile | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=LeaseFile)
    except (OSError, msgspec.MsgspecError):
        return None
