"""The checker's life, for the master: begun when a configuration has health checks, anew when it changes."""

import json
import socket

from tulle.proxy import spawner
from tulle.proxy.children import Children
from tulle.proxy.configuration import Configuration
from tulle.proxy.loop import Timer, current
from tulle.proxy.messages import warn
from tulle.proxy.shared import Shared

PAUSE = 1.0  # seconds before another is begun for one that died


class HealthChecks:
    """Holds the socket by which the checker knows that it is wanted."""

    def __init__(self, children: Children, shared: Shared) -> None:
        self.children = children
        self.shared = shared
        self.checking: socket.socket | None = None
        self.again: Timer | None = None

    def follow(self, configuration: Configuration) -> None:
        """Check what this configuration says from now on."""
        had = self.checking is not None or self.again is not None
        self.end()
        # one that finds nothing to check takes back what former checks have found
        if configuration.settings.health_checks or had:
            self._begin(configuration)

    def end(self) -> None:
        """Check nothing more."""
        if self.again is not None:
            self.again.cancel()
            self.again = None
        if self.checking is not None:
            current().remove_reader(self.checking.fileno())
            self.checking.close()
            self.checking = None

    def _begin(self, configuration: Configuration) -> None:
        self.again = None
        descriptors = [self.shared.stats.descriptor, configuration.names, configuration.table]
        task = json.dumps({"task": "health"}).encode()
        try:
            self.checking = spawner.begin_task(
                self.children.handle.orders, task, descriptors, spawner.COMPANION
            )
        except OSError as error:
            warn(f"health checks cannot begin: {error.strerror}; they are tried again")
            self.again = current().call_later(PAUSE, self._begin, configuration)
            return
        current().add_reader(self.checking.fileno(), self._ended, configuration)

    def _ended(self, configuration: Configuration) -> None:
        """Its end of the socket has closed."""
        self.end()
        warn("the process that checks endpoints has ended; another begins")
        self.again = current().call_later(PAUSE, self._begin, configuration)
