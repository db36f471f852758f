"""Notices that files of certificates have changed, and has them read again.

A look is a `stat` of each file, so a name that leads to another file counts too: a link that is swapped, as
Kubernetes does it, as well as a rename. A certificate and its key are two files and cannot change at one
moment: when what is read does not fit, it is read again for a while before it is refused. What is refused is
said once, and then only when its file has changed again; the former certificate serves on.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from tulle.controlplane.identity.stamps import stamp
from tulle.proxy.failure import Failure
from tulle.proxy.messages import complain, say
from tulle.proxy.waiting import sleep

INTERVAL = 0.25  # seconds between looks
PATIENCE = 3.0  # seconds that files have to fit together after a change
FIRST_PAUSE = 0.1  # seconds until they are read again; doubled each time
LONGEST_PAUSE = 1.0


class Fault(NamedTuple):
    """Why the certificate of a file is not used. `code` is as in docs/certificates.md."""

    code: str
    file: str
    text: str


class Attempt(NamedTuple):
    """What came of reading all files again."""

    renewed: tuple[str, ...] = ()  # a line for each certificate that is new and in use now
    faults: tuple[Fault, ...] = ()
    stamps: Mapping[str, str] = {}  # of the files as they were when they were read


class FileWatch:
    """Owns what was seen of the files, and counts what came of changes."""

    def __init__(self, renew: Callable[[], Awaitable[Attempt]]) -> None:
        """`renew` reads all files and has workers use what is good of them; `Failure` when it could not."""
        self.renew = renew
        self.seen: dict[str, str] = {}
        self.told: dict[tuple[str, str], str] = {}  # faults, with the file's stamp
        self.renewed = 0
        self.refused = 0

    def follow(self, stamps: Mapping[str, str]) -> None:
        """Watch these files from now on; they were read when they had these stamps."""
        self.seen = dict(stamps)
        self.told = {key: stamp for key, stamp in self.told.items() if key[1] in self.seen}

    async def keep(self) -> None:
        """Look for ever."""
        while True:
            await sleep(INTERVAL)
            if self.changed():
                await self._take()

    def changed(self) -> bool:
        return any(stamp(file) != seen for file, seen in self.seen.items())

    async def _take(self) -> None:
        """Read until everything fits, or for so long that it will not."""
        end, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
        while True:
            try:
                attempt = await self.renew()
            except Failure as failure:
                attempt = Attempt(
                    faults=(Fault("failure", "", str(failure)),),
                    stamps={file: stamp(file) for file in self.seen},
                )
            self.seen.update((file, one) for file, one in attempt.stamps.items() if file in self.seen)
            if attempt.renewed:
                self.renewed += 1
                for line in attempt.renewed:
                    say(line)
            new = [fault for fault in attempt.faults if not self._is_told(fault)]
            if not new:
                return
            if time.monotonic() >= end:
                self._refuse(new)
                return
            await sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _is_told(self, fault: Fault) -> bool:
        return self.told.get((fault.code, fault.file)) == self.seen.get(fault.file, "")

    def _refuse(self, faults: list[Fault]) -> None:
        self.refused += 1
        for fault in faults:
            self.told[fault.code, fault.file] = self.seen.get(fault.file, "")
            complain(fault.text)
        complain("these certificates are refused; the former ones serve on")
