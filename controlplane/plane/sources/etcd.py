"""etcd as a source: documents, endpoints with leases, and the join tokens that were used.

    PREFIX documents/NAME               a document, as in a directory
    PREFIX endpoints/SERVICE/ADDRESS    an endpoint, mostly with a lease
    PREFIX tokens/ID                    a token that was used, until it would have expired

It is read whole once, then watched from that revision on. A watch that breaks is taken up where it was, at
any of the endpoints; when its revision has been compacted, all is read again. A watch can also fall silent,
as when its member has lost the others: so now and again a read that a majority must agree to tells whether
it has missed something. While etcd is away, what it had serves on.

By etcd's JSON gateway, which every server has (etcd API v3).
"""

import asyncio
import random
import ssl
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tulle.controlplane.address import parse_address
from tulle.controlplane.load import Document
from tulle.controlplane.mesh.load import Fault, Lease, MeshError, Part, parse_part
from tulle.controlplane.mesh.model import EtcdSource
from tulle.controlplane.model_clusters import Endpoint
from tulle.controlplane.plane.sources.base import Content, SourceError
from tulle.controlplane.plane.sources.http1 import Exchange, HttpError, Place, post
from tulle.controlplane.problems import Problem

DOCUMENTS, ENDPOINTS, TOKENS = "documents/", "endpoints/", "tokens/"
KINDS = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml"}
CHECK_INTERVAL = 5.0  # seconds between looks whether the watch has missed something
PAUSE = 0.2  # seconds until another endpoint is tried, at first
LONGEST_PAUSE = 5.0
CATCH_UP = 10.0  # seconds that the watch has to bring what was written


class Compacted(Exception):
    """What the watch would begin with is gone."""


class Etcd:
    """One etcd cluster. `folder` is what paths of its settings are relative to."""

    def __init__(self, settings: EtcdSource, folder: Path, complain: Callable[[str], None]) -> None:
        self.prefix = settings.prefix if settings.prefix.endswith("/") else settings.prefix + "/"
        self.places = [_place(url, settings, folder) for url in settings.endpoints]
        self.complain = complain
        self.on_change: Callable[[], None] = lambda: None
        self.documents: dict[str, tuple[Part | None, tuple[Fault, ...]]] = {}
        self.leases: dict[str, Lease | None] = {}
        self.known = False
        self.revision = 0  # up to which all is known
        self.turn = 0  # which place is asked
        self.trouble = "not read yet"
        self.moved = asyncio.Condition()

    # -- follow -------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        pause = PAUSE
        while True:
            began = time.monotonic()
            try:
                if self.revision == 0:
                    await self._read_all()
                await self._follow()
            except Compacted:
                self.revision = 0
                continue
            except (HttpError, msgspec.MsgspecError, KeyError, ValueError) as error:
                self._in_trouble(str(error))
            if time.monotonic() - began > LONGEST_PAUSE:
                pause = PAUSE
            self.turn += 1
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _read_all(self) -> None:
        found = await self._post("kv/range", **self._range(self.prefix))
        fresh: dict[str, bytes] = {_text(kv["key"]): _value(kv) for kv in found.get("kvs", ())}
        for key in [*self._keys()]:
            if key not in fresh:
                self._forget(key)
        for key, value in fresh.items():
            self._put(key, value)
        self.known = True
        await self._at(int(found["header"]["revision"]))
        self.on_change()

    async def _follow(self) -> None:
        """Watch from the revision that is known, and check that nothing is missed; until either fails."""
        exchange = Exchange(self.place)
        watching = asyncio.create_task(self._take_events(exchange))
        try:
            while True:
                await asyncio.wait((watching,), timeout=CHECK_INTERVAL)
                if watching.done():
                    watching.result()
                    raise HttpError(f"{self.place}: has ended the watch")
                await self._check()
        finally:
            watching.cancel()
            exchange.close()
            await asyncio.wait((watching,))

    async def _take_events(self, exchange: Exchange) -> None:
        create = {**self._range(self.prefix), "start_revision": str(self.revision + 1)}
        body = msgspec.json.encode({"create_request": create})
        status = await exchange.begin("/v3/watch", body)
        if status != 200:
            raise HttpError(f"{self.place}: does not let watch: status {status}")
        async for line in exchange.lines():
            message = msgspec.json.decode(line)
            if "result" not in message:
                raise HttpError(f"{self.place}: {message.get('error', 'no result')}")
            result = message["result"]
            if result.get("compact_revision"):
                raise Compacted
            if result.get("canceled"):
                raise HttpError(f"{self.place}: has ended the watch: {result.get('cancel_reason', '')}")
            self._well()
            events = result.get("events", ())
            for event in events:
                key = _text(event["kv"]["key"])
                if event.get("type") == "DELETE":
                    self._forget(key)
                else:
                    self._put(key, _value(event["kv"]))
            if events:
                await self._at(max(int(event["kv"]["mod_revision"]) for event in events))
                tokens = self.prefix + TOKENS
                if not all(_text(event["kv"]["key"]).startswith(tokens) for event in events):
                    self.on_change()

    async def _check(self) -> None:
        """A read that a majority agrees to: whether there is something that the watch has not brought."""
        known = self.revision
        newest = {"sort_order": "DESCEND", "sort_target": "MOD", "limit": "1", "keys_only": True}
        found = await self._post("kv/range", **self._range(self.prefix), **newest)
        latest = max((int(kv["mod_revision"]) for kv in found.get("kvs", ())), default=0)
        self._well()
        if latest <= known:
            return
        if not await self._reached(latest, CHECK_INTERVAL):
            self.revision = 0
            raise HttpError(f"{self.place}: the watch has missed something; all is read again")

    async def _at(self, revision: int) -> None:
        async with self.moved:
            self.revision = max(self.revision, revision)
            self.moved.notify_all()
        self._well()

    async def _reached(self, revision: int, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds), self.moved:
                await self.moved.wait_for(lambda: self.revision >= revision)
        except TimeoutError:
            return False
        return True

    def _well(self) -> None:
        if self.trouble and self.revision:
            self.trouble = ""

    def _in_trouble(self, reason: str) -> None:
        trouble = f"etcd cannot be followed: {reason}; what it had serves on"
        if not self.trouble or self.trouble == "not read yet":
            self.complain(trouble)
        self.trouble = trouble

    # -- what there is ------------------------------------------------------------------------------------

    def content(self) -> Content:
        found = [self.documents[key] for key in sorted(self.documents)]
        return Content(
            [part for part, _ in found if part is not None],
            [lease for _, lease in sorted(self.leases.items()) if lease is not None],
            [fault for _, faults in found for fault in faults],
        )

    def _keys(self) -> list[str]:
        return [*self.documents, *self.leases]

    def _put(self, key: str, value: bytes) -> None:
        name = key.removeprefix(self.prefix)
        if name.startswith(DOCUMENTS):
            old = self.documents.get(key)
            if old is None or old[0] is None or old[0].text.text != value:
                self.documents[key] = self._document(name.removeprefix(DOCUMENTS), value)
        elif name.startswith(ENDPOINTS):
            lease = _lease(name.removeprefix(ENDPOINTS), value)
            if lease is None:
                self.complain(f"etcd {key}: is no endpoint, and is left out")
            if self.leases.get(key) != lease:
                self.leases[key] = lease

    def _forget(self, key: str) -> None:
        self.documents.pop(key, None)
        self.leases.pop(key, None)

    def _document(self, name: str, value: bytes) -> tuple[Part | None, tuple[Fault, ...]]:
        origin = self.origin(name)
        kind = KINDS.get(Path(name).suffix)
        if kind is None:
            problem = Problem("file", "", "has no known ending", "Use .yaml, .toml or .json.")
            return None, (Fault(origin, problem),)
        try:
            return parse_part(origin, Document(value, kind)), ()
        except MeshError as error:
            return None, tuple(error.faults)

    # -- writing ------------------------------------------------------------------------------------------

    def origin(self, name: str) -> str:
        return f"etcd {self.prefix}{DOCUMENTS}{name}"

    async def put(self, name: str, text: bytes) -> None:
        key = _encoded(f"{self.prefix}{DOCUMENTS}{name}")
        if text:
            done = await self._write("kv/put", key=key, value=b64encode(text).decode())
        else:
            done = await self._write("kv/deleterange", key=key)
        if not await self._reached(int(done["header"]["revision"]), CATCH_UP) and text:
            raise SourceError("it is written, but etcd does not tell so; see `tulle status`")

    async def lease(self, service: str, endpoint: Endpoint, seconds: float) -> None:
        key = _encoded(f"{self.prefix}{ENDPOINTS}{service}/{endpoint.address}")
        value = b64encode(msgspec.json.encode(endpoint)).decode()
        found = (await self._write("kv/range", key=key)).get("kvs", ())
        if found and found[0].get("value") == value and found[0].get("lease", "0") != "0":
            kept = await self._write("lease/keepalive", ID=found[0]["lease"])
            if int(kept.get("result", {}).get("TTL", "0")) > 0:
                return
        granted = await self._write("lease/grant", TTL=str(max(1, round(seconds))))
        await self._write("kv/put", key=key, value=value, lease=granted["ID"])

    async def end_lease(self, service: str, address: str) -> None:
        await self._write("kv/deleterange", key=_encoded(f"{self.prefix}{ENDPOINTS}{service}/{address}"))

    async def use(self, token_id: str, expires: float, now: float) -> bool:
        key = _encoded(f"{self.prefix}{TOKENS}{token_id}")
        granted = await self._write("lease/grant", TTL=str(max(60, round(expires - now) + 60)))
        absent = {"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}
        put = {"request_put": {"key": key, "value": b64encode(b"used").decode(), "lease": granted["ID"]}}
        done = await self._write("kv/txn", compare=[absent], success=[put])
        return bool(done.get("succeeded", False))

    # -- ask ----------------------------------------------------------------------------------------------

    @property
    def place(self) -> Place:
        return self.places[self.turn % len(self.places)]

    def _range(self, prefix: str) -> dict[str, str]:
        """All keys that begin with it."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        return {"key": _encoded(prefix), "range_end": _encoded(end)}

    async def _post(self, what: str, **content: Any) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(await post(self.place, f"/v3/{what}", content))
        return found

    async def _write(self, what: str, **content: Any) -> dict[str, Any]:
        """Ask any member, the one that is watched first. SourceError when none answers.

        A write whose answer was lost may have been done: all that is written here may be written twice, but
        for tokens, and one that is lost so counts as used.
        """
        reason = ""
        for step in range(len(self.places)):
            place = self.places[(self.turn + step) % len(self.places)]
            try:
                found: dict[str, Any] = msgspec.json.decode(await post(place, f"/v3/{what}", content))
                return found
            except (HttpError, msgspec.MsgspecError) as error:
                reason = str(error)
        raise SourceError(f"etcd: {reason}")


def _place(url: str, settings: EtcdSource, folder: Path) -> Place:
    parts = urlsplit(url)
    context = None
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=folder / settings.ca if settings.ca else None)
        if settings.certificate is not None and settings.key is not None:
            context.load_cert_chain(folder / settings.certificate, folder / settings.key)
    return Place(parts.hostname or "", parts.port or 2379, context)


def _lease(name: str, value: bytes) -> Lease | None:
    service, _, address = name.partition("/")
    try:
        endpoint = msgspec.json.decode(value, type=Endpoint)
        parse_address(endpoint.address)
    except (msgspec.MsgspecError, ValueError):
        return None
    return Lease(service, endpoint) if endpoint.address == address else None


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _text(encoded: str) -> str:
    return b64decode(encoded).decode(errors="replace")


def _value(kv: dict[str, Any]) -> bytes:
    return b64decode(kv.get("value", ""))
