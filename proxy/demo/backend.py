"""One backend of the demo, as a process of its own: `python -m tulle.proxy.demo.backend NAME SOCKET MANNER`.

SOCKET is the descriptor of a listening socket that it inherits, MANNER one of `MANNERS`.
"""

import asyncio
import random
import sys
from typing import NamedTuple

from tulle.proxy.demo.application import Application, Reply, run


class Manner(NamedTuple):
    """How a backend behaves: delays in seconds, and which share of its answers is a 503."""

    least_delay: float
    most_delay: float
    failing: float


MANNERS = {
    "steady": Manner(0.0, 0.0, 0.0),
    "troubled": Manner(0.05, 0.35, 0.2),
    "broken": Manner(0.0, 0.0, 1.0),
}


class Backend(Application):
    """Answers every request with its name."""

    def __init__(self, name: str, manner: Manner) -> None:
        self.name = name
        self.manner = manner

    async def reply(self, path: str) -> Reply:
        if self.manner.most_delay:
            await asyncio.sleep(random.uniform(self.manner.least_delay, self.manner.most_delay))
        if random.random() < self.manner.failing:
            return Reply(503, f"{self.name} has failed, as it does now and then\n".encode(), self.name)
        return Reply(200, f"this is {self.name}\n".encode(), self.name)


if __name__ == "__main__":
    asyncio.run(run(Backend(sys.argv[1], MANNERS[sys.argv[3]]).serve, int(sys.argv[2])))
