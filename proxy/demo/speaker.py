"""A child that says on stderr what it does, as all of Tulle's do."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self

from tulle.proxy.demo.processes import Process
from tulle.proxy.failure import Failure

START_TIMEOUT = 120.0  # seconds; many may begin at once
KEPT_LINES = 20
PREFIX = "tulle: "


class Speaker:
    """A running child. `ended` is set when it has left, of itself or not."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.said: deque[str] = deque(maxlen=KEPT_LINES)
        self.on_line: Callable[[str], None] = lambda line: None
        self.ended = asyncio.Event()
        self.changed = asyncio.Condition()
        self.ready = False
        self.listening = asyncio.create_task(self._listen())

    @classmethod
    async def begin(cls, name: str, *words: str, folder: Path | None = None) -> Self:
        """`tulle` with these words, until it is ready. `Failure` with what it says when it does not."""
        pipe = asyncio.subprocess.PIPE
        speaker = cls(await Process.start(name, ["tulle", *words], stderr=pipe, folder=folder))
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await speaker.until(lambda: speaker.ready)
        except (TimeoutError, Failure):
            await speaker.stop()
            raise Failure(f"the {name} did not start; it says:", *speaker.said) from None
        except BaseException:
            await speaker.stop()
            raise
        return speaker

    async def end(self) -> None:
        """Wait until it leaves of itself, which is a `Failure`."""
        await self.ended.wait()
        raise Failure(f"the {self.process.name} has left; it says:", *self.said)

    async def stop(self) -> None:
        """Let it drain and leave."""
        await self.process.stop()
        await asyncio.shield(self.listening)  # whoever gives up waiting leaves it to others

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what comes of its lines. `Failure` when it leaves before that."""
        async with self.changed:
            await self.changed.wait_for(lambda: condition() or self.ended.is_set())
        if not condition():
            raise Failure(f"the {self.process.name} has left; it says:", *self.said)

    def heard(self, line: str) -> None:
        """What a line means."""
        self.ready = self.ready or line.startswith("ready")

    async def _listen(self) -> None:
        async for line in self._lines():
            self.said.append(line)
            self.on_line(line)
            self.heard(line)
            async with self.changed:
                self.changed.notify_all()
        await self.process.child.wait()
        self.ended.set()
        async with self.changed:
            self.changed.notify_all()

    async def _lines(self) -> AsyncIterator[str]:
        stream = self.process.child.stderr
        while stream and (line := await stream.readline()):
            yield line.decode(errors="replace").rstrip().removeprefix(PREFIX)
