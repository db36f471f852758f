"""Loopback ports and descriptors, for all that the bench starts."""

import resource
import socket
from contextlib import ExitStack

BACKLOG = 4096
DESCRIPTORS = 16384
"""Enough for 10,000 connections from clients and what a proxy has open beside them."""


def free_ports(count: int) -> tuple[int, ...]:
    """So many different TCP ports of 127.0.0.1 that nothing listens on at this moment."""
    with ExitStack() as probes:
        ports = []
        for _ in range(count):
            probe = probes.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
        return tuple(ports)


def free_port() -> int:
    return free_ports(1)[0]


def listen(port: int) -> socket.socket:
    """A non-blocking listening socket on 127.0.0.1:`port`."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def raise_descriptor_limit() -> int:
    """Raise the limit of open descriptors as far as is needed and allowed; children inherit it.

    Answers the limit that now holds.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, DESCRIPTORS)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
