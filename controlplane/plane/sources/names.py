"""DNS as a source: endpoints of services that are given by a name, followed as long as their TTL says.

With a port a name's A and AAAA records are the endpoints; without one its SRV records are (RFC 2782), with
their ports, priorities and weights. A name that is not answered for keeps what it had: an error of DNS
takes no endpoint away. One that never was answered holds the mesh back for a while, since sidecars may have
what a former control plane has known.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver

from tulle.controlplane.address import SocketAddress, parse_address
from tulle.controlplane.mesh.load import Lease, Part
from tulle.controlplane.mesh.model import DnsName
from tulle.controlplane.model_clusters import Endpoint
from tulle.controlplane.plane.sources.base import Content

SHORTEST, LONGEST = 1.0, 300.0  # seconds that an answer holds, whatever its TTL
AGAIN = 5.0  # seconds until a name is asked for again that was not answered for
PATIENCE = 5.0  # seconds for an answer
HELD_BACK = 30.0  # seconds that a name without an answer may hold the mesh back
MOST_AT_A_TIME = 50
HIGHEST_PRIORITY = 127


class Answer(NamedTuple):
    """What a name stands for, and for how many seconds."""

    endpoints: tuple[Endpoint, ...]
    seconds: float


class NotAnswered(Exception):
    """There is no answer now; says why."""


Resolve = Callable[[DnsName], Awaitable[Answer]]


class Names:
    """All names that the services of a mesh have."""

    def __init__(self, resolve: Resolve, complain: Callable[[str], None]) -> None:
        self.resolve = resolve
        self.complain = complain
        self.on_change: Callable[[], None] = lambda: None
        self.wanted: dict[DnsName, set[str]] = {}  # the services that have it
        self.answers: dict[DnsName, tuple[Endpoint, ...]] = {}
        self.failing: dict[DnsName, str] = {}
        self.asking: dict[DnsName, asyncio.Task[None]] = {}
        self.since: dict[DnsName, float] = {}
        self.turns = asyncio.Semaphore(MOST_AT_A_TIME)

    @property
    def known(self) -> bool:
        now = time.monotonic()
        return all(name in self.answers or now - self.since[name] > HELD_BACK for name in self.wanted)

    @property
    def trouble(self) -> str:
        return "; ".join(f"DNS has no answer for {name.name}: {why}" for name, why in self.failing.items())

    def follow(self, parts: Iterable[Part]) -> None:
        """Follow the names of these documents from now on, and no others."""
        wanted: dict[DnsName, set[str]] = {}
        for part in parts:
            for service, told in part.content.services.items():
                for name in told.dns:
                    wanted.setdefault(name, set()).add(service)
        self.wanted = wanted
        for name in wanted.keys() - self.asking.keys():
            self.since[name] = time.monotonic()
            self.asking[name] = asyncio.create_task(self._keep_asking(name))
        for name in self.asking.keys() - wanted.keys():
            self.asking.pop(name).cancel()
            for known in (self.answers, self.failing, self.since):
                known.pop(name, None)

    def content(self) -> Content:
        leases = [
            Lease(service, endpoint)
            for name, services in self.wanted.items()
            for service in sorted(services)
            for endpoint in self.answers.get(name, ())
        ]
        return Content([], leases, [])

    async def watch(self) -> None:
        """Each name is followed by a task of its own."""
        await asyncio.Event().wait()

    def end(self) -> None:
        self.follow(())

    async def _keep_asking(self, name: DnsName) -> None:
        while True:
            try:
                async with self.turns:
                    answer = await self.resolve(name)
            except NotAnswered as error:
                if name not in self.failing:
                    effect = "its last endpoints stay" if name in self.answers else "it has no endpoints yet"
                    self.complain(f"DNS has no answer for {name.name}: {error}; {effect}")
                self.failing[name] = str(error)
                await asyncio.sleep(AGAIN)
                if name not in self.answers:
                    self.on_change()  # whoever waits for it may have waited long enough
                continue
            self.failing.pop(name, None)
            if self.answers.get(name) != answer.endpoints:
                self.answers[name] = answer.endpoints
                self.on_change()
            await asyncio.sleep(min(max(answer.seconds, SHORTEST), LONGEST))


class Resolver:
    """Asks the servers that are given, or those of the system."""

    def __init__(self, servers: list[str]) -> None:
        self.resolver = dns.asyncresolver.Resolver(configure=not servers)
        self.resolver.lifetime = PATIENCE
        if servers:
            places = [parse_address(server) for server in servers]
            self.resolver.nameservers = [place.host for place in places]
            self.resolver.nameserver_ports = {place.host: place.port or 53 for place in places}

    async def __call__(self, name: DnsName) -> Answer:
        if name.port is not None:
            addresses, seconds = await self._addresses(name.name)
            return Answer(tuple(_endpoint(address, name.port) for address in addresses), seconds)
        return await self._services(name.name)

    async def _services(self, name: str) -> Answer:
        found = await self._ask(name, "SRV")
        if found is None:
            return Answer((), AGAIN)
        records = sorted(found, key=lambda record: (record.priority, record.port, str(record.target)))
        ranks = {priority: rank for rank, priority in enumerate(sorted({one.priority for one in records}))}
        seconds = float(found.rrset.ttl) if found.rrset is not None else AGAIN
        endpoints = []
        for record in records:
            addresses, own = await self._addresses(str(record.target).rstrip("."))
            seconds = min(seconds, own)
            for address in addresses:
                priority = min(ranks[record.priority], HIGHEST_PRIORITY)
                endpoints.append(_endpoint(address, record.port, max(1, record.weight), priority))
        return Answer(tuple(endpoints), seconds)

    async def _addresses(self, host: str) -> tuple[list[str], float]:
        addresses: list[str] = []
        seconds = LONGEST
        for kind in ("A", "AAAA"):
            found = await self._ask(host, kind)
            if found is not None:
                addresses += sorted(record.address for record in found)
                if found.rrset is not None:
                    seconds = min(seconds, float(found.rrset.ttl))
        return addresses, seconds if addresses else AGAIN

    async def _ask(self, name: str, kind: str) -> dns.resolver.Answer | None:
        """The records; None when there are certainly none. NotAnswered when that is not known."""
        try:
            return await self.resolver.resolve(name, kind, search=False)
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            return None
        except (dns.exception.DNSException, OSError) as error:
            raise NotAnswered(str(error).splitlines()[0][:200] if str(error) else "no answer") from None


def _endpoint(address: str, port: int, weight: int = 1, priority: int = 0) -> Endpoint:
    return Endpoint(address=str(SocketAddress(address, port)), weight=weight, priority=priority)
