"""All that is up: the control plane and every instance, begun together and taken down together."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from tulle.proxy.demo.shop import documents
from tulle.proxy.demo.shop.documents import Place
from tulle.proxy.demo.shop.instance import Instance
from tulle.proxy.demo.shop.network import Network
from tulle.proxy.demo.shop.plane import Plane
from tulle.proxy.demo.shop.services import BROKEN, CART, GATEWAY, REVIEWS, SERVICES, WEB, Service
from tulle.proxy.failure import Failure


class Estate:
    """`instances` are those that serve, by their service; `all` also those that come and go."""

    def __init__(self, folder: Path, network: Network, entrance: str) -> None:
        """`entrance` is where customers come in, HOST:PORT."""
        self.folder = folder
        self.network = network
        self.entrance = entrance
        self.plane = Plane(folder)
        self.instances: dict[Service, list[Instance]] = {}
        self.all: set[Instance] = set()
        self.fallen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.control: Any = None

    async def start(self) -> None:
        """`Failure` when something does not come up; what does is to be stopped."""
        for service in SERVICES:
            self.instances[service] = [self.new(service, 1) for _ in range(service.instances)]
        broken = self.new(REVIEWS, 2)
        self.instances[REVIEWS].append(broken)
        texts = {service.name: self.document(service) for service in SERVICES}
        self.plane.begin_with(documents.mesh(self.network.control), texts)
        self.control = await self.plane.start()
        watching = asyncio.create_task(self.control.end())
        watching.add_done_callback(self._control_left)
        await together(
            *(
                self.begin(instance, BROKEN if instance is broken else ())
                for instances in self.instances.values()
                for instance in instances
            )
        )

    def new(self, service: Service, version: int) -> Instance:
        """An instance that is not begun yet, on the next address."""
        instance = Instance(service, version, self.network.next(), self.folder, self._fell)
        self.all.add(instance)
        return instance

    async def begin(self, instance: Instance, words: tuple[str, ...] = ()) -> None:
        outbound = self.entrance if instance.service == GATEWAY else ""
        token = self.plane.token(instance.service)
        await instance.start(self.network.control, token, outbound, words)

    async def end(self, instance: Instance) -> None:
        """Drain it, and have nothing left of it."""
        await instance.stop()
        self.all.discard(instance)

    async def stop(self) -> None:
        """Everything, the control plane last."""
        await asyncio.gather(*(self.end(instance) for instance in list(self.all)), return_exceptions=True)
        if self.control is not None:
            await self.control.stop()
        if not self.fallen.cancel() and not self.fallen.cancelled():
            self.fallen.exception()  # it has been told

    def document(self, service: Service, places: list[Place] | None = None) -> str:
        """Of a service as it is, or with these endpoints."""
        if places is None:
            places = [Place(one.host, f"v{one.version}") for one in self.instances[service]]
        text = documents.service(service, places)
        if service == REVIEWS:
            text += documents.retried(service)
        if service == CART:
            text += documents.guarded(service, [WEB])
        return text

    def _fell(self, failure: Failure) -> None:
        if not self.fallen.done():
            self.fallen.set_exception(failure)

    def _control_left(self, watching: "asyncio.Task[None]") -> None:
        if not watching.cancelled() and isinstance(failure := watching.exception(), Failure):
            self._fell(failure)


async def together(*works: Awaitable[None]) -> None:
    """All at once; when one fails, none of the others goes on."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()  # once: what it then does to end well is not to be cut short
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()
