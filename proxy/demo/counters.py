"""What only the sidecar knows: how often it has tried again, read from its admin address."""

import asyncio
from collections import deque

from prometheus_client.parser import text_string_to_metric_families

from tulle.proxy.demo.client import Client
from tulle.proxy.demo.figures import WINDOW

PATIENCE = 1.0  # seconds
PAUSE = 0.5  # seconds between two readings
PATH = "/stats/prometheus"
RETRIES = "tulle_retries_total"


class Retries:
    """The retries of one cluster. `total` is None until the sidecar has said it."""

    def __init__(self, address: tuple[str, int], cluster: str) -> None:
        self.host, self.port = address
        self.cluster = cluster
        self.readings: deque[tuple[float, float]] = deque()  # (time of the loop, sum)

    @property
    def total(self) -> float | None:
        return self.readings[-1][1] if self.readings else None

    def rate(self) -> float | None:
        """A second, over the last readings; None while there are not two."""
        if len(self.readings) < 2:
            return None
        (first, before), (last, now) = self.readings[0], self.readings[-1]
        return (now - before) / (last - first)

    async def run(self) -> None:
        """Read again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            found = await self._read()
            now = loop.time()
            if found is not None:
                self.readings.append((now, found))
            while len(self.readings) > 2 and self.readings[0][0] < now - WINDOW:
                self.readings.popleft()
            await asyncio.sleep(PAUSE)

    async def _read(self) -> float | None:
        client = None
        try:
            async with asyncio.timeout(PATIENCE):
                client = await Client.connect(self.host, self.port)
                answer = await client.get(f"{self.host}:{self.port}", PATH)
            return sum_of(answer.body.decode(), RETRIES, self.cluster) if answer.status == 200 else None
        except (OSError, ValueError, TimeoutError):
            return None
        finally:
            if client:
                client.close()


def sum_of(text: str, name: str, cluster: str) -> float:
    """Of all samples of a metric with this cluster. ValueError when the text is not Prometheus's format."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels.get("cluster") == cluster
    )
