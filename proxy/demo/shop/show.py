"""The mesh from beginning to end: bring it up, let customers come, deploy, show it, take everything down."""

import asyncio
import itertools
import shlex
import signal
import sys
import tempfile
from collections.abc import Awaitable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

from tulle.proxy.demo.figures import Figures
from tulle.proxy.demo.load import Load
from tulle.proxy.demo.paint import Span, Style
from tulle.proxy.demo.processes import LOOPBACK, free_ports, python_path
from tulle.proxy.demo.shop import advice
from tulle.proxy.demo.shop.ejected import Ejected
from tulle.proxy.demo.shop.estate import Estate
from tulle.proxy.demo.shop.guide import opening
from tulle.proxy.demo.shop.network import Network
from tulle.proxy.demo.shop.rollout import Rollout
from tulle.proxy.demo.shop.services import ADVICE, CART, REVIEWS, STOCK, WEB, Service
from tulle.proxy.demo.shop.view import View
from tulle.proxy.demo.terminal import Terminal
from tulle.proxy.demo.view import clock
from tulle.proxy.failure import Failure

USUAL_PORT = 8080  # where customers come in, when it is free
FRAME = 0.25  # seconds between two drawings


class Traffic(NamedTuple):
    """Whom customers ask for what, and which share of all requests that is."""

    service: Service
    hostname: str
    path: str
    share: float
    ending: bytes = b""


TRAFFIC = (
    Traffic(CART, WEB.hostname, "/cart", 0.78),
    Traffic(STOCK, WEB.hostname, "/stock", 0.1),
    Traffic(REVIEWS, WEB.hostname, "/reviews", 0.1),
    Traffic(ADVICE, ADVICE.hostname, "/", 0.02, advice.END),
)


class Options(NamedTuple):
    """The command line. `seconds` 0 is no end, `step` 0 no deployment, `port` 0 any that is free."""

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
        network = stack.enter_context(closing(Network()))
        (port,) = free_ports(options.port or USUAL_PORT)
        if options.port and port != options.port:
            raise Failure(
                f"cannot listen on {LOOPBACK}:{options.port}: the port is in use; take another with --port"
            )
        entrance = f"{LOOPBACK}:{port}"
        estate = Estate(folder, network, entrance)
        stack.push_async_callback(estate.stop)
        terminal = Terminal()
        terminal.print(
            [Span("a control plane and the sidecars of five services begin, and enrol ...", Style.FAINT)]
        )
        await first_of(estate.start(), stop.wait())
        if not stop.is_set():
            await Demo(options, estate, terminal).play(stop)
    return 0


class Demo:
    """A mesh that is up."""

    def __init__(self, options: Options, estate: Estate, terminal: Terminal) -> None:
        self.options = options
        self.estate = estate
        self.terminal = terminal
        self.loop = asyncio.get_running_loop()
        host, _, port = estate.entrance.rpartition(":")
        figures = {one.service: Figures(self.loop.time()) for one in TRAFFIC}
        self.loads = [
            Load(
                (host, int(port)),
                one.path,
                options.rate * one.share,
                figures[one.service].record,
                f"{one.hostname}:{port}",
                one.ending,
            )
            for one in TRAFFIC
        ]
        self.ejected = Ejected(estate.instances[WEB][0].host, REVIEWS.name)
        self.rollout = Rollout(estate, options.step, self._tell)
        self.view = View(figures, self.rollout, self.ejected, self.terminal.unicode)

    async def play(self, stop: asyncio.Event) -> None:
        """Traffic and figures until `stop` or the end of the time; `Failure` if something leaves first."""
        self.terminal.print(*opening(self.estate, self._script(), self.terminal.unicode), [])
        try:
            await first_of(
                stop.wait(),
                self._time_over(),
                self.estate.fallen,
                self.rollout.run(),
                *(load.run() for load in self.loads),
                self.ejected.run(),
                self._show(),
            )
        finally:
            self._draw(self.loop.time())
            self.terminal.close()
            self.terminal.print([], *self.view.last_word())

    def _script(self) -> Path:
        """The command of this Tulle, to be typed in the folder of the mesh."""
        script = self.estate.folder / "tulle"
        python = f"PYTHONPATH={shlex.quote(python_path())} exec {shlex.quote(sys.executable)} -m tulle"
        script.write_text(f'#!/bin/sh\n{python} "$@"\n')
        script.chmod(0o700)
        return script

    async def _time_over(self) -> None:
        await asyncio.sleep(self.options.seconds or float("inf"))

    async def _show(self) -> None:
        """A plain line every second, or a drawing that moves in between as well."""
        start = self.loop.time()
        for second in itertools.count(1):
            while (now := self.loop.time()) < start + second:
                self._draw(now)
                await asyncio.sleep(min(FRAME, start + second - now))
            if not self.terminal.live:
                self.terminal.print(*self.view.lines(now))

    def _draw(self, now: float) -> None:
        if self.terminal.live:
            self.terminal.draw(self.view.drawing(now))

    def _tell(self, line: str) -> None:
        """A step of a deployment, which stays above the figures."""
        now = self.loop.time()
        self.terminal.print([Span(f" {clock(now - self.view.began)} {line}", Style.STRONG)])
        self._draw(now)


async def first_of(*works: Awaitable[Any]) -> None:
    """All at once until the first of them ends, or fails."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()
