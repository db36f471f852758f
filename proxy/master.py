"""The master: owns everything that is slow, and puts the rooms together. Signal handlers only enqueue."""

import asyncio
import gc
import os
import signal
import socket
from contextlib import suppress

from tulle._fast.base import process, stats
from tulle.proxy.children import Children, answer
from tulle.proxy.configuration import Configuration, Settings, read_result
from tulle.proxy.failure import Failure
from tulle.proxy.limits import raise_open_files
from tulle.proxy.listeners import Listeners
from tulle.proxy.messages import complain, say
from tulle.proxy.pidfile import PidFile
from tulle.proxy.reload import Reloader
from tulle.proxy.start import Options
from tulle.proxy.workers import GRACE, Workers

CLUSTER_CAPACITY = 65_536
ENDPOINT_CAPACITY = 262_144
FEWEST_LANES = 32
MOST_LANES = 240  # so many eventfds fit beside a worker's other descriptors in one message
START_TIMEOUT = 30.0  # seconds that the first workers have to be ready
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def run(orders: socket.socket, answering: socket.socket, options: Options) -> int:
    """Run until told to leave; the exit status. `answering` is where the first configuration comes from."""
    process.set_name(b"tulle")
    process.keep_heap_small()
    return asyncio.run(serve(orders, answering, options))


async def serve(orders: socket.socket, answering: socket.socket, options: Options) -> int:
    """One proxy, from its first configuration to its end."""
    try:
        first = read_result(*await answer(answering), options.workers)
        await Master(orders, options, first).run()
    except Failure as failure:
        for line in failure.lines:
            complain(line)
        return 1
    return 0


class Master:
    """One proxy."""

    def __init__(self, orders: socket.socket, options: Options, first: Configuration) -> None:
        lanes = lanes_for(first.settings.workers)
        self.stats = stats.Stats(stats.create(lanes, CLUSTER_CAPACITY, ENDPOINT_CAPACITY))
        wakes = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(lanes)]
        log = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.children = Children(orders)
        self.workers = Workers(self.children, self.stats, wakes, log)
        self.listeners = Listeners()
        self.reloader = Reloader(
            self.children, self.workers, self.listeners, first, options.source, options.workers
        )
        self.reloader.on_taken = self._apply
        self.pid_file = PidFile(options.pid_file) if options.pid_file else None
        self.signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self.draining: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve until told to leave. `Failure` when it cannot begin."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.signals.put_nowait, number)
        self.children.attach(loop)
        try:
            await self._begin(self.reloader.current)
            self._slim_down()
            await self._tend()
        finally:
            self.workers.kill()
            self.listeners.keep([])
            if self.pid_file:
                self.pid_file.remove()

    async def _begin(self, first: Configuration) -> None:
        self.reloader.bind(first)
        raise_open_files(first.settings)
        self.workers.configuration = first
        self.workers.set_count(first.settings.workers)
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self.workers.until(lambda: self.workers.ready() or self.workers.restarts > 2)
        except TimeoutError:
            raise Failure(
                f"the workers were not ready after {START_TIMEOUT:.0f} s; see what they wrote above"
            ) from None
        if not self.workers.ready():
            raise Failure("the workers do not stay alive; see what they wrote above")
        if self.pid_file:
            self.pid_file.write()
        workers = first.settings.workers
        say(f"ready: {workers} worker{'s' * (workers > 1)}, pid {os.getpid()}")

    def _apply(self, settings: Settings) -> None:
        self.workers.set_count(settings.workers)

    def _slim_down(self) -> None:
        gc.collect()
        gc.freeze()
        process.trim_heap()

    async def _tend(self) -> None:
        """Do what signals ask for, until all workers have left."""
        background: set[asyncio.Task[None]] = set()
        leave = asyncio.create_task(self._left())
        while True:
            wanted = asyncio.create_task(self.signals.get())
            await asyncio.wait([wanted, leave], return_when=asyncio.FIRST_COMPLETED)
            if leave.done():
                wanted.cancel()
                return
            match wanted.result():
                case signal.SIGHUP:
                    task = asyncio.create_task(self._reload())
                    background.add(task)
                    task.add_done_callback(background.discard)
                case signal.SIGTERM | signal.SIGINT if self.draining:
                    say("leaving at once")
                    self.workers.quit()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(GRACE):
                            await leave
                    return
                case signal.SIGTERM | signal.SIGINT:
                    self.draining = asyncio.create_task(self._drain())
                case _:
                    pass

    async def _left(self) -> None:
        await self.workers.until(lambda: self.draining is not None and not self.workers.running)

    async def _drain(self) -> None:
        seconds = self.reloader.current.settings.drain_timeout
        say(f"draining, for at most {seconds:g} s; a second signal ends it at once")
        self.listeners.keep([])
        self.workers.drain(seconds)
        await asyncio.sleep(seconds + GRACE)
        self.workers.kill()

    async def _reload(self) -> None:
        outcome = await self.reloader.reload()
        if outcome.reasons:
            for line in outcome.reasons:
                complain(line)
            complain(f"reload refused; version {outcome.version} serves on")
        else:
            say(f"reloaded: version {outcome.version}")


def lanes_for(workers: int) -> int:
    """Lanes of shared memory: twice the workers may come by a reload, and as many drain beside them."""
    cpus = len(os.sched_getaffinity(0))
    return min(max(FEWEST_LANES, 4 * cpus, 4 * workers), MOST_LANES)
