"""Addresses for a mesh on one machine: on Linux all of 127.0.0.0/8 is its own, so each instance has one.

A demo has a network of 127.N.0.0/16 for itself: it keeps a port of that bound for as long as it runs.
"""

import itertools
import socket

from tulle.proxy.failure import Failure

FIRST, LAST = 8, 250  # N
CLAIMED = 15999  # the port of 127.N.0.1 that says that the network is taken
CONTROL_PORT, ADMIN_PORT, OUTBOUND_PORT, INBOUND_PORT = 15010, 15000, 15001, 15006
APPLICATION_PORT = 8080


class Network:
    """Gives each instance an address that none has had before it."""

    def __init__(self) -> None:
        """`Failure` when no network is free. It is to be closed."""
        for number in range(FIRST, LAST):
            self.claim = socket.socket()
            try:
                self.claim.bind((f"127.{number}.0.1", CLAIMED))
            except OSError:
                self.claim.close()
                continue
            self.number = number
            hosts = (host for host in range(2, 1 << 16) if host & 0xFF not in (0, 0xFF))
            self.hosts = itertools.cycle(hosts)
            return
        raise Failure("all networks from 127.8.0.0 to 127.249.0.0 are taken; do other demos run?")

    def close(self) -> None:
        """Leave it to others."""
        self.claim.close()

    @property
    def control(self) -> str:
        """The host of the control plane."""
        return f"127.{self.number}.0.1"

    def next(self) -> str:
        host = next(self.hosts)
        return f"127.{self.number}.{host >> 8}.{host & 0xFF}"
