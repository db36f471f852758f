"""What `tulle proxy` does first: a child compiles already while this process imports the rest."""

import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tulle.proxy import spawner

ENVIRONMENT = "TULLE_HANDOVER"  # is set when a former program has left something, see `handover`


class Options(NamedTuple):
    """The command line of `tulle proxy`."""

    source: dict[str, Any]  # {"file": path} or {"listen": address, "to": [addresses]}
    workers: int | None
    pid_file: Path | None
    command: tuple[str, ...]  # that this process was begun with, without the interpreter


def run(handle: spawner.Handle, options: Options) -> int:
    """Run a proxy in the foreground; the exit status."""
    if ENVIRONMENT in os.environ:
        import_asyncio()
        from tulle.proxy import master

        return master.succeed(handle, options)
    task = {"task": "compile", "source": options.source, "version": 1, "resolved": {}, "released": 0}
    answering = spawner.begin_task(handle.orders, json.dumps(task).encode(), [])
    import_asyncio()
    from tulle.proxy import master

    return master.run(handle, answering, options)


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
