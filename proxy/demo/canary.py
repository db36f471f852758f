"""The canary: moves the split between the two versions in steps, forth and back, while traffic flows."""

import asyncio
import itertools
from pathlib import Path
from typing import NamedTuple

from tulle.proxy.demo import mesh
from tulle.proxy.demo.sidecar import Sidecar

SHARES = (10, 50, 100, 50)  # per cent for the new version, over and over


class Change(NamedTuple):
    """A reload that every worker has taken: when, to which share, and after how many seconds."""

    at: float
    share: int
    took: float


class Canary:
    """`share` is what the sidecar was last told, `changes` what came of each telling."""

    def __init__(self, sidecar: Sidecar, file: Path, addresses: mesh.Addresses, step: float) -> None:
        self.sidecar = sidecar
        self.file = file
        self.addresses = addresses
        self.step = step  # seconds; 0: the split stays as it is
        self.share = SHARES[0]
        self.next_at = 0.0  # when the next change is due, in the clock of the loop
        self.changes: list[Change] = []

    async def run(self) -> None:
        """Until cancelled. `Failure` when a reload is refused."""
        loop = asyncio.get_running_loop()
        for share in itertools.islice(itertools.cycle(SHARES), 1, None):
            if not self.step:
                await asyncio.Event().wait()
            self.next_at = loop.time() + self.step
            await asyncio.sleep(self.step)
            await self.change(share)

    async def change(self, share: int) -> None:
        """Rewrite the file and have the sidecar take it."""
        mesh.write(self.file, mesh.configuration(self.addresses, share))
        took = await self.sidecar.reload()
        self.share = share
        self.changes.append(Change(asyncio.get_running_loop().time(), share, took))
