"""An instance of a service: its application and the sidecar beside it, on an address of their own."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from tulle.proxy.demo.client import Client
from tulle.proxy.demo.processes import Process, start_backend
from tulle.proxy.demo.shop import documents
from tulle.proxy.demo.shop.network import ADMIN_PORT, APPLICATION_PORT, OUTBOUND_PORT
from tulle.proxy.demo.shop.services import Service, server
from tulle.proxy.demo.sidecar import Sidecar
from tulle.proxy.failure import Failure

READY_TIMEOUT = 120.0  # seconds from its start until a sidecar has its part of the mesh
ASKED_EVERY = 0.05


class Instance:
    """Owns its two processes and its folder. `fallen` is called when the sidecar leaves of itself."""

    def __init__(
        self, service: Service, version: int, host: str, folder: Path, fallen: Callable[[Failure], None]
    ) -> None:
        self.service = service
        self.version = version
        self.host = host
        self.folder = folder / f"{server(service, version)}-{host}"
        self.fallen = fallen
        self.application: Process | None = None
        self.sidecar: Sidecar | None = None
        self.watching: asyncio.Task[None] | None = None

    async def start(self, control: str, token: str, outbound: str = "", words: tuple[str, ...] = ()) -> None:
        """Until the sidecar has enrolled by the token and serves its part of the mesh.

        `words` are those of the application, by default the service's. `Failure` when it does not come up;
        what there is of it is to be stopped all the same.
        """
        self.folder.mkdir(mode=0o700)
        (self.folder / "token").write_text(token)
        file = self.folder / "sidecar.yaml"
        file.write_text(documents.sidecar(self.host, control, self.folder, outbound))
        name = server(self.service, self.version)
        module, *more = words or self.service.words or ("",)
        if module:
            calls = [f"{self.host}:{OUTBOUND_PORT}"] if self.service.calls else []
            self.application, _ = await start_backend(
                name, module, *more, *calls, host=self.host, port=APPLICATION_PORT
            )
        self.sidecar = await Sidecar.start(file, f"sidecar of {name}")
        self.watching = asyncio.create_task(self._watch(self.sidecar))
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                await self._ready()
        except TimeoutError:
            raise Failure(f"{name} has no part of the mesh; its sidecar says:", *self.sidecar.said) from None

    async def stop(self) -> None:
        """The sidecar drains and leaves, then the application; nothing of them is left."""
        if self.watching is not None:
            self.watching.cancel()
        if self.sidecar is not None:
            await self.sidecar.stop()
        if self.application is not None:
            await self.application.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _ready(self) -> None:
        while True:
            try:
                client = await Client.connect(self.host, ADMIN_PORT)
                try:
                    if (await client.get(self.host, "/ready")).status == 200:
                        return
                finally:
                    client.close()
            except (OSError, ValueError):
                pass  # it has just begun
            await asyncio.sleep(ASKED_EVERY)

    async def _watch(self, sidecar: Sidecar) -> None:
        try:
            await sidecar.end()
        except Failure as failure:
            self.fallen(failure)
