"""`tulle control`: reads the first file, follows the sources, serves sidecars and operators."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tulle.controlplane.address import parse_address
from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.tokens import UsedOnDisk
from tulle.controlplane.mesh.load import MeshError, load_mesh, read_part
from tulle.controlplane.mesh.model import Control, Mesh
from tulle.controlplane.plane.burst import Burst
from tulle.controlplane.plane.credentials import Credentials
from tulle.controlplane.plane.server import Server
from tulle.controlplane.plane.sources.base import Source, Sources, Store
from tulle.controlplane.plane.sources.files import Files
from tulle.controlplane.plane.sources.names import Names, Resolver
from tulle.controlplane.plane.state import Plane
from tulle.controlplane.units import nanoseconds

if TYPE_CHECKING:
    from tulle.controlplane.plane.admin import Admin

SECOND = 1_000_000_000
CREDENTIALS_INTERVAL = 5.0  # seconds between looks at the CA

Say = Callable[[str], None]


class ControlError(Exception):
    """The control plane cannot begin; a line for each reason."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read_control(path: Path) -> Control:
    """The `control` section of a mesh's first file. ControlError when the file is not right."""
    try:
        part = read_part(path)
    except MeshError as error:
        raise ControlError(*error.lines) from None
    errors = [finding for finding in part.findings if finding.path[:1] == ("control",)]
    if errors:
        positions = part.positions()
        raise ControlError(*(finding.problem(positions).text(str(path)) for finding in errors))
    control = part.content.control or Control()
    try:
        parse_address(control.address, lowest_port=0)
        if control.admin is not None:
            parse_address(control.admin, lowest_port=0)
        nanoseconds(control.certificate_life)
        for server in control.dns_servers:
            parse_address(server)
    except ValueError as error:
        raise ControlError(f"{path}: control: {error}") from None
    return control


def check_files(path: Path) -> tuple[Mesh | None, list[str]]:
    """The mesh of a first file and its directories, and what is odd about it; None: what is wrong with it.

    ControlError when the file itself says nothing that could be followed.
    """
    control = read_control(path)
    directories = [path.parent / name for name in control.directories]
    files = Files(path, directories, UsedOnDisk(path.parent / control.ca / "used-tokens"))
    files.look()
    content = files.content()
    if content.faults:
        return None, [fault.text for fault in content.faults]
    try:
        loaded = load_mesh(content.parts, None, content.leases)
    except MeshError as error:
        return None, error.lines
    return loaded.mesh, [fault.text for fault in loaded.warnings]


def run(path: Path, say: Say, complain: Say, admin: str | None = None) -> None:
    """Serve until TERM or INT, with admin pages there or where the file says. ControlError when it cannot."""
    control = read_control(path)
    if admin is not None:
        control = msgspec.structs.replace(control, admin=admin)
    asyncio.run(_run(Program(path, control, say, complain)))


async def _run(program: "Program") -> None:
    leaving = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leaving.set)
    await program.begin()
    try:
        following = asyncio.create_task(program.follow())
        wanted = asyncio.create_task(leaving.wait())
        await asyncio.wait((following, wanted), return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
        following.cancel()
    finally:
        await program.end()


class Program:
    """Everything of one control plane, put together."""

    def __init__(self, path: Path, control: Control, say: Say, complain: Say) -> None:
        self.path = path
        self.control = control
        self.say = say
        self.complain = complain
        folder = path.parent
        self.ca = folder / control.ca
        directories = [folder / name for name in control.directories]
        files = Files(path, directories, UsedOnDisk(self.ca / "used-tokens"))
        self.names = Names(Resolver(control.dns_servers), complain)
        sources: list[Source] = [files, self.names]
        store: Store = files
        if control.etcd is not None:
            from tulle.controlplane.plane.sources.etcd import Etcd

            store = Etcd(control.etcd, folder, complain)
            sources.append(store)
        self.store = Sources(sources, store)
        self.plane = Plane()
        self.burst = Burst()
        self.stirred = asyncio.Event()
        self.socket = folder / control.socket if control.socket else default_socket(path)
        self.server: Server | None = None
        self.admin: Admin | None = None
        self.told: list[str] = []

    async def begin(self) -> None:
        """Read what there is, and listen. ControlError when that cannot be."""
        try:
            life = nanoseconds(self.control.certificate_life) / SECOND
            credentials = Credentials(self.ca, life)
        except IdentityError as error:
            raise ControlError(*error.lines) from None
        self.credentials = credentials
        self.plane.trusts(credentials.bundle())
        self.store.on_change = self._stir
        self.watching = asyncio.create_task(self.store.watch())
        server = Server(
            self.plane, self.store, credentials, self.control.operators, self.control.max_sidecars, self.say
        )
        address = parse_address(self.control.address, lowest_port=0)
        try:
            host, port = await server.listen(address.host, address.port or 0)
            await server.listen_locally(self.socket)
        except OSError as error:
            await server.close()
            raise ControlError(
                f"cannot listen on {self.control.address} or {self.socket}: {error.strerror or error}"
            ) from None
        self.server = server
        admin = await self._administered(server)
        places = f"sidecars at {host}:{port}, operators at {self.socket}{admin}"
        self.say(f"control plane of {credentials.trust_domain}: {places}")

    async def _administered(self, server: Server) -> str:
        """Have the admin pages served, if they are to be; where. ControlError when that cannot be."""
        if self.control.admin is None:
            return ""
        from tulle.controlplane.plane.admin import Admin
        from tulle.controlplane.plane.metrics import CONTENT_TYPE, Known, exposition

        known = Known(self.plane, self.store, self.credentials, server)
        admin = Admin(self.plane, self.store, server.operators, lambda: (exposition(known), CONTENT_TYPE))
        try:
            place = await admin.listen(parse_address(self.control.admin, lowest_port=0))
        except OSError as error:
            await self.end()
            raise ControlError(
                f"cannot listen on {self.control.admin}: {error.strerror or error}; see control.admin"
            ) from None
        self.admin = admin
        return f", admin at {place}"

    async def follow(self) -> None:
        """Take what the sources have, burst by burst, for ever."""
        renewing = asyncio.create_task(self._keep_credentials())
        try:
            while True:
                due = self.burst.due()
                left = None if due is None else due - time.monotonic()
                if left is not None and left <= 0:
                    since = self.burst.first
                    self.burst.taken()
                    self._take(since)
                    continue
                self.stirred.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self.stirred.wait()
                if self.watching.done():
                    self.watching.result()
        finally:
            renewing.cancel()

    async def end(self) -> None:
        if self.admin is not None:
            self.admin.close()
        if self.server is not None:
            await self.server.close()
        self.names.end()
        self.watching.cancel()
        await asyncio.wait((self.watching,))
        with contextlib.suppress(OSError):
            self.socket.unlink()

    def _stir(self) -> None:
        self.burst.changed(time.monotonic())
        self.stirred.set()

    def _take(self, since: float | None) -> None:
        content = self.store.content()
        self.names.follow(content.parts)
        if not self.store.known:
            return  # a mesh that lacks what is not read yet would take it away from sidecars
        taken = self.plane.take(content, since)
        if taken:
            mesh = self.plane.mesh
            assert mesh is not None
            self.say(f"mesh {self.plane.serial} is in force: {len(mesh.services):,} services")
        if self.plane.refused and self.plane.refused != self.told:
            for line in self.plane.refused:
                self.complain(line)
            self.complain("the mesh is refused" + ("; the former one stays in force" * bool(self.plane.mesh)))
        self.told = self.plane.refused

    async def _keep_credentials(self) -> None:
        while True:
            await asyncio.sleep(CREDENTIALS_INTERVAL)
            try:
                self.plane.trusts(self.credentials.refresh(time.time()))
            except IdentityError as error:
                self.complain(f"the CA cannot be used: {error}")


def default_socket(path: Path) -> Path:
    """Where operators of this machine find the control plane of a file."""
    return path.with_suffix(".sock")
