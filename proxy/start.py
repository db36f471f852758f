"""What `tulle proxy` does first: the spawner is forked and compiles already while this process imports the
rest.
"""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tulle.proxy import spawner


class Options(NamedTuple):
    """The command line of `tulle proxy`."""

    source: dict[str, Any]  # {"file": path} or {"listen": address, "to": [addresses]}
    workers: int | None
    pid_file: Path | None
    command: tuple[str, ...]  # that this process was begun with, without the interpreter


def run(orders: socket.socket, options: Options) -> int:
    """Run a proxy in the foreground; the exit status. `orders` is the spawner's socket."""
    task = {"task": "compile", "source": options.source, "version": 1, "resolved": {}, "released": 0}
    answering = spawner.begin_task(orders, 0, json.dumps(task).encode(), [])
    import_asyncio()
    from tulle.proxy import master

    return master.run(orders, answering, options)


def import_asyncio() -> None:
    """Import asyncio without OpenSSL, which would be 6 MB that the master does not use.

    A module that is None cannot be imported (Python's reference, 5.3.1), and asyncio does without it.
    """
    modules: dict[str, Any] = sys.modules
    if "asyncio" in modules or "ssl" in modules:
        return
    modules["ssl"] = None
    try:
        import asyncio  # noqa: F401
    finally:
        del modules["ssl"]


def file_source(path: str) -> dict[str, Any]:
    return {"file": os.fsdecode(path)}
