"""Advice of a model that thinks aloud: `python -m tulle.proxy.demo.shop.advice NAME SOCKET`.

Each answer is a stream of server-sent events, a word an event, and `[DONE]` at its end.
"""

import asyncio
import random
import sys
from collections.abc import AsyncIterator

from tulle.proxy.demo.application import Application, Reply, run

WORDS = ["a", "hat", "suits", "you", "and", "this", "one", "keeps", "the", "rain", "off", "as", "well"]
LEAST_PAUSE, MOST_PAUSE = 0.05, 0.2  # seconds between two words
END = b"data: [DONE]\n\n"


class Advice(Application):
    """Gives the same advice each time, word by word."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def reply(self, path: str) -> Reply:
        return Reply(200, self._events(), self.name, "text/event-stream")

    async def _events(self) -> AsyncIterator[bytes]:
        for word in (f"{self.name}:", *WORDS):
            yield f"data: {word}\n\n".encode()
            await asyncio.sleep(random.uniform(LEAST_PAUSE, MOST_PAUSE))
        yield END


if __name__ == "__main__":
    asyncio.run(run(Advice(sys.argv[1]).serve, int(sys.argv[2])))
