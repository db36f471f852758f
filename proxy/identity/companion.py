"""The life of what looks after certificates, for the master: begun when a configuration has TLS."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tulle.proxy.configuration import Configuration
from tulle.proxy.loop import Task, spawn
from tulle.proxy.messages import complain, warn
from tulle.proxy.reload import Reloader
from tulle.proxy.waiting import sleep

if TYPE_CHECKING:
    from tulle.proxy.identity.expiry import Expiry
    from tulle.proxy.identity.watch import Attempt, FileWatch

EXPIRY_INTERVAL = 60.0  # seconds between looks at what expires


class Certificates:
    """Follows the files of the configuration in use; without TLS it does and imports nothing."""

    def __init__(self, reloader: Reloader) -> None:
        self.reloader = reloader
        self.watch: FileWatch | None = None
        self.expiry: Expiry | None = None
        self.tasks: list[Task[None]] = []

    def follow(self, configuration: Configuration) -> None:
        """Look after the certificates of this configuration from now on."""
        stamps = configuration.settings.certificate_stamps
        if self.watch is not None:
            self.watch.follow(stamps)
        if not stamps:
            self.end()
        elif not self.tasks:
            self._begin(stamps)
        self._expiring()  # the compile has said it

    def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.tasks = []

    def counts(self) -> dict[str, int]:
        """How often certificates were renewed and refused; nothing where there never was one."""
        if self.watch is None:
            return {}
        return {"success": self.watch.renewed, "refused": self.watch.refused}

    def _begin(self, stamps: Mapping[str, str]) -> None:
        from tulle.proxy.identity.expiry import Expiry
        from tulle.proxy.identity.watch import FileWatch

        if self.watch is None:
            self.watch, self.expiry = FileWatch(self._renew), Expiry()
            self.watch.follow(stamps)
        self.tasks = [spawn(self.watch.keep()), spawn(self._tell_for_ever())]

    async def _renew(self) -> "Attempt":
        from tulle.proxy.identity.watch import Attempt, Fault

        done = await self.reloader.renew_certificates()
        self._tell()
        return Attempt(tuple(done.lines), tuple(Fault(*fault) for fault in done.faults), done.stamps)

    async def _tell_for_ever(self) -> None:
        while True:
            await sleep(EXPIRY_INTERVAL)
            self._tell()

    def _tell(self) -> None:
        """Say what expires soon, or has."""
        for has_expired, line in self._expiring():
            (complain if has_expired else warn)(line)

    def _expiring(self) -> list[tuple[bool, str]]:
        uses = self.reloader.current.settings.certificates
        return self.expiry.lines(uses, time.time()) if self.expiry is not None else []
