"""What only a sidecar knows: which endpoints of a service it leaves out, because they fail."""

import asyncio
import json

from tulle.proxy.demo.client import Client
from tulle.proxy.demo.shop.network import ADMIN_PORT

PATIENCE = 2.0  # seconds that an answer may take
PAUSE = 1.0  # seconds between two readings


class Ejected:
    """`hosts` are those of the last reading, `times` how often one was put out."""

    def __init__(self, host: str, service: str) -> None:
        """Of a service, as the sidecar with this address sees it."""
        self.host = host
        self.service = service
        self.hosts: list[str] = []
        self.times = 0

    async def run(self) -> None:
        """Read again and again, until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(PAUSE)

    async def read(self) -> None:
        """Once more, if the sidecar answers in time."""
        client = None
        try:
            async with asyncio.timeout(PATIENCE):
                client = await Client.connect(self.host, ADMIN_PORT)
                answer = await client.get(self.host, "/clusters?format=json")
            endpoints = json.loads(answer.body)[self.service]["endpoints"]
            self.hosts = [
                address.rpartition(":")[0]
                for address, one in endpoints.items()
                if one["health"] in ("ejected", "probed")
            ]
            self.times = sum(one["ejections"] for one in endpoints.values())
        except (OSError, ValueError, KeyError, TimeoutError):
            pass  # what is not known stays as it was
        finally:
            if client:
                client.close()
