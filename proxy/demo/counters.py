"""What only the sidecar knows, asked of its admin address: how often it tried again, and its memory."""

import asyncio
import json
from collections import deque
from typing import Any, NamedTuple

from tulle.proxy.demo.client import Client
from tulle.proxy.demo.figures import WINDOW

PATIENCE = 10.0  # seconds that an answer may take
PAUSE = 1.0  # seconds between two readings


class Reading(NamedTuple):
    """`at`: time of the loop; `retries`: sum since the sidecar began; `memory`: bytes (PSS) of all of it."""

    at: float
    retries: int
    memory: int


class Counters:
    """Readings of the last seconds, about one cluster; none until the sidecar has answered."""

    def __init__(self, address: tuple[str, int], cluster: str) -> None:
        self.host, self.port = address
        self.cluster = cluster
        self.readings: deque[Reading] = deque()

    @property
    def last(self) -> Reading | None:
        return self.readings[-1] if self.readings else None

    def retry_rate(self) -> float | None:
        """Retries a second; None while there are not two readings."""
        if len(self.readings) < 2:
            return None
        first, last = self.readings[0], self.readings[-1]
        return (last.retries - first.retries) / (last.at - first.at)

    async def run(self) -> None:
        """Read again and again, until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(PAUSE)

    async def read(self) -> None:
        """One more reading, if the sidecar answers in time."""
        client = None
        try:
            async with asyncio.timeout(PATIENCE):
                client = await Client.connect(self.host, self.port)
                clusters = await self._page(client, "/clusters")
                memory = await self._page(client, "/memory")
            now = asyncio.get_running_loop().time()
            self.readings.append(Reading(now, clusters[self.cluster]["retries"], memory["Pss"]))
            while self.readings[0].at < now - WINDOW:
                self.readings.popleft()
        except (OSError, ValueError, KeyError, TimeoutError):
            pass  # what is not known is not shown
        finally:
            if client:
                client.close()

    async def _page(self, client: Client, path: str) -> dict[str, Any]:
        answer = await client.get(f"{self.host}:{self.port}", f"{path}?format=json")
        found = json.loads(answer.body)
        if answer.status != 200 or not isinstance(found, dict):
            raise ValueError(f"{path} is not to be had")
        return found
