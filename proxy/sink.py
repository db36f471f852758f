"""The file that the access log goes to."""

import os

STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}


def open_sink(path: str) -> int:
    """A descriptor to append to; OSError when there is none to have.

    The standard streams are what this process has: to open them by path fails when they are sockets.
    """
    if path in STANDARD:
        return os.dup(STANDARD[path])
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
