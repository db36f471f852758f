"""The admin server's life: loaded when a configuration has one, moved when its address changes."""

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from tulle.proxy.children import Children
from tulle.proxy.control.companion import ControlFollower
from tulle.proxy.health.companion import HealthChecks
from tulle.proxy.listeners import ADMIN, Listeners, Place
from tulle.proxy.reload import Reloader
from tulle.proxy.workers import Workers

if TYPE_CHECKING:
    from tulle.proxy.admin.server import AdminServer


class Administration:
    """What the pages see and may do; they themselves are in `admin.pages`."""

    def __init__(
        self,
        children: Children,
        workers: Workers,
        reloader: Reloader,
        health: HealthChecks,
        drain_listeners: Callable[[Collection[str]], list[int]],
        leave: Callable[[], None],
    ) -> None:
        self.children = children
        self.workers = workers
        self.reloader = reloader
        self.health = health
        self.drain_listeners = drain_listeners
        self.leave = leave
        self.certificate_reloads: Callable[[], dict[str, int]] = dict  # by outcome; of one that has TLS
        self.follower: ControlFollower | None = None
        self.began = time.time()
        self.not_ready = "STARTING"  # why no traffic is served; "" when it is
        self.address: str | None = None
        self.server: AdminServer | None = None

    def open(self, listeners: Listeners, address: str | None) -> None:
        """Serve at this address from now on, which is bound, or nowhere."""
        if address == self.address:
            return
        self.close()
        self.address = address
        if address is not None:
            from tulle.proxy.admin.pages import Pages
            from tulle.proxy.admin.server import AdminServer

            self.server = AdminServer(listeners.sockets[Place(address, ADMIN)], Pages(self).respond)

    def close(self) -> None:
        if self.server is not None:
            self.server.close()
            self.server = None
