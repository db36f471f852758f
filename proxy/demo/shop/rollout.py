"""Rolling deployments: a service gets its next version while others call it, one service after the other.

The new instances begin beside the old ones and enrol; they get a share of the requests, then half, then all,
each step a document that is applied and waited for; what nobody calls any more drains and goes.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import NamedTuple

from tulle.proxy.demo.shop.documents import Place
from tulle.proxy.demo.shop.estate import Estate, together
from tulle.proxy.demo.shop.services import ROLLED, Service

SHARES = (10, 50, 100)  # per cent for the new version


class Deployment(NamedTuple):
    """What has been replaced by what."""

    service: Service
    version: int  # the new one
    instances: int


class Rollout:
    """`share` is what the mesh was last told of `service`; `done` are the deployments that are complete."""

    def __init__(self, estate: Estate, step: float, tell: Callable[[str], None]) -> None:
        """`step`: seconds between two steps, 0: none is made. `tell` gets a line for each."""
        self.estate = estate
        self.step = step
        self.tell = tell
        self.service: Service = ROLLED[0]
        self.share = 0
        self.doing = "nothing is deployed"
        self.done: list[Deployment] = []

    @property
    def replaced(self) -> int:
        """Instances that have given way to others."""
        return sum(one.instances for one in self.done)

    async def run(self) -> None:
        """Until cancelled. `Failure` when a step is refused, or what is new does not come up."""
        if not self.step:
            await asyncio.Event().wait()
        for service in itertools.cycle(ROLLED):
            await asyncio.sleep(self.step)
            await self.deploy(service)

    async def deploy(self, service: Service) -> None:
        """The next version of a service in place of the one that serves."""
        estate = self.estate
        old = estate.instances[service]
        version = old[0].version + 1
        self.service, self.share = service, 0
        self.doing = f"{service.name} v{version} begins beside v{version - 1}"
        new = [estate.new(service, version) for _ in old]
        await together(*(estate.begin(instance) for instance in new))
        hosts = ", ".join(instance.host for instance in new)
        self.tell(f"{service.name}: v{version} has enrolled and is ready beside v{version - 1}: {hosts}")
        for share in SHARES:
            places = [Place(one.host, f"v{one.version}", 100 - share) for one in old if share < 100]
            places += [Place(one.host, f"v{one.version}", share) for one in new]
            split = f"{100 - share}/{share}"
            self.doing = f"{service.name} v{version - 1}/v{version}: {split}"
            began = asyncio.get_running_loop().time()
            said = await estate.plane.apply(service.name, estate.document(service, places))
            took = asyncio.get_running_loop().time() - began
            self.share = share
            self.tell(f"{service.name}: {split}; {said} ({took:.1f} s)")
            if share < 100:
                await asyncio.sleep(self.step)
        estate.instances[service] = new
        self.doing = f"{service.name} v{version - 1} drains"
        await together(*(estate.end(instance) for instance in old))
        self.done.append(Deployment(service, version, len(old)))
        self.doing = f"{service.name} v{version} is in place"
        gone = f"{len(old)} instance{'s' * (len(old) != 1)} of v{version - 1}"
        self.tell(f"{service.name}: v{version} is in place; {gone} drained and gone")
