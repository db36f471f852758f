"""The follower's life, for the master: begun when a configuration names a control plane, anew when that
changes.
"""

import json
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tulle.proxy.children import Children
from tulle.proxy.companion import Companion, Order
from tulle.proxy.configuration import Configuration
from tulle.proxy.failure import Failure
from tulle.proxy.loop import Task, spawn
from tulle.proxy.messages import say, warn

PART = "part"  # the last good one, in the state directory; see `controlplane.client.disk_state`


class ControlFollower:
    """Owns the child that follows the control plane, and what that has told."""

    def __init__(self, children: Children, install: Callable[[str], Awaitable[tuple[str, ...]]]) -> None:
        """`install` has a part in a file used by all workers; the reasons when it is refused."""
        self.install = install
        self.pid = 0
        self.standing: dict[str, Any] = {}
        self.version = ""  # of the part that is in use
        self.settings: dict[str, Any] | None = None  # of the control plane that is followed
        self.child = Companion(children, "follows the control plane", self._order, self._heard)
        self.installing: Task[None] | None = None

    def follow(self, configuration: Configuration) -> None:
        """Follow the control plane of this configuration from now on, or none."""
        settings = configuration.settings.control_plane
        self.version = configuration.settings.mesh_version
        if settings == self.settings:
            return
        self.end()
        self.settings = settings
        if settings is not None:
            self.child.begin()

    def end(self) -> None:
        self.pid = 0
        self.settings = None
        self.child.end()
        self.standing = {}

    def figures(self) -> dict[str, Any] | None:
        """For the admin pages; None without a control plane."""
        if self.settings is None:
            return None
        return {
            **self.standing,
            "addresses": self.settings["addresses"],
            "version": self.version,
            "pid": self.pid,
        }

    def why_not_ready(self) -> str:
        """Why nothing of the mesh is served, if that is so."""
        if self.settings is None or self.version:
            return ""
        return f"no part of the mesh yet: {self.standing.get('error') or 'connecting to the control plane'}"

    def remark(self) -> str:
        """What `/ready` says beside LIVE: that the control plane is away."""
        if self.settings is None or self.standing.get("connected", False):
            return ""
        away = max(0.0, time.time() - self.standing.get("since", time.time()))
        return f"no control plane for {away:.0f} s: mesh {self.version} serves on"

    def _order(self) -> Order | None:
        assert self.settings is not None
        if self.installing is not None and not self.installing.done():
            return None  # the file that it would write its first update to is the one that is being installed
        return Order({"task": "control", **self.settings}, [])

    def _heard(self, said: bytes) -> None:
        if not said:
            self.pid = 0
            self.standing = {**self.standing, "connected": False, "since": time.time()}
            return
        message = json.loads(said)
        self.pid = message.get("pid", self.pid)
        self.standing = message.get("standing", self.standing)
        if "line" in message:
            (warn if message["serious"] else say)(message["line"])
        if "install" in message:
            self.installing = spawn(self._install(message["install"]))

    async def _install(self, path: str) -> None:
        answering = self.child.connection
        reasons = await self.install(path)
        if answering is None or answering is not self.child.connection:
            return
        try:
            answering.send(json.dumps({"reasons": [reason[:1000] for reason in reasons[:50]]}).encode())
        except OSError:
            return  # it has died, and its successor begins with what is on disk


def keep(candidate: str, part: str) -> None:
    """A part that all workers have is the last good one from now on. `Failure` when it cannot be written."""
    try:
        os.replace(candidate, part)
        descriptor = os.open(os.path.dirname(part), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Failure(f"{part}: cannot be kept: {error.strerror}; see to control_plane.state_dir") from None
