"""What the service manager is told, by the protocol of sd_notify(3), when it asks by NOTIFY_SOCKET."""

import os
import socket
import time

from tulle.proxy.messages import warn


def ready(status: str) -> None:
    _send("READY=1", f"MAINPID={os.getpid()}", f"STATUS={status}")


def reloading() -> None:
    _send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    _send("STOPPING=1", "STATUS=draining")


def _send(*lines: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    where = b"\0" + address[1:].encode() if address.startswith("@") else address.encode()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            manager.connect(where)
            manager.send("\n".join(lines).encode())
    except OSError as error:
        warn(f"the service manager cannot be told at NOTIFY_SOCKET={address}: {error.strerror}")
