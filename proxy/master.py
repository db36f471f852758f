"""The master: owns everything that is slow, and puts the rooms together. Signal handlers only enqueue."""

import gc
import os
import signal
import socket
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from typing import Any

import tulle
from tulle._fast.base import process
from tulle.proxy import handover, loop, notify, runtime_dir, sockets, upgrade
from tulle.proxy.administration import Administration
from tulle.proxy.children import Children, answer
from tulle.proxy.configuration import Configuration, Settings, read_result
from tulle.proxy.control.companion import PART, ControlFollower, keep
from tulle.proxy.control_socket import ControlSocket
from tulle.proxy.failure import Failure
from tulle.proxy.health.companion import HealthChecks
from tulle.proxy.identity.companion import Certificates
from tulle.proxy.limits import raise_open_files
from tulle.proxy.listeners import Listeners, admin_places
from tulle.proxy.logger import Logger
from tulle.proxy.loop import Task, current, spawn
from tulle.proxy.messages import complain, say, warn
from tulle.proxy.pidfile import PidFile
from tulle.proxy.reload import Reloader
from tulle.proxy.shared import Shared
from tulle.proxy.spawner import Handle
from tulle.proxy.start import Options
from tulle.proxy.sweeper import Sweeper
from tulle.proxy.tokens.companion import Tokens
from tulle.proxy.waiting import Queue, Timeout, first
from tulle.proxy.workers import GRACE, Workers

START_TIMEOUT = 30.0  # seconds that the first workers have to be ready
FAILED_STARTS = 3  # deaths of workers before the first was ready, after which we give up
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def run(handle: Handle, answering: socket.socket, options: Options) -> int:
    """Run until told to leave; the exit status. `answering` is where the first configuration comes from."""
    return _run(_serve(handle, answering, options))


def succeed(handle: Handle, options: Options) -> int:
    """Run in the place of a former program, until told to leave; the exit status."""
    return _run(_succeed(handle, options))


def _run(serve: Coroutine[Any, Any, None]) -> int:
    process.set_name(b"tulle")
    process.keep_heap_small()
    try:
        loop.run(serve)
    except Failure as failure:
        for line in failure.lines:
            complain(line)
        return 1
    return 0


async def _serve(handle: Handle, answering: socket.socket, options: Options) -> None:
    first = read_result(*await answer(answering), options.workers)
    master = Master(handle, options, first, Shared.create(first.settings.workers))
    await master.run(master.begin)


async def _succeed(handle: Handle, options: Options) -> None:
    words = handover.receive()
    assert words is not None
    current = handover.configuration(words, options.workers)
    master = Master(handle, options, current, handover.shared(words, current.settings.workers))
    await master.run(lambda: master.succeed(words))


class Master:
    """One proxy."""

    def __init__(self, handle: Handle, options: Options, first: Configuration, shared: Shared) -> None:
        self.options = options
        self.shared = shared
        self.children = Children(handle)
        self.workers = Workers(self.children, self.shared)
        self.listeners = Listeners()
        self.reloader = Reloader(
            self.children, self.workers, self.listeners, first, options.source, options.workers
        )
        self.reloader.on_taken = self._apply
        self.sweeper = Sweeper(self.children, self.workers, self.reloader)
        self.health = HealthChecks(self.children, self.shared)
        self.reloader.on_endpoints = self.health.follow
        self.follower = ControlFollower(self.children, self._take_part)
        self.tokens = Tokens(self.children, self.workers)
        self.reloader.on_install = self.tokens.prepare
        self.logger = Logger(self.shared.stats, self.shared.log)
        self.administration = Administration(
            self.children, self.workers, self.reloader, self.health, self.drain_listeners, self.leave
        )
        self.certificates = Certificates(self.reloader)
        self.administration.certificate_reloads = self.certificates.counts
        self.administration.follower = self.follower
        self.pid_file = PidFile(options.pid_file) if options.pid_file else None
        self.control: ControlSocket | None = None
        self.signals: Queue[signal.Signals] = Queue()
        self.draining = False
        self.background: set[Task[Any]] = set()

    async def run(self, begin: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin, then serve until told to leave. `Failure` when it cannot begin."""
        for number in SIGNALS:
            current().on_signal(number, self.signals.put, number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        self.children.attach()
        try:
            if await unless_told_to_leave(begin(), self.signals):
                slim_down()
                await self._tend()
        finally:
            self._end()

    # -- begin --------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Bind, begin the first workers and say so when they are ready."""
        first = self.reloader.current
        settings = first.settings
        self.reloader.bind(first)
        raise_open_files(settings)
        if self.pid_file:
            self.pid_file.check()
        await self._use(settings)
        await self.reloader.resolve(first)
        self.health.follow(first)
        self.certificates.follow(first)
        self.tokens.prepare(first)
        self.workers.configuration = first
        self.workers.set_count(settings.workers, settings.drain_timeout)
        await self._first_workers()
        self.follower.follow(first)
        self._open_control_socket(settings)
        if self.pid_file:
            self.pid_file.write()
        self._ready(f"version {first.version}")

    async def succeed(self, words: handover.Words) -> None:
        """Take over what a former program has left, then have workers of our own."""
        current = self.reloader.current
        handover.adopt(words, self.listeners, self.reloader, self.workers)
        await self.workers.keepers.refresh()
        self.administration.began = words["began"]
        self.workers.configuration = current
        # old workers ask the verifier that begins now: the one that they had has left with the former program
        self.tokens.prepare(current)
        raise_open_files(current.settings)
        await self._use(current.settings)
        self.health.follow(current)
        self.certificates.follow(current)
        self.follower.follow(current)
        self.sweeper.follow(current)
        self._open_control_socket(current.settings)
        outcome = await self.reloader.renew_workers(START_TIMEOUT)
        if not outcome.reasons:
            self._ready(f"version {outcome.version}, upgraded to Tulle {tulle.__version__}")
            return
        for line in outcome.reasons:
            complain(line)
        complain(f"the workers of the former program serve on with version {outcome.version}")
        self.workers.set_count(current.settings.workers, current.settings.drain_timeout)
        self._ready(f"version {outcome.version}")

    def _ready(self, what: str) -> None:
        count = len(self.workers.serving())
        status = f"ready: {count} worker{'s' * (count != 1)}, {what}"
        self.administration.not_ready = ""
        notify.ready(status)
        places = [f"{name} {address}" for name, address in self.reloader.addresses().items()]
        for place in admin_places(self.reloader.current.settings):
            places.append(f"admin {sockets.name(self.listeners.sockets[place])}")
        say("; ".join([f"{status}, pid {os.getpid()}", *places]))

    async def _first_workers(self) -> None:
        try:
            async with Timeout(START_TIMEOUT):
                await self.workers.until(
                    lambda: self.workers.ready() or self.workers.restarts >= FAILED_STARTS
                )
        except TimeoutError:
            raise Failure(
                f"the workers were not ready after {START_TIMEOUT:.0f} s; see what they wrote above"
            ) from None
        if not self.workers.ready():
            raise Failure("the workers do not stay alive; see what they wrote above")

    def _open_control_socket(self, settings: Settings) -> None:
        try:
            directory = runtime_dir.prepare(settings.runtime_dir or runtime_dir.default())
            runtime_dir.remove_stale(directory)
            path = runtime_dir.socket_path(directory, os.getpid())
            self.control = ControlSocket(path, {"reload": self.reload, "version": self._version_asked})
        except Failure as failure:
            warn(f"{failure}; `tulle reload` will not find this proxy, `kill -HUP {os.getpid()}` works")

    # -- run ----------------------------------------------------------------------------------------------

    async def _use(self, settings: Settings) -> None:
        """Have logger and admin server follow the configuration."""
        log = settings.access_log
        self.logger.use(None if log.format == "off" else log.path)
        self._tell_keepers_of_log()
        self.administration.open(self.listeners, settings.admin_address)

    def _tell_keepers_of_log(self) -> None:
        self.workers.keepers.tell(f"log {self.logger.path}" if self.logger.path else "log")

    async def _apply(self, settings: Settings) -> None:
        """A reload has been taken by all workers."""
        self.workers.set_count(settings.workers, settings.drain_timeout)
        await self._use(settings)
        self.health.follow(self.reloader.current)
        self.tokens.follow(self.reloader.current)
        self.certificates.follow(self.reloader.current)
        self.follower.follow(self.reloader.current)
        self.sweeper.follow(self.reloader.current)

    async def _tend(self) -> None:
        """Do what signals ask for, until all workers have left."""
        leave = spawn(self._left())
        names = spawn(self.reloader.keep_resolved())
        self.background.add(names)
        while True:
            wanted = spawn(self.signals.get())
            await first(wanted, leave)
            if leave.done():
                wanted.cancel()
                return
            match wanted.result():
                case signal.SIGHUP:
                    task = spawn(self.reload())
                    self.background.add(task)
                    task.add_done_callback(self.background.discard)
                case signal.SIGUSR1:
                    self.logger.reopen()
                    self._tell_keepers_of_log()
                case signal.SIGTERM | signal.SIGINT if self.draining:
                    say("leaving at once")
                    await self._quit(leave)
                    return
                case signal.SIGTERM | signal.SIGINT:
                    self.leave()
                case signal.SIGUSR2:
                    await self.upgrade()

    async def reload(self) -> dict[str, Any]:
        """Take the configuration as it is now; what came of it, as the control socket says it."""
        if reason := self._irrelevant():
            warn(reason)
            return {"version": self.reloader.current.version, "reasons": [reason]}
        notify.reloading()
        outcome = await self.reloader.reload()
        for line in outcome.reasons:
            complain(line)
        if outcome.reasons:
            status = f"reload refused; version {outcome.version} serves on"
            complain(status)
        else:
            status = f"reloaded: version {outcome.version}"
            say(status)
        notify.ready(status)
        slim_down()
        return {"version": outcome.version, "reasons": list(outcome.reasons)}

    async def _take_part(self, candidate: str) -> tuple[str, ...]:
        """Have all workers use another part of the mesh; why not."""
        if self.administration.not_ready:
            return ("the proxy takes no more connections",)
        part = os.path.join(os.path.dirname(candidate), PART)
        outcome = await self.reloader.take_part(candidate, lambda: keep(candidate, part))
        if not outcome.reasons:
            say(f"version {outcome.version}: mesh {self.reloader.current.settings.mesh_version}")
        slim_down()
        return outcome.reasons

    def _irrelevant(self) -> str:
        """Why a reload would be in vain."""
        if "control" in self.reloader.source:
            return "there is no file to reload: all comes from the control plane"
        if "file" not in self.reloader.source:
            return "there is no file to reload: the proxy was started with --listen and --to"
        if self.administration.not_ready:
            return "not reloaded: the proxy takes no more connections"
        return ""

    async def _version_asked(self) -> dict[str, Any]:
        return {"version": self.reloader.current.version, "program": tulle.__version__}

    async def upgrade(self) -> None:
        """Become the program that is installed now. Comes back only when that is refused."""
        if self.administration.not_ready:
            warn("not upgraded: the proxy takes no more connections")
            return
        say("upgrading")
        async with self.reloader.turn:
            verdict = await upgrade.preflight(self.children, self._words(), self.options)
            reasons = verdict.reasons or await self._replace(verdict.other_layout)
        for reason in reasons:
            complain(reason)
        complain("upgrade refused; the program that runs goes on")
        notify.ready("upgrade refused")

    async def _replace(self, other_layout: bool) -> list[str]:
        """Become the new program; why that failed."""
        keeper = None
        try:
            if other_layout:
                keeper = await self.workers.keepers.begin(self.shared.descriptors)
        except Failure as failure:
            return list(failure.lines)
        notify.reloading()
        self.logger.stop()
        words = self._words()
        reason = upgrade.replace_program(handover.keep_back(words, keeper) if keeper else words)
        self.logger.start()
        if keeper:
            keeper.control.close()
        return [reason]

    def _words(self) -> handover.Words:
        return handover.describe(self.reloader, self.workers, self.administration.began)

    # -- leave --------------------------------------------------------------------------------------------

    def drain_listeners(self, kept: Collection[str]) -> list[int]:
        """Take no more connections, but at listeners of these names; the ids of the others.

        What there is goes on.
        """
        self.administration.not_ready = "DRAINING"
        stopped = self.reloader.stop_listening(kept)
        self.workers.unlisten(stopped)
        return stopped

    def leave(self) -> None:
        """Begin to drain, unless it has begun."""
        if self.draining:
            return
        self.draining = True
        seconds = self.reloader.current.settings.drain_timeout
        self.administration.not_ready = "DRAINING"
        notify.stopping()
        self.reloader.stop_listening()
        self.workers.drain(seconds)
        # Said when workers have been told: who reads it may rely on it
        say(f"draining, for at most {seconds:g} s; a second signal ends it at once")

    async def _left(self) -> None:
        await self.workers.until(lambda: self.draining and not self.workers.running)

    async def _quit(self, leave: Task[None]) -> None:
        self.workers.quit()
        with suppress(TimeoutError):
            async with Timeout(GRACE):
                await leave

    def _end(self) -> None:
        self.health.end()
        self.certificates.end()
        self.follower.end()
        self.tokens.end()
        self.sweeper.end()
        self.workers.kill()
        self.workers.keepers.close()
        self.administration.close()
        self.listeners.keep([])
        if self.control:
            self.control.close()
        if self.pid_file:
            self.pid_file.remove()
        self.logger.stop()


async def unless_told_to_leave(begin: Coroutine[Any, Any, None], signals: Queue[signal.Signals]) -> bool:
    """Begin, but leave at once on TERM or INT; whether it has begun. Other signals mean nothing yet."""
    beginning = spawn(begin)
    while True:
        wanted = spawn(signals.get())
        await first(beginning, wanted)
        if beginning.done():
            if wanted.done():
                signals.put(wanted.result())
            wanted.cancel()
            beginning.result()
            return True
        if wanted.result() in (signal.SIGTERM, signal.SIGINT):
            beginning.cancel()
            say("leaving before it was ready")
            return False


def slim_down() -> None:
    """Give back what start-up or a reload has taken, and spare the collector what stays."""
    gc.collect()
    gc.freeze()
    process.trim_heap()
    process.unmap_read_pages()
