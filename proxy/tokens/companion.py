"""The verifier's life, for the master: begun when a configuration asks for tokens, and again when it dies."""

import os
import socket
from contextlib import suppress

from tulle.proxy import spawner
from tulle.proxy.children import Children
from tulle.proxy.companion import Companion, Order
from tulle.proxy.configuration import Configuration
from tulle.proxy.workers import Workers


class Tokens:
    """Holds the verifier, and both ends of the workers' door to it."""

    def __init__(self, children: Children, workers: Workers) -> None:
        self.workers = workers
        self.door: socket.socket | None = None  # the verifier's end
        self.memory = -1  # the last good keys, see `sources`
        self.table = -1
        self.verifier = Companion(children, "verifies tokens", self._order)

    def prepare(self, configuration: Configuration) -> None:
        """Before workers have a configuration: whom they ask, and what they may ask."""
        if not configuration.settings.tokens:
            return
        if self.door is None:
            ours, self.door = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.memory = os.memfd_create("tulle-jwks", os.MFD_CLOEXEC)
            self.workers.open_door(ours)
        former, self.table = self.table, os.dup(configuration.table)
        if former >= 0:
            os.close(former)
        if self.verifier.connection is not None:
            with suppress(OSError):  # it has died, and the next one begins with this table
                spawner.send(self.verifier.connection, b"table", [self.table])
        elif not self.verifier.wanted:
            self.verifier.begin()

    def follow(self, configuration: Configuration) -> None:
        """A configuration that asks for no tokens has no verifier."""
        if not configuration.settings.tokens:
            self.end()

    def end(self) -> None:
        self.verifier.end()

    def _order(self) -> Order:
        assert self.door is not None
        return Order({"task": "tokens"}, [self.door.fileno(), self.memory, self.table])
