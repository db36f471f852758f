"""From one configuration to the next: compiled in a child, then taken whole by every worker, or refused
whole.

The first configuration comes the same way. Reloads that are asked for while one runs are merged into one that
follows.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, NamedTuple

from tulle.proxy import sockets
from tulle.proxy.children import Children
from tulle.proxy.configuration import Configuration, InUse, Settings, read_result
from tulle.proxy.failure import Failure
from tulle.proxy.listeners import Listeners, Place, admin_places, place_of, places_of
from tulle.proxy.loop import Task, spawn
from tulle.proxy.messages import warn
from tulle.proxy.protocol import Control, ControlMessage
from tulle.proxy.resolver import REFRESH, Resolver
from tulle.proxy.waiting import Timeout, Turns, sleep
from tulle.proxy.workers import Workers

INSTALL_TIMEOUT = 30.0  # seconds that workers have to take a table


class Outcome(NamedTuple):
    """What came of a reload: the version in use now, and when it was refused the reasons, a line each."""

    version: int
    reasons: tuple[str, ...] = ()


class CertificatesRenewed(NamedTuple):
    """A line for each certificate that is new; `faults` are code, file and text of what is not used."""

    lines: list[str]
    faults: list[tuple[str, str, str]]
    stamps: dict[str, str]  # of the files when they were read


class Reloader:
    """Owns the configuration in use."""

    def __init__(
        self,
        children: Children,
        workers: Workers,
        listeners: Listeners,
        first: Configuration,
        source: dict[str, Any],
        worker_count: int | None,
    ) -> None:
        self.children = children
        self.workers = workers
        self.listeners = listeners
        self.source = source
        self.worker_count = worker_count  # from the command line
        self.current = first
        self.version = first.version  # the last that was given out
        self.resolver = Resolver()
        self.taken = 0
        self.refused = 0
        self.turn = Turns()
        self.following: Task[Outcome] | None = None
        self.on_taken: Callable[[Settings], Awaitable[None]] = _nothing
        self.on_endpoints: Callable[[Configuration], None] = lambda configuration: None
        # a configuration that workers will be told of next
        self.on_install: Callable[[Configuration], None] = lambda configuration: None

    async def reload(self) -> Outcome:
        """Compile and install what the source says now; when that is refused the old one goes on."""
        if self.following is None:
            self.following = spawn(self._reload())
        return await self.following

    async def _reload(self) -> Outcome:
        async with self.turn:
            self.following = None  # who asks from here on wants what the file says from here on
            try:
                await self._replace(await self._compile())
            except Failure as failure:
                self.refused += 1
                return Outcome(self.current.version, failure.lines)
            self.taken += 1
            return Outcome(self.version)

    async def take_part(self, candidate: str, keep: Callable[[], None]) -> Outcome:
        """Install the configuration with this part of the mesh, a file; `keep` is called once all have it."""
        async with self.turn:
            try:
                await self._replace(await self._compile(candidate))
                keep()
            except Failure as failure:
                self.refused += 1
                return Outcome(self.current.version, failure.lines)
            self.taken += 1
            return Outcome(self.version)

    async def _compile(self, part: str = "") -> Configuration:
        self.version += 1
        resolved = dict(self.resolver.answers)
        source = {**self.source, "part": part} if part else self.source
        task = compile_task(source, self.version, resolved, self.released())
        result, descriptors = await self.children.run_task(task, [self.current.names])
        compiled = read_result(result, descriptors, self.worker_count)
        compiled.resolved = resolved
        return compiled

    def released(self) -> int:
        """The serial before which no worker holds anything."""
        return min((worker.oldest[1] for worker in self.workers.running), default=self.current.serial)

    def addresses(self) -> dict[str, str]:
        """What is listened on, by the listener's name."""
        current = self.current
        return {
            listener.name: sockets.name(current.sockets[listener.id])
            for listener in current.settings.listeners
            if listener.id in current.sockets
        }

    def stop_listening(self, kept: Collection[str] = ()) -> list[int]:
        """Close the listeners' sockets, but for those named, and not the admin server's.

        The ids of those that were open.
        """
        current = self.current
        staying = [listener for listener in current.settings.listeners if listener.name in kept]
        identities = {listener.id for listener in staying}
        stopped = [identity for identity in current.sockets if identity not in identities]
        current.sockets = {key: one for key, one in current.sockets.items() if key in identities}
        self.listeners.keep([*map(place_of, staying), *admin_places(current.settings)])
        return stopped

    def connections(self, identities: Iterable[int]) -> int:
        """How many there are of these listeners."""
        return sum(map(self.workers.stats.listener_connections, identities))

    async def renew_workers(self, seconds: float) -> Outcome:
        """Take the configuration as it is now with workers of this program, in place of a former one's.

        `seconds`: what they have to be ready. When that fails, the former ones serve on.
        """
        async with self.turn:
            old = self.current
            try:
                new = await self._compile()
                await self.resolve(new)
                bound = self.bind(new)
            except Failure as failure:
                return Outcome(old.version, failure.lines)
            self.current = self.workers.configuration = new
            self.on_install(new)
            settings = new.settings
            drains = settings.upgrade_drain_timeout, settings.drain_timeout
            if not await self.workers.renew(settings.workers, seconds, *drains):
                self.current = self.workers.configuration = old
                self.listeners.drop(bound)
                new.close()
                return Outcome(old.version, ("the workers of the new program do not come up; see above",))
            await self.on_taken(settings)
            self.listeners.keep(places_of(settings))
            old.close()
            return Outcome(new.version)

    async def renew_certificates(self) -> CertificatesRenewed:
        """Read the files of certificates again and have workers use what is good and new of them.

        `Failure` when a worker could not take them; then all go back.
        """
        async with self.turn:
            current = self.current
            if current.tls < 0:
                return CertificatesRenewed([], [], {})
            task = {"task": "certificates", "released": self.released()}
            result, made = await self.children.run_task(task, [current.names, current.table, current.tls])
            stamps = result["stamps"]
            if made:
                told = {"certificates": result["certificates"], "certificate_stamps": stamps}
                await self._use(InUse(result["serial"], {**current.described, **told}, *made))
            return CertificatesRenewed(result["lines"] if made else [], result["faults"], stamps)

    async def _use(self, certificates: InUse) -> None:
        current = self.current
        former = current.certificates()
        current.use_certificates(certificates)
        try:
            await self._install(current, current)
        except Failure:
            current.use_certificates(former)
            self.workers.tell(*current.installation())
            certificates.close()
            raise
        former.close()

    # -- install ------------------------------------------------------------------------------------------

    def bind(self, configuration: Configuration) -> list[Place]:
        """Give a configuration its sockets; the addresses that are new. `Failure` when one cannot be had."""
        settings = configuration.settings
        if settings.workers > self.workers.shared.most_workers:
            most = self.workers.shared.most_workers
            raise Failure(
                f"workers: {settings.workers} are more than the {most} that there is room for; "
                "lower it, or restart the proxy with it"
            )
        new = self.listeners.bind(places_of(settings))
        configuration.sockets = {
            listener.id: self.listeners.sockets[place_of(listener)] for listener in settings.listeners
        }
        return new

    async def resolve(self, configuration: Configuration) -> None:
        """Give a configuration that no worker has yet the addresses of the names in it."""
        await self.resolver.learn(configuration.settings.endpoint_names)
        if configuration.resolved != self.resolver.answers:
            await self._renew_endpoints(configuration)

    async def keep_resolved(self) -> None:
        """Follow the names of endpoints, for ever."""
        while True:
            await sleep(REFRESH)
            await self.resolver.refresh(self.current.settings.endpoint_names)
            async with self.turn:
                if self.current.resolved == self.resolver.answers:
                    continue
                try:
                    message = await self._renew_endpoints(self.current)
                except Failure as failure:
                    warn(f"endpoints keep their addresses: {failure}")
                else:
                    self.workers.tell(message, [self.current.endpoints])
                    self.on_endpoints(self.current)

    async def _renew_endpoints(self, configuration: Configuration) -> ControlMessage:
        resolved = dict(self.resolver.answers)
        task = {
            "task": "endpoints",
            "version": configuration.version,
            "resolved": resolved,
            "released": self.released(),
            "zone": configuration.settings.zone,
        }
        result, made = await self.children.run_task(task, [configuration.names, configuration.table])
        configuration.resolved = resolved
        return configuration.renew_endpoints(result["serial"], *made)

    async def _replace(self, new: Configuration) -> None:
        try:
            await self.resolve(new)
            bound = self.bind(new)
        except Failure:
            new.close()
            raise
        old = self.current
        try:
            await self._install(old, new)
        except Failure:
            self._go_back(old, new)
            self.listeners.drop(bound)
            new.close()
            raise
        self.current = new
        await self.on_taken(new.settings)
        self.listeners.keep(places_of(new.settings))
        old.close()

    async def _install(self, old: Configuration, new: Configuration) -> None:
        self._switch(old, new)
        serving = self.workers.serving()
        key = (new.version, new.serial)
        try:
            async with Timeout(INSTALL_TIMEOUT):
                await self.workers.until(
                    lambda: all(
                        worker.installed >= key or worker.refused == key or not worker.serving
                        for worker in serving
                    )
                )
        except TimeoutError:
            raise Failure(
                f"the workers have not taken the configuration in {INSTALL_TIMEOUT:.0f} s; try again"
            ) from None
        if any(worker.refused == key for worker in serving):
            raise Failure(
                "a worker could not take the configuration: no memory left, or it is of another version; "
                "see the system's log, and send USR2 after an upgrade of the package"
            )

    def _switch(self, old: Configuration, new: Configuration) -> None:
        """Tell all workers to serve by another configuration.

        Their queue keeps the order, no answer is awaited.
        """
        self.workers.configuration = new
        self.on_install(new)
        for identity in old.sockets.keys() - new.sockets.keys():
            self.workers.tell(ControlMessage(Control.UNLISTEN, identity))
        self.workers.tell(*new.installation())
        for identity in new.sockets.keys() - old.sockets.keys():
            self.workers.tell(ControlMessage(Control.LISTEN, identity), [new.sockets[identity].fileno()])

    def _go_back(self, old: Configuration, new: Configuration) -> None:
        self._switch(new, old)


async def _nothing(settings: Settings) -> None:
    pass


def compile_task(
    source: dict[str, Any], version: int, resolved: dict[str, list[str]], released: int
) -> dict[str, Any]:
    """The order for a compile child; beside it goes the descriptor of the names in use, if there are any."""
    return {
        "task": "compile",
        "source": source,
        "version": version,
        "resolved": resolved,
        "released": released,
    }
