"""Whether something on this machine takes connections at a port: what a `tcpSocket` probe would have
asked."""

import errno
import os
import socket
from contextlib import suppress

from tulle.proxy.admin.server import Answer, Request
from tulle.proxy.loop import Future, current
from tulle.proxy.waiting import Timeout

PATIENCE = 1.0  # seconds
HOSTS = (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6))


async def reach(request: Request) -> Answer:
    """The page `/reach?port=N`."""
    text = request.query.get("port", "")
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        return Answer(400, b"say ?port= a number from 1 to 65535\n")
    reason = ""
    for host, family in HOSTS:
        found = await _connect(host, family, int(text))
        if not found:
            return Answer(200, b"it takes connections\n")
        reason = reason or found
    return Answer(503, f"port {text} takes no connections: {reason}\n".encode())


async def _connect(host: str, family: int, port: int) -> str:
    """Why it could not be; empty when it could."""
    try:
        client = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        return os.strerror(error.errno or 0)
    with client:
        number = client.connect_ex((host, port))
        if number == 0:
            return ""
        if number != errno.EINPROGRESS:
            return os.strerror(number)
        connected: Future[None] = Future()
        current().add_writer(client.fileno(), connected.set_result, None)
        try:
            with suppress(TimeoutError):
                async with Timeout(PATIENCE):
                    await connected
        finally:
            current().remove_writer(client.fileno())
        if not connected.done():
            return f"no answer within {PATIENCE:g} s"
        number = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return os.strerror(number) if number else ""
