"""The sidecar: `tulle proxy` as a child, and the reloads that it is asked for."""

import asyncio
import signal
from pathlib import Path

from tulle.proxy.demo.processes import Process
from tulle.proxy.demo.speaker import Speaker
from tulle.proxy.failure import Failure

RELOAD_TIMEOUT = 30.0  # seconds


class Sidecar(Speaker):
    """A running sidecar."""

    def __init__(self, process: Process) -> None:
        super().__init__(process)
        self.reloads = 0  # that it has taken, whoever asked for them
        self.refusals = 0

    @classmethod
    async def start(cls, configuration: Path, name: str = "sidecar") -> "Sidecar":
        """Until it accepts connections. `Failure` with its own words when it does not come up."""
        return await cls.begin(name, "proxy", "-c", str(configuration))

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
                await self.until(lambda: self.reloads + self.refusals > answered)
        except TimeoutError:
            text = f"no word about the reload in {RELOAD_TIMEOUT:.0f} s; the sidecar says:"
            raise Failure(text, *self.said) from None
        if self.reloads == taken:
            raise Failure("the sidecar has refused the new configuration:", *self.said)
        return loop.time() - began

    def heard(self, line: str) -> None:
        super().heard(line)
        self.reloads += line.startswith("reloaded")
        self.refusals += line.startswith("reload refused")
