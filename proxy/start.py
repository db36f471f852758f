"""What `tulle proxy` does first: a child compiles already while this process imports the rest."""

import json
import os
from typing import Any, NamedTuple

from tulle.proxy import spawner

ENVIRONMENT = "TULLE_HANDOVER"  # is set when a former program has left something, see `handover`


class Options(NamedTuple):
    """The command line of `tulle proxy`."""

    source: dict[str, Any]  # {"file": path} or {"listen": address, "to": [addresses]}; and {"zone": name}
    workers: int | None
    pid_file: str | None
    command: tuple[str, ...]  # that this process was begun with, without the interpreter


def run(handle: spawner.Handle, options: Options) -> int:
    """Run a proxy in the foreground; the exit status."""
    if ENVIRONMENT in os.environ:
        from tulle.proxy import master

        return master.succeed(handle, options)
    task = {"task": "compile", "source": options.source, "version": 1, "resolved": {}, "released": 0}
    answering = spawner.begin_task(handle.orders, json.dumps(task).encode(), [])
    from tulle.proxy import master

    return master.run(handle, answering, options)
