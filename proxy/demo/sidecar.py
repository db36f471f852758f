"""The sidecar: `tulle proxy` as a child, and what it says on stderr."""

import asyncio
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from tulle.proxy.demo.processes import Process
from tulle.proxy.failure import Failure

START_TIMEOUT = 30.0  # seconds
RELOAD_TIMEOUT = 30.0
KEPT_LINES = 20
PREFIX = "tulle: "


class Sidecar:
    """A running sidecar. `ended` is set when it has left, of itself or not."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.said: deque[str] = deque(maxlen=KEPT_LINES)
        self.on_line: Callable[[str], None] = lambda line: None
        self.ended = asyncio.Event()
        self.changed = asyncio.Condition()
        self.reloads = 0  # that it has taken, whoever asked for them
        self.refusals = 0
        self.ready = False
        self.listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, configuration: Path) -> "Sidecar":
        """Until it accepts connections. `Failure` with its own words when it does not come up."""
        words = ["tulle", "proxy", "-c", str(configuration)]
        sidecar = cls(await Process.start("sidecar", words, stderr=asyncio.subprocess.PIPE))
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await sidecar._until(lambda: sidecar.ready)
        except (TimeoutError, Failure):
            await sidecar.stop()
            raise Failure("the sidecar did not start; it says:", *sidecar.said) from None
        return sidecar

    async def reload(self) -> float:
        """Send SIGHUP; the seconds until every worker served by the new file.

        `Failure` when it was refused or took too long.
        """
        loop = asyncio.get_running_loop()
        taken, answered = self.reloads, self.reloads + self.refusals
        began = loop.time()
        self.process.tell(signal.SIGHUP)
        try:
            async with asyncio.timeout(RELOAD_TIMEOUT):
                await self._until(lambda: self.reloads + self.refusals > answered)
        except TimeoutError:
            text = f"no word about the reload in {RELOAD_TIMEOUT:.0f} s; the sidecar says:"
            raise Failure(text, *self.said) from None
        if self.reloads == taken:
            raise Failure("the sidecar has refused the new configuration:", *self.said)
        return loop.time() - began

    async def end(self) -> None:
        """Wait until it leaves of itself, which is a `Failure`."""
        await self.ended.wait()
        raise Failure("the sidecar has left; it says:", *self.said)

    async def stop(self) -> None:
        """Let it drain and leave."""
        await self.process.stop()
        await self.listening

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: condition() or self.ended.is_set())
        if not condition():
            raise Failure("the sidecar has left; it says:", *self.said)

    async def _listen(self) -> None:
        async for line in self._lines():
            self.said.append(line)
            self.on_line(line)
            self.ready = self.ready or line.startswith("ready")
            self.reloads += line.startswith("reloaded")
            self.refusals += line.startswith("reload refused")
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
