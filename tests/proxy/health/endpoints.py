"""Clusters that are checked, endpoints that do as a test wants, and what the proxy found of them."""

import socket
import threading
from contextlib import suppress
from typing import Any

from tests.proxy.running import Proxy, config, until

FAST = {"interval": "50ms", "timeout": "300ms", "healthy_threshold": 2, "unhealthy_threshold": 2}


def checked(addresses: list[str], check: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Two workers and a cluster whose endpoints are checked."""
    made = config(addresses, workers=2)
    made["clusters"]["v1"] |= {"health_checks": [FAST | (check or {"http": {}})], "panic_threshold": 0} | more
    return made


def health(proxy: Proxy, address: str) -> dict[str, Any]:
    found: dict[str, Any] = proxy.admin("/clusters")["v1"]["endpoints"][address]
    return found


def wait_for(proxy: Proxy, address: str, state: str) -> dict[str, Any]:
    until(lambda: health(proxy, address)["health"] == state, f"{address} is {state}:\n{proxy.said()}")
    return health(proxy, address)


class Endpoint:
    """Accepts connections, and leaves each to `serve`, in a thread; they stay open until `serve` closes them.

    Who checks may leave at any time: that ends `serve`, and nothing else.
    """

    def __init__(self) -> None:
        self.kept: list[socket.socket] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.kept.append(connection)
            threading.Thread(target=self._attend, args=(connection,), daemon=True).start()

    def _attend(self, connection: socket.socket) -> None:
        with suppress(OSError):
            self.serve(connection)

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for connection in self.kept:
            connection.close()
