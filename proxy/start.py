"""What `tulle proxy` does first: a child compiles already while this process imports the rest.

Its command line is read in a child too: what reads command lines is a megabyte, which the master would keep.
"""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from tulle.proxy import spawner

ENVIRONMENT = "TULLE_HANDOVER"  # is set when a former program has left something, see `handover`


class Options(NamedTuple):
    """The command line of `tulle proxy`."""

    source: dict[str, Any]  # {"file": path} or {"listen": address, "to": [addresses]}; and {"zone": name}
    workers: int | None
    pid_file: str | None
    command: tuple[str, ...]  # that this process was begun with, without the interpreter


def run(handle: spawner.Handle, words: Sequence[str]) -> int:
    """Run the proxy of a command line in the foreground; the exit status."""
    options = read_apart(words)
    if isinstance(options, int):
        return options
    if ENVIRONMENT in os.environ:
        from tulle.proxy import master

        return master.succeed(handle, options)
    task = {"task": "compile", "source": options.source, "version": 1, "resolved": {}, "released": 0}
    answering = spawner.begin_task(handle.orders, json.dumps(task).encode(), [])
    from tulle.proxy import master

    return master.run(handle, answering, options)


def read_apart(words: Sequence[str]) -> Options | int:
    """What a command line says, read in a child; an exit status when there is nothing to run."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _read_and_leave(words, writer)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 0 or not said:
        return abs(status)
    source, workers, pid_file, command = json.loads(said)
    return Options(source, workers, pid_file, tuple(command))


def _read_and_leave(words: Sequence[str], writer: int) -> NoReturn:
    from tulle.proxy import commands

    def tell(options: Options) -> int:
        with open(writer, "wb") as pipe:
            pipe.write(json.dumps(options).encode())
        return 0

    status = 1
    try:
        status = commands.run(words, tell)
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
