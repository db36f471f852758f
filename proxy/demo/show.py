"""The demo from beginning to end: bring the mesh up, let traffic flow, show it, take everything down."""

import asyncio
import itertools
import signal
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from tulle.proxy.demo import mesh
from tulle.proxy.demo.canary import SHARES, Canary
from tulle.proxy.demo.counters import Counters
from tulle.proxy.demo.figures import Figures
from tulle.proxy.demo.guide import opening
from tulle.proxy.demo.load import Load
from tulle.proxy.demo.paint import Span, Style
from tulle.proxy.demo.processes import LOOPBACK, free_ports, start_backend
from tulle.proxy.demo.sidecar import Sidecar
from tulle.proxy.demo.terminal import Terminal
from tulle.proxy.demo.view import View

USUAL_PORT = 8080  # when it is free; the admin address is the next
REPORTS_SHARE = 0.05  # of the rate, for the slow service
BACKEND = "tulle.proxy.demo.backend"
FRAME = 0.25  # seconds between two drawings


class Options(NamedTuple):
    """The command line. `seconds` 0 is no end, `step` 0 no change of the split, `port` 0 any that is free."""

    port: int
    rate: float
    step: float
    seconds: float


def run(options: Options) -> int:
    """Until the time is over or a signal comes; the exit status."""
    return asyncio.run(_run(options))


async def _run(options: Options) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the last: its terminal is closed
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tulle-demo-")))
        demo = await Demo.start(options, folder, stack)
        await demo.play(stop)
        return 0


class Demo:
    """A mesh that is up."""

    def __init__(self, options: Options, sidecar: Sidecar, file: Path, addresses: mesh.Addresses) -> None:
        self.options = options
        self.sidecar = sidecar
        self.file = file
        self.addresses = addresses
        self.terminal = Terminal()
        self.loop = asyncio.get_running_loop()
        shop, reports = Figures(self.loop.time()), Figures(self.loop.time())
        web = _endpoint(addresses.web)
        self.loads = [
            Load(web, "/", options.rate, shop.record),
            Load(web, "/reports", options.rate * REPORTS_SHARE, reports.record),
        ]
        self.canary = Canary(sidecar, file, addresses, options.step)
        self.counters = Counters(_endpoint(addresses.admin), mesh.REPORTS)
        self.view = View(shop, reports, self.counters, self.canary, self.terminal.unicode)

    @classmethod
    async def start(cls, options: Options, folder: Path, stack: AsyncExitStack) -> "Demo":
        """Backends, then the sidecar; `stack` takes them down again. `Failure` when one does not come up."""
        found = {}
        for name, manner in ((mesh.OLD, "steady"), (mesh.NEW, "steady"), (mesh.REPORTS, "troubled")):
            process, found[name] = await start_backend(name, BACKEND, manner)
            stack.push_async_callback(process.stop)
        web, admin = free_ports(USUAL_PORT, USUAL_PORT + 1)
        addresses = mesh.Addresses(
            web=f"{LOOPBACK}:{options.port or web}",
            admin=f"{LOOPBACK}:{admin}",
            old=found[mesh.OLD],
            new=found[mesh.NEW],
            reports=found[mesh.REPORTS],
        )
        file = folder / "tulle.yaml"
        mesh.write(file, mesh.configuration(addresses, SHARES[0]))
        sidecar = await Sidecar.start(file)
        stack.push_async_callback(sidecar.stop)
        return cls(options, sidecar, file, addresses)

    async def play(self, stop: asyncio.Event) -> None:
        """Traffic and figures until `stop` or the end of the time; `Failure` if the sidecar leaves first."""
        pid = self.sidecar.process.pid
        unicode = self.terminal.unicode
        self.terminal.print(*opening(self.addresses, self.file, pid, self.options.step, unicode))
        self.sidecar.on_line = self._sidecar_said
        background = [
            asyncio.create_task(work)
            for work in (*(load.run() for load in self.loads), self.counters.run(), self._show())
        ]
        ends = [
            asyncio.create_task(end)
            for end in (stop.wait(), self._time_over(), self.sidecar.end(), self.canary.run())
        ]
        ended, _ = await asyncio.wait([*ends, *background], return_when=asyncio.FIRST_COMPLETED)
        for task in (*background, *ends):
            task.cancel()
        await asyncio.gather(*background, *ends, return_exceptions=True)
        self.sidecar.on_line = lambda line: None
        await self.counters.read()  # so that the last word is of all that there was
        self._draw(self.loop.time())
        self.terminal.close()
        self.terminal.print([], *self.view.last_word())
        for task in ended:
            task.result()

    async def _time_over(self) -> None:
        await asyncio.sleep(self.options.seconds or float("inf"))

    async def _show(self) -> None:
        """A column of the chart, or a plain line, every second; in between only the drawing moves."""
        start = self.loop.time()
        for second in itertools.count(1):
            while (now := self.loop.time()) < start + second:
                self._draw(now)
                await asyncio.sleep(min(FRAME, start + second - now))
            self.view.tick(now)
            if not self.terminal.live:
                self.terminal.print(*self.view.lines(now))

    def _draw(self, now: float) -> None:
        if self.terminal.live:
            self.terminal.draw(self.view.drawing(now))

    def _sidecar_said(self, line: str) -> None:
        """Show it above the figures, but for what the figures themselves tell."""
        if not self.canary.step or not line.startswith("reloaded"):
            self.terminal.print([Span(f" the sidecar says: {line}", Style.FAINT)])
            self._draw(self.loop.time())


def _endpoint(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
