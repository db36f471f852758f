"""Steady traffic: requests at random moments, so many a second on the average, over kept-alive connections.

A request starts when its time has come, whether or not earlier ones are answered, as those of many people do;
only `MOST_AT_ONCE` bounds how many are open.
"""

import asyncio
import random
from collections.abc import Callable

from tulle.proxy.demo.client import Client
from tulle.proxy.demo.figures import Sample

MOST_AT_ONCE = 128
MOST_BEHIND = 0.5  # seconds; what could not be begun for so long is left out
PATIENCE = 10.0  # seconds that an answer may take
FAREWELL = 2.0  # seconds that the last ones may take


class Load:
    """Traffic to one path. `rate` is requests a second; `record` is called with every finished one."""

    def __init__(
        self,
        address: tuple[str, int],
        path: str,
        rate: float,
        record: Callable[[Sample], None],
        authority: str = "",
        ending: bytes = b"",
    ) -> None:
        """`authority` is who is asked for, by default the address; an answer without `ending` is none."""
        self.host, self.port = address
        self.authority = authority or f"{self.host}:{self.port}"
        self.ending = ending
        self.path = path
        self.rate = rate
        self.record = record
        self.idle: list[Client] = []
        self.open: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled; those that have begun are seen to their end, for a moment."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while True:
                due = max(due + random.expovariate(self.rate), loop.time() - MOST_BEHIND)
                await asyncio.sleep(due - loop.time())
                if len(self.open) < MOST_AT_ONCE:
                    task = asyncio.create_task(self._request())
                    self.open.add(task)
                    task.add_done_callback(self.open.discard)
        finally:
            if self.open:
                _, late = await asyncio.wait(self.open, timeout=FAREWELL)
                for task in late:
                    task.cancel()
            while self.idle:
                self.idle.pop().close()

    async def _request(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        client = None
        status, server, turned_away = 0, "", False
        try:
            async with asyncio.timeout(PATIENCE):
                client = self.idle.pop() if self.idle else await Client.connect(self.host, self.port)
                answer = await client.get(self.authority, self.path)
            if answer.body.endswith(self.ending):
                status, server, turned_away, _ = answer
        except (OSError, ValueError, TimeoutError):
            pass  # status 0: there was no answer
        finally:
            if client and client.usable:
                self.idle.append(client)
            elif client:
                client.close()
        now = loop.time()
        self.record(Sample(now, now - began, status, server, turned_away))
