"""Which address has which socket: kept from one configuration to the next by address."""

import socket
from collections.abc import Iterable

from tulle.proxy import sockets


class Listeners:
    """All listening sockets of the proxy, the admin server's too."""

    def __init__(self) -> None:
        self.by_address: dict[str, socket.socket] = {}

    def bind(self, addresses: Iterable[str]) -> list[str]:
        """Bind those that are not bound yet: all or, with `Failure`, none. The new ones."""
        new: list[str] = []
        try:
            for address in addresses:
                if address not in self.by_address:
                    self.by_address[address] = sockets.bind(address)
                    new.append(address)
        except BaseException:
            self.drop(new)
            raise
        return new

    def drop(self, addresses: Iterable[str]) -> None:
        """Close these for good."""
        for address in addresses:
            sockets.close(self.by_address.pop(address))

    def keep(self, addresses: Iterable[str]) -> None:
        """Close all but these."""
        self.drop(set(self.by_address) - set(addresses))
