"""A child that stays for as long as the configuration wants it: begun by the spawner, and again when it dies.

The socket between it and the master is how either knows that the other is there: the child leaves when it
closes. What is said over it is the owner's affair.
"""

import json
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from tulle.proxy import spawner
from tulle.proxy.children import Children
from tulle.proxy.loop import Timer, current
from tulle.proxy.messages import warn

FIRST_PAUSE = 0.2  # seconds before another is begun for one that died young; doubled each time
LONGEST_PAUSE = 30.0
GROWN_UP = 10.0  # seconds of life
LARGEST = 1 << 16  # bytes of a message


class Order(NamedTuple):
    """What the child is to do, see `tasks`, and the descriptors that it needs for that."""

    task: dict[str, Any]
    descriptors: list[int]


class Companion:
    """Owns the socket to one child. `connection` is None while there is none."""

    def __init__(
        self,
        children: Children,
        does: str,
        order: Callable[[], Order | None],
        heard: Callable[[bytes], None] = lambda said: None,
    ) -> None:
        """`does` is what it is for, in the words of "the process that ...".

        `order` is asked at each beginning; None when it is too early for one. `heard` is called with every
        message, and with an empty one when the child has ended.
        """
        self.children = children
        self.does = does
        self.order = order
        self.heard = heard
        self.connection: socket.socket | None = None
        self.again: Timer | None = None
        self.pause = FIRST_PAUSE
        self.began = 0.0  # monotonic seconds

    @property
    def wanted(self) -> bool:
        """Whether there is one, or will be soon."""
        return self.connection is not None or self.again is not None

    def begin(self) -> None:
        """Have one, in place of the one that there is."""
        self.end()
        self._begin()

    def end(self) -> None:
        """Have none."""
        if self.again is not None:
            self.again.cancel()
            self.again = None
        if self.connection is not None:
            current().remove_reader(self.connection.fileno())
            self.connection.close()
            self.connection = None

    def _begin(self) -> None:
        self.again = None
        order = self.order()
        if order is None:
            self.again = current().call_later(FIRST_PAUSE, self._begin)
            return
        self.began = time.monotonic()
        task = json.dumps(order.task).encode()
        try:
            self.connection = spawner.begin_task(
                self.children.handle.orders, task, order.descriptors, spawner.COMPANION
            )
        except OSError as error:
            warn(f"the process that {self.does} cannot begin: {error.strerror}; it is tried again")
            self._begin_later()
            return
        current().add_reader(self.connection.fileno(), self._heard)

    def _heard(self) -> None:
        """It says something, or its end of the socket has closed."""
        assert self.connection is not None
        try:
            said = self.connection.recv(LARGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self.end()
            warn(f"the process that {self.does} has ended; another begins")
            self._begin_later()
        self.heard(said)

    def _begin_later(self) -> None:
        if time.monotonic() - self.began > GROWN_UP:
            self.pause = FIRST_PAUSE
        self.again = current().call_later(self.pause, self._begin)
        self.pause = min(2 * self.pause, LONGEST_PAUSE)
