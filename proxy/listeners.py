"""Which place has which listening socket: kept from one configuration to the next."""

import socket
from collections.abc import Iterable
from typing import NamedTuple

from tulle.proxy import sockets
from tulle.proxy.configuration import ListenerSettings, Settings

ADMIN = "admin server"


class Place(NamedTuple):
    """An address to listen on. `owner` tells those apart that may be written alike: "" is any listener."""

    address: str
    owner: str = ""


class Listeners:
    """All listening sockets of the proxy, the admin server's too."""

    def __init__(self) -> None:
        self.sockets: dict[Place, socket.socket] = {}

    def bind(self, places: Iterable[Place]) -> list[Place]:
        """Bind those that are not bound yet: all or, with `Failure`, none. The new ones."""
        new: list[Place] = []
        try:
            for place in places:
                if place not in self.sockets:
                    self.sockets[place] = sockets.bind(place.address)
                    new.append(place)
        except BaseException:
            self.drop(new)
            raise
        return new

    def drop(self, places: Iterable[Place]) -> None:
        """Close these for good."""
        for place in places:
            sockets.close(self.sockets.pop(place))

    def keep(self, places: Iterable[Place]) -> None:
        """Close all but these."""
        self.drop(set(self.sockets) - set(places))


def place_of(listener: ListenerSettings) -> Place:
    """Port 0 is another port for each listener."""
    return Place(listener.address, listener.name if listener.address.endswith(":0") else "")


def admin_places(settings: Settings) -> list[Place]:
    """Of the admin server: one or none."""
    return [Place(settings.admin_address, ADMIN)] if settings.admin_address else []


def places_of(settings: Settings) -> list[Place]:
    """Everything that is to be listened on."""
    return [*map(place_of, settings.listeners), *admin_places(settings)]
