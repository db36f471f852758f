"""Follows the control plane for a sidecar: enrols, renews its certificate, takes updates; for ever.

Whatever happens, the last good part stays in use. An update is written beside it, tried by `install`, and
takes its place when all workers have it; then it is acknowledged. A refusal goes back with its reasons.
"""

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

import tulle
from tulle.controlplane.address import SocketAddress, parse_address
from tulle.controlplane.client import dial
from tulle.controlplane.client.backoff import Backoff
from tulle.controlplane.client.dial import DialError
from tulle.controlplane.client.disk_state import (
    BUNDLE,
    CERTIFICATE,
    KEY,
    Facts,
    SavedPart,
    SavedResource,
    StateDirectory,
)
from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.tokens import LONGEST_TOKEN, TokenError, read_claims
from tulle.controlplane.mesh.resources import Key, resource, version_of
from tulle.controlplane.plane import wire
from tulle.controlplane.plane.http2 import Connection, Lost

DUE = 2 / 3  # of a certificate's life
JITTER = 0.05  # of it, to either side
RENEWAL_PAUSE = 5.0  # seconds between tries to renew, at least; a tenth of what is left otherwise
MOST_TOKENS = 1000  # that are tried
SETTLED = 10.0  # seconds that a stream has to last for the back-off to begin anew

Install = Callable[[Path], Awaitable[list[str]]]


class TokenRefused(IdentityError):
    """The control plane does not take a token."""


class Where(NamedTuple):
    """What a sidecar is told of its control plane."""

    addresses: tuple[str, ...]
    state_dir: str
    token_file: str | None


class Standing(msgspec.Struct):
    """How it stands between sidecar and control plane, for its admin pages."""

    connected: bool = False
    since: float = 0.0  # connected, or away, since; seconds since 1970
    address: str = ""
    identity: str = ""
    version: str = ""  # of the part in use
    refused_version: str = ""
    error: str = ""
    certificate_expires: float = 0.0
    updates: int = 0
    refusals: int = 0
    reconnects: int = 0
    renewals: int = 0


class Follower:
    """One sidecar's. `report` is told whenever its standing has changed; `say` is for lines for people."""

    def __init__(
        self,
        where: Where,
        install: Install,
        report: Callable[[Standing], None],
        say: Callable[[bool, str], None],
    ) -> None:
        self.where = where
        self.addresses = [parse_address(address) for address in where.addresses]
        self.install = install
        self.report = report
        self.say = say
        self.state = StateDirectory(Path(where.state_dir))
        self.standing = Standing(since=time.time())
        self.backoff = Backoff()
        self.node = ""
        self.held: dict[Key, bytes] = {}
        self.payloads: dict[Key, bytes] = {}
        self.told = ""
        self.last_tokens: set[str] = set()

    async def run(self) -> None:
        """For ever. IdentityError when the state directory cannot be used."""
        self.node = self.state.prepare()
        saved = self.state.saved()
        self._hold(saved)
        self._stands()
        random.shuffle(self.addresses)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_following())
            group.create_task(self._keep_renewing())

    def _hold(self, part: SavedPart) -> None:
        self.held = {(one.kind, one.name): one.digest for one in part.resources}
        self.payloads = {(one.kind, one.name): one.payload for one in part.resources}
        self.standing.version = part.version

    # -- the stream ---------------------------------------------------------------------------------------

    async def _keep_following(self) -> None:
        turn = 0
        while True:
            address = self.addresses[turn % len(self.addresses)]
            turn += 1
            began = time.monotonic()
            try:
                if not self.state.is_enrolled():
                    await self._enrol(address)
                await self._follow(address)
            except (DialError, Lost, wire.WireError, msgspec.MsgspecError, IdentityError) as error:
                self._away(str(error))
            if time.monotonic() - began >= SETTLED:
                self.backoff.worked()
            await asyncio.sleep(self.backoff.pause())

    def _away(self, reason: str) -> None:
        standing = self.standing
        if standing.connected:
            standing.connected = False
            standing.since = time.time()
            standing.reconnects += 1
        standing.error = reason
        if self.told != reason:
            self.told = reason
            serves = (
                f"version {standing.version} serves on"
                if standing.version
                else "nothing of the mesh is served"
            )
            self.say(True, f"no control plane: {reason}; {serves}")
        self._stands()

    async def _follow(self, address: SocketAddress) -> None:
        facts = self.state.facts()
        assert facts is not None
        context = dial.mutual(*(self.state.path(name) for name in (BUNDLE, CERTIFICATE, KEY)))
        async with dial.connection(address, context, facts.trust_domain) as connection:
            stream = connection.request("POST", wire.PATH, "control", end=False)
            held = [wire.Held(*key, digest) for key, digest in self.held.items()]
            await stream.send(wire.frame(wire.Hello(self.node, held, tulle.__version__, facts.expires)))
            async with asyncio.timeout(dial.PATIENCE):
                status = await stream.answered()
            if status != 200:
                text = (await stream.read_all(4096)).decode(errors="replace").strip()
                raise DialError(f"{address}: {text or f'status {status}'}")
            self._connected(str(address))
            async for message in wire.frames(stream.read, wire.LARGEST_TO_SIDECAR):
                answer = await self._take(wire.decode_update(message))
                await stream.send(wire.frame(answer))
        raise DialError(f"{address}: has ended the stream")

    def _connected(self, address: str) -> None:
        standing = self.standing
        standing.connected, standing.since = True, time.time()
        standing.address, standing.error = address, ""
        self.told = ""
        self.say(False, f"connected to the control plane at {address}")
        self._stands()

    async def _take(self, update: wire.Update) -> wire.Taken | wire.Refused:
        """Have an update in use, or say why not."""
        payloads = dict(self.payloads) if update.base else {}
        for kind, name in update.removed:
            payloads.pop((kind, name), None)
        payloads.update({(one.kind, one.name): one.payload for one in update.changed})
        resources = [
            SavedResource(kind, name, payload, resource(payload).digest)
            for (kind, name), payload in payloads.items()
        ]
        version = version_of({(one.kind, one.name): one.digest for one in resources})
        if version != update.version:
            # what it has is not what the control plane takes it to have: it says so, and gets all of it
            self.held = {}
            raise wire.WireError("an update does not fit to what is in use; all is asked for anew")
        part = SavedPart(version, resources)
        if update.changed or update.removed or version != self.standing.version:
            bundle = payloads.get(("trust", "bundle"))
            if bundle:
                self.state.put_bundle(bundle)
            reasons = await self.install(self.state.put_candidate(part))
            if reasons:
                self.standing.refusals += 1
                self.standing.refused_version, self.standing.error = version, reasons[0]
                self.say(True, f"version {version} of the control plane is refused: {reasons[0]}")
                self._stands()
                return wire.Refused(version, reasons[: wire.MOST_REASONS])
            self._hold(part)
            self.standing.updates += 1
            self.standing.error = ""
            self._stands()
        facts = self.state.facts()
        return wire.Taken(version, facts.expires if facts else 0.0)

    # -- the certificate ----------------------------------------------------------------------------------

    async def _enrol(self, address: SocketAddress) -> None:
        """The first certificate, for a token. DialError, IdentityError when there is none.

        Of several tokens others may have used some: they are tried until one is taken.
        """
        tokens = self._tokens()
        made: tuple[bytes, bytes] | None = None
        for number, token in enumerate(tokens, 1):
            claims = read_claims(token)
            bundle = await dial.roots(address, claims.roots)
            trust_domain = claims.identity.removeprefix("spiffe://").partition("/")[0]
            made = key, request = made or await make_request_apart()
            try:
                async with dial.connection(address, dial.knowing(bundle), trust_domain) as connection:
                    body = msgspec.msgpack.encode(wire.Enrol(token, request))
                    await self._issued(connection, "/v1/enrol", body, key, claims.identity)
            except TokenRefused:
                if number == len(tokens):
                    raise
            else:
                self.say(False, f"enrolled as {claims.identity}")
                return

    def _tokens(self) -> list[str]:
        """What `token_file` has, or each file of it, in any order: so those who share it seldom meet."""
        if self.where.token_file is None:
            raise IdentityError(
                "there is no certificate yet, and no join token: set control_plane.token_file"
            )
        path = Path(self.where.token_file)
        try:
            files = [path]
            if path.is_dir():
                files = [one for one in path.iterdir() if not one.name.startswith(".") and one.is_file()]
                random.shuffle(files)
            found = [
                one.read_bytes()[: LONGEST_TOKEN + 1].decode("ascii", "replace").strip() for one in files
            ]
        except OSError as error:
            raise IdentityError(f"{path}: the join token cannot be read: {error.strerror}") from None
        if not any(found):
            raise TokenError("malformed", f"{path} is empty")
        return [token for token in found if token][:MOST_TOKENS]

    async def _keep_renewing(self) -> None:
        while True:
            facts = self.state.facts()
            if facts is None or not self.state.is_enrolled():
                await asyncio.sleep(1.0)
                continue
            life = facts.expires - facts.issued
            due = facts.issued + life * (DUE + random.uniform(-JITTER, JITTER))
            left = due - time.time()
            if left > 0:
                await asyncio.sleep(min(left, 60.0))
                if left > 60.0:
                    continue
            if not await self._renew():
                left = facts.expires - time.time()
                if left <= 0 and self.where.token_file is not None:
                    await self._enrol_again()
                await asyncio.sleep(max(RENEWAL_PAUSE if life > 60 else 0.5, left / 10))

    async def _renew(self) -> bool:
        """Another certificate for the one that there is."""
        facts = self.state.facts()
        assert facts is not None
        for address in self.addresses:
            try:
                context = dial.mutual(*(self.state.path(name) for name in (BUNDLE, CERTIFICATE, KEY)))
                key, request = await make_request_apart()
                async with dial.connection(address, context, facts.trust_domain) as connection:
                    await self._issued(connection, "/v1/renew", request, key, facts.identity)
                self.standing.renewals += 1
                self._stands()
                return True
            except (DialError, IdentityError, msgspec.MsgspecError) as error:
                left = facts.expires - time.time()
                self.say(True, f"the certificate cannot be renewed: {error}; {ends(left)}")
        return False

    async def _enrol_again(self) -> None:
        """Its certificate has expired: there may be another token."""
        with contextlib.suppress(DialError, IdentityError, msgspec.MsgspecError):
            tokens = set(self._tokens())
            if tokens != self.last_tokens:
                self.last_tokens = tokens
                await self._enrol(self.addresses[0])

    async def _issued(
        self, connection: Connection, path: str, body: bytes, key: bytes, identity: str
    ) -> None:
        status, answer = await dial.ask(connection, "POST", path, body, most=1 << 20)
        if status != 200:
            kind = TokenRefused if status == 401 else IdentityError
            raise kind(answer.decode(errors="replace").strip() or f"status {status}")
        issued = msgspec.msgpack.decode(answer, type=wire.Issued)
        facts = Facts(identity, time.time(), issued.not_after)
        self.state.put_identity(key, issued.chain, issued.bundle, facts)
        self._stands()

    def _stands(self) -> None:
        facts = self.state.facts()
        if facts is not None:
            self.standing.identity = facts.identity
            self.standing.certificate_expires = facts.expires
        self.report(self.standing)


async def make_request_apart() -> tuple[bytes, bytes]:
    """Key and request, made by a process of their own. IdentityError when it fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tulle.controlplane.identity.csr", stdout=asyncio.subprocess.PIPE
    )
    made, _ = await process.communicate()
    key, begin, request = made.partition(b"-----BEGIN CERTIFICATE REQUEST-----")
    if process.returncode != 0 or not begin:
        raise IdentityError("a key could not be made; see above")
    return key, begin + request


def ends(left: float) -> str:
    return f"it has expired {-left:.0f} s ago" if left <= 0 else f"it is good for another {left:.0f} s"
