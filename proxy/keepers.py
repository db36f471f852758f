"""What former programs have counted, and their workers still count, in memory that this one cannot read.

For each such memory there is a process of the program that laid it out, see `keeper`. A lane of our own
memory, which no worker uses meanwhile, is set to what it says: before a page is made of the figures, and when
a worker has left. So counters only rise. When the last worker of a former program has left, its keeper leaves
too, and the lane is one like others.
"""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tulle._fast.base.stats import Stats
from tulle.proxy.children import Children
from tulle.proxy.failure import Failure
from tulle.proxy.loop import Task, spawn
from tulle.proxy.messages import warn
from tulle.proxy.spawner import receive, send
from tulle.proxy.streams import readable
from tulle.proxy.waiting import Timeout, Turns

BEGIN_TIMEOUT = 5.0  # seconds that a keeper has to begin
FIGURES_TIMEOUT = 10.0  # seconds that it has to say its figures; until then the last ones stand


class Keeper:
    """One keeper, as the master sees it. Owns the socket."""

    def __init__(self, pid: int, control: socket.socket, lane: int, without: list[int]) -> None:
        control.setblocking(False)
        self.pid = pid
        self.control = control
        self.lane = lane  # of our memory, that has its figures; -1 when it is to be of the next program's
        self.without = without  # lanes of its memory that have the figures of another keeper
        self.questions = 0

    def describe(self) -> dict[str, Any]:
        """For the next program."""
        return {
            "pid": self.pid,
            "control": self.control.fileno(),
            "lane": self.lane,
            "without": self.without,
        }

    def tell(self, what: str) -> None:
        """Send words as `keeper` understands them. When it has gone, its end says so."""
        with suppress(OSError):
            send(self.control, os.fsencode(what), [])

    async def figures(self) -> int | None:
        """A memfd of what its memory has counted by now, which the caller closes; None if it does not say."""
        self.questions += 1
        self.tell(" ".join(["figures", str(self.questions), *map(str, self.without)]))
        with suppress(TimeoutError, OSError):
            async with Timeout(FIGURES_TIMEOUT):
                while True:
                    await readable(self.control.fileno())
                    data, descriptors = receive(self.control)
                    if data == f"figures {self.questions}".encode():
                        return descriptors[0]
                    for descriptor in descriptors:  # of an answer that came too late
                        os.close(descriptor)
                    if not data:
                        return None
        return None


class Keepers:
    """All keepers."""

    def __init__(self, children: Children, stats: Stats) -> None:
        self.children = children
        self.stats = stats
        self.all: list[Keeper] = []
        self.turn = Turns()
        self.parting: set[Task[None]] = set()

    async def begin(self, descriptors: Callable[[int], list[int]]) -> Keeper:
        """A keeper for our own memory, before another program takes our place. `Failure` when there is none.

        `descriptors` gives those of a worker that has this control socket.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.children.fork_keeper(descriptors(theirs.fileno()))
        keeper = Keeper(0, ours, -1, [other.lane for other in self.all])
        try:
            async with Timeout(BEGIN_TIMEOUT):
                await readable(ours.fileno())
            keeper.pid = int(receive(ours)[0].removeprefix(b"ready "))
        except (TimeoutError, OSError, ValueError):
            ours.close()
            raise Failure("no process can be begun that keeps the figures of the old workers") from None
        return keeper

    def adopt(self, keeper: Keeper) -> None:
        """Take over a keeper that the former program has begun."""
        self.stats.use_lane(keeper.lane)
        self.all.append(keeper)
        self.children.adopt(keeper.pid, lambda status: self._lost(keeper))

    def lanes(self) -> set[int]:
        """Those of our memory that no worker may use."""
        return {keeper.lane for keeper in self.all}

    def tell(self, what: str) -> None:
        """Tell all."""
        for keeper in self.all:
            keeper.tell(what)

    async def refresh(self) -> None:
        """Take over what has been counted by now."""
        if self.all:
            async with self.turn:
                for keeper in list(self.all):
                    await self._take_over(keeper)

    def part(self, keeper: Keeper) -> None:
        """Its last worker has left: take over the last figures and let it go."""
        task = spawn(self._part(keeper))
        self.parting.add(task)
        task.add_done_callback(self.parting.discard)

    def close(self) -> None:
        """Let all go at once."""
        for keeper in self.all:
            keeper.control.close()
        self.all.clear()

    async def _part(self, keeper: Keeper) -> None:
        async with self.turn:
            if keeper not in self.all:
                return
            if not await self._take_over(keeper):
                warn("the last figures of the former program's workers are not known")
            self._forget(keeper)

    async def _take_over(self, keeper: Keeper) -> bool:
        figures = await keeper.figures() if keeper in self.all else None
        if figures is None:
            return False
        try:
            await self.children.run_task(
                {"task": "seed", "lane": keeper.lane}, [self.stats.descriptor, figures]
            )
        except Failure as failure:
            warn(str(failure))
            return False
        finally:
            os.close(figures)
        return True

    def _lost(self, keeper: Keeper) -> None:
        """It has ended, and if it was not told to, what its workers count from now on nobody will know."""
        if keeper in self.all:
            warn("the keeper of the former program's figures has died: its workers count in vain from now on")
            self._forget(keeper)

    def _forget(self, keeper: Keeper) -> None:
        self.all.remove(keeper)
        self.stats.clear_lane(keeper.lane)
        keeper.control.close()
