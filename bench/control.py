"""`python -m bench.control`: the control plane at scale, with light clients in place of sidecars.

A real `tulle control` on JSON files, the real protocol with mutual TLS; a client takes what it is sent and
says so at once. Told are the cold start (all clients at once, until each has its snapshot), how long a
change of one endpoint takes from the file until the last of those concerned has it, and what the control
plane costs.
"""

import argparse
import asyncio
import json
import random
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from bench.process import environment, python_module
from bench.report import aligned
from bench.sockets import raise_descriptor_limit
from tulle.controlplane.address import SocketAddress
from tulle.controlplane.client import dial
from tulle.controlplane.identity import disk
from tulle.controlplane.identity.csr import make_request
from tulle.controlplane.identity.request import Identity, read_request
from tulle.controlplane.identity.spiffe import parse_workload
from tulle.controlplane.identity.store import Store, create_store
from tulle.controlplane.mesh.resources import Key, resource, version_of
from tulle.controlplane.plane import wire
from tulle.proxy.admin.processes import one, parts

DOMAIN = "bench.example"
CALLS = 5  # services that each service calls
SERVICES_A_FILE = 20
DIALLING = 50  # clients that connect at a time
PATIENCE = 300.0  # seconds


def address_of(service: int, endpoint: int, turn: int = 0) -> str:
    return f"10.{service // 250}.{service % 250}.{endpoint + 1}:{15006 + turn}"


class World:
    """The mesh, written as files of some services each."""

    def __init__(self, folder: Path, sidecars: int, services: int, endpoints: int, seed: int) -> None:
        self.folder = folder
        self.sidecars = sidecars
        self.endpoints = max(1, endpoints // services)
        chance = random.Random(seed)
        self.calls = [chance.sample(range(services), min(CALLS, services)) for _ in range(services)]
        self.turns = [0] * services
        self.store: Store = create_store(folder / "ca", DOMAIN, time.time())
        (folder / "mesh.d").mkdir()
        control = {"address": "127.0.0.1:0", "directories": ["mesh.d"]}
        (folder / "mesh.json").write_text(json.dumps({"trust_domain": DOMAIN, "control": control}))
        for first in range(0, services, SERVICES_A_FILE):
            self.write(first)

    def identity(self, service: int) -> str:
        return f"/ns/bench/sa/w{service % self.sidecars}"

    def write(self, service: int) -> None:
        """The file that a service is in."""
        first = service - service % SERVICES_A_FILE
        found = {
            f"s{number}": {
                "identity": self.identity(number),
                "port": 8080,
                "calls": [f"s{called}" for called in self.calls[number]],
                "endpoints": [
                    {"address": address_of(number, index, self.turns[number] if index == 0 else 0)}
                    for index in range(self.endpoints)
                ],
            }
            for number in range(first, min(first + SERVICES_A_FILE, len(self.calls)))
        }
        draft = self.folder / "draft"
        draft.write_text(json.dumps({"services": found}))
        draft.replace(self.folder / "mesh.d" / f"{first:05}.json")

    def change(self, service: int) -> bytes:
        """Move one endpoint; what its new address is in the payload of those who get it."""
        self.turns[service] += 1
        self.write(service)
        return address_of(service, 0, self.turns[service]).encode()


class Client:
    """One sidecar as far as the control plane sees it."""

    def __init__(self, number: int, context: ssl.SSLContext, fleet: "Fleet") -> None:
        self.number = number
        self.context = context
        self.fleet = fleet
        self.digests: dict[Key, bytes] = {}
        self.endpoints: dict[str, bytes] = {}

    async def run(self, address: SocketAddress) -> None:
        async with AsyncExitStack() as stack:
            async with self.fleet.dialling:
                connection = await stack.enter_async_context(dial.connection(address, self.context, DOMAIN))
                stream = connection.request("POST", wire.PATH, "control", end=False)
                await stream.send(wire.frame(wire.Hello(f"n{self.number}", [])))
                await stream.answered()
            async for message in wire.frames(stream.read, wire.LARGEST_TO_SIDECAR):
                update = wire.decode_update(message)
                for key in update.removed:
                    self.digests.pop(key, None)
                for item in update.changed:
                    self.digests[item.kind, item.name] = resource(item.payload).digest
                    if item.kind == "endpoints":
                        self.endpoints[item.name] = item.payload
                assert version_of(self.digests) == update.version
                await stream.send(wire.frame(wire.Taken(update.version)))
                self.fleet.took(self)


class Fleet:
    """All clients."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dialling = asyncio.Semaphore(DIALLING)
        self.clients = [Client(number, self.context(number), self) for number in range(world.sidecars)]
        self.moved = asyncio.Event()
        self.ready: set[int] = set()
        self.wanted: tuple[str, bytes] = ("", b"")
        self.times: dict[int, float] = {}

    def context(self, number: int) -> ssl.SSLContext:
        world = self.world
        key, request = make_request()
        allowed = Identity(parse_workload(f"spiffe://{DOMAIN}{world.identity(number)}"))
        issued = world.store.issue(read_request(request), allowed, time.time())
        disk.write(world.folder / "own.key", key)
        disk.write(world.folder / "own.pem", issued.pem)
        return dial.mutual(
            world.folder / "ca" / "bundle.pem", world.folder / "own.pem", world.folder / "own.key"
        )

    def took(self, client: Client) -> None:
        self.ready.add(client.number)
        service, address = self.wanted
        if address and client.number not in self.times and address in client.endpoints.get(service, b""):
            self.times[client.number] = time.monotonic()
        self.moved.set()

    def concerned(self, service: str) -> int:
        return sum(service in client.endpoints for client in self.clients)

    async def until(self, count: int, found: "set[int] | dict[int, float]") -> None:
        async with asyncio.timeout(PATIENCE):
            while len(found) < count:
                self.moved.clear()
                await self.moved.wait()


async def simulate(world: World, changes: int, pause: float) -> dict[str, float]:
    """Seconds, bytes and shares, by what they are of."""
    fleet = Fleet(world)
    log = world.folder / "control.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            python_module("tulle", "control", "-c", world.folder / "mesh.json"),
            stderr=errors,
            env=environment(),
            cwd=world.folder,
        )
    tasks: list[asyncio.Task[None]] = []
    try:
        began = time.monotonic()
        while b"is in force" not in (said := log.read_bytes()):
            assert process.poll() is None, said.decode()
            await asyncio.sleep(0.05)
        loaded = time.monotonic()
        loading, own = one(process.pid).cpu, time.process_time()
        port = int(said.partition(b"127.0.0.1:")[2].partition(b",")[0])
        tasks = [asyncio.create_task(one.run(SocketAddress("127.0.0.1", port))) for one in fleet.clients]
        await fleet.until(world.sidecars, fleet.ready)
        cold = time.monotonic()
        start, clients = one(process.pid).cpu, time.process_time() - own
        lasted, took = time.monotonic(), []
        chance = random.Random(world.sidecars)
        for _ in range(changes):
            service = chance.randrange(len(world.calls))
            count = fleet.concerned(f"s{service}")
            if not count:
                continue
            fleet.times = {}
            fleet.wanted = (f"s{service}", world.change(service))
            changed = time.monotonic()
            await fleet.until(count, fleet.times)
            took += [moment - changed for moment in fleet.times.values()]
            await asyncio.sleep(pause)
        took.sort()
        work = one(process.pid).cpu - start
        return {
            "mesh loaded, s": loaded - began,
            "cold start of all, s": cold - loaded,
            "propagation p50, s": took[len(took) // 2],
            "propagation p99, s": took[min(len(took) - 1, len(took) * 99 // 100)],
            "propagation longest, s": took[-1],
            "PSS, MB": parts(process.pid)["Pss"] / 1e6,
            "CPU of loading, s": loading,
            "CPU of cold start, s": start - loading,
            "the clients' CPU of it, s": clients,
            "CPU a change, s": work / changes,
            "CPU share while changing": work / (time.monotonic() - lasted),
        }
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        process.terminate()
        process.wait(30)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.control", description=__doc__)
    parser.add_argument("--sidecars", type=int, default=1000)
    parser.add_argument("--services", type=int, default=2000)
    parser.add_argument("--endpoints", type=int, default=20_000)
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument("--pause", type=float, default=0.2, help="seconds between changes")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    raise_descriptor_limit()
    print(f"{options.sidecars} sidecars, {options.services} services, {options.endpoints} endpoints")
    with tempfile.TemporaryDirectory(prefix="tulle-bench-") as folder:
        world = World(Path(folder), options.sidecars, options.services, options.endpoints, options.seed)
        found = asyncio.run(simulate(world, options.changes, options.pause))
    for line in aligned([[name, f"{value:.3f}"] for name, value in found.items()]):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
