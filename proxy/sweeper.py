"""Has names that have gone forgotten, and what workers have counted under them freed.

What was counted of a listener, route or cluster is shown for a while after a reload has removed it, see
`controlplane.names`. When that is over and no worker holds a table that has it, its numbers are those of
nothing for ever; workers are told which numbers live, and free all else. It is done in the reloader's turn: a
configuration that is being compiled may still bring a name back.
"""

import time

from tulle.proxy.children import Children
from tulle.proxy.configuration import Configuration
from tulle.proxy.failure import Failure
from tulle.proxy.loop import Task, Timer, current, spawn
from tulle.proxy.messages import warn
from tulle.proxy.reload import Reloader
from tulle.proxy.workers import Workers

SHORTEST_PAUSE = 1.0  # seconds between a cause and the sweep, so that several are one
AFTER_FAILURE = 60.0


class Sweeper:
    """Does nothing, and has no timer, while no name has gone."""

    def __init__(self, children: Children, workers: Workers, reloader: Reloader) -> None:
        self.children = children
        self.workers = workers
        self.reloader = reloader
        self.timer: Timer | None = None
        self.task: Task[None] | None = None
        self.held_up: int | None = None  # what had been released when something old was still in use
        workers.on_release = self._released

    def follow(self, configuration: Configuration) -> None:
        """A configuration has been taken; names may have gone with the last one."""
        self._plan(configuration.settings.forget_at)

    def end(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.task is not None:
            self.task.cancel()
            self.task = None

    def _plan(self, at: float) -> None:
        """Sweep then, in monotonic seconds; 0 is not at all."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None
        self.held_up = None
        if at:
            pause = max(SHORTEST_PAUSE, at - time.monotonic())
            self.timer = current().call_later(pause, self._begin)

    def _begin(self) -> None:
        self.timer = None
        self.task = spawn(self._sweep())

    async def _sweep(self) -> None:
        async with self.reloader.turn:
            released = self.reloader.released()
            configuration = self.reloader.current
            order = {"task": "sweep", "released": released}
            try:
                result, (live, names) = await self.children.run_task(order, [configuration.names])
            except Failure as failure:
                warn(f"figures of names that have gone are kept for now: {failure}")
                self._plan(time.monotonic() + AFTER_FAILURE)
                return
            configuration.use_names(names)
            self.workers.sweep(live)
            self._plan(result["forget_at"])
            if 0 < result["forget_at"] <= time.monotonic():
                self._wait_for_release(released)

    def _wait_for_release(self, released: int) -> None:
        """Something is held up by a request in flight: go on when that has ended."""
        self._plan(0)
        self.held_up = released
        self._released()  # it may have ended meanwhile

    def _released(self) -> None:
        if self.held_up is not None and self.reloader.released() > self.held_up:
            self._plan(time.monotonic())
