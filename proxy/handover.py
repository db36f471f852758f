"""What one program leaves to the next when it is replaced in place: open descriptors, and words on them.

The words are JSON in a memfd; the environment says which. What a field means is the same in all
versions with the same FORMAT, and so is what a keeper says and does; a field may be added, none changed.

When the next program lays out shared memory in another way it is not left that, but a process that keeps it
for the workers that use it, see `keepers`.
"""

import json
import os
import socket
from typing import Any

from tulle._fast.base import stats
from tulle.proxy.configuration import Configuration
from tulle.proxy.descriptors import content, memfd
from tulle.proxy.failure import Failure
from tulle.proxy.keepers import Keeper
from tulle.proxy.listeners import Listeners, Place
from tulle.proxy.reload import Reloader
from tulle.proxy.shared import Shared
from tulle.proxy.start import ENVIRONMENT
from tulle.proxy.workers import State, Worker, Workers

FORMAT = 2
SHARED = ("shared", "wakes", "log")  # the fields that tell of shared memory
Words = dict[str, Any]


def describe(reloader: Reloader, workers: Workers, began: float) -> Words:
    """Everything of a proxy that its successor needs; numbers of descriptors are those of this process."""
    current = reloader.current
    return {
        "format": FORMAT,
        "layout": stats.LAYOUT,
        "began": began,
        "shared": workers.stats.descriptor,
        "wakes": workers.shared.wakes,
        "log": workers.shared.log,
        "listeners": [[*place, own.fileno()] for place, own in reloader.listeners.sockets.items()],
        "configuration": {
            "version": current.version,
            "serial": current.serial,
            "settings": current.described,
            "descriptors": current.descriptors(),
            "resolved": current.resolved,
        },
        "version": reloader.version,
        "reloads": {"taken": reloader.taken, "refused": reloader.refused},
        "restarts": workers.restarts,
        "keepers": [keeper.describe() for keeper in workers.keepers.all],
        "workers": [
            {
                "lane": worker.lane,
                "pid": worker.pid,
                "control": worker.control.fileno(),
                "state": worker.state.value,
                "installed": worker.installed,
                "oldest": worker.oldest,
                "keeper": -1 if worker.keeper is None else workers.keepers.all.index(worker.keeper),
            }
            for worker in workers.running
            if worker.pid
        ],
    }


def keep_back(words: Words, keeper: Keeper) -> Words:
    """The same for a program that cannot read our shared memory: in its place this keeper."""
    own = len(words["keepers"])
    workers = [
        {**worker, "keeper": own if worker["keeper"] < 0 else worker["keeper"]} for worker in words["workers"]
    ]
    rest = {name: value for name, value in words.items() if name not in SHARED}
    return {**rest, "keepers": [*words["keepers"], keeper.describe()], "workers": workers}


def descriptors(words: Words) -> list[int]:
    """All that the words name."""
    shared = [words["shared"], words["log"], *words["wakes"]] if "shared" in words else []
    return [
        *shared,
        *(keeper["control"] for keeper in words["keepers"]),
        *(descriptor for _, _, descriptor in words["listeners"]),
        *words["configuration"]["descriptors"],
        *(worker["control"] for worker in words["workers"]),
    ]


def give(words: Words) -> int:
    """Have the descriptors stay open for the next program; the memfd of the words, which does so too."""
    text = memfd("tulle-handover", json.dumps(words).encode())
    for descriptor in (text, *descriptors(words)):
        os.set_inheritable(descriptor, True)
    return text


def take_back(words: Words, text: int) -> None:
    """There is no next program after all."""
    os.close(text)
    for descriptor in descriptors(words):
        os.set_inheritable(descriptor, False)


def receive() -> Words | None:
    """What a former program has left to this one, if there was one. `Failure` when it makes no sense."""
    text = os.environ.pop(ENVIRONMENT, None)
    if text is None:
        return None
    try:
        words: Words = json.loads(content(int(text)))
        os.close(int(text))
        for descriptor in descriptors(words):
            os.set_inheritable(descriptor, False)
    except (OSError, ValueError, KeyError) as error:
        raise Failure(f"the former program has left nothing that can be used: {error}; start anew") from None
    return words


def shared(words: Words, workers: int) -> Shared:
    """The memory that was left, or a new one for so many workers when that is of another layout."""
    if "shared" not in words:
        return Shared.create(workers)
    try:
        return Shared(words["shared"], words["wakes"], words["log"])
    except ValueError as error:
        raise Failure(f"{error}, and it was not so when that was asked; start anew") from None


def configuration(words: Words, workers: int | None) -> Configuration:
    """The one in use; `workers` is from the command line."""
    found = words["configuration"]
    taken = Configuration(
        found["version"], found["serial"], found["settings"], workers, list(found["descriptors"])
    )
    taken.resolved = found["resolved"]
    return taken


def adopt(words: Words, listeners: Listeners, reloader: Reloader, workers: Workers) -> None:
    """Take over sockets, figures and workers."""
    for address, owner, descriptor in words["listeners"]:
        listeners.sockets[Place(address, owner)] = socket.socket(fileno=descriptor)
    reloader.bind(reloader.current)
    reloader.resolver.answers = dict(reloader.current.resolved)
    reloader.version = words["version"]
    reloader.taken, reloader.refused = words["reloads"]["taken"], words["reloads"]["refused"]
    workers.restarts = words["restarts"]
    keepers = [_keeper(found, number, "shared" in words) for number, found in enumerate(words["keepers"])]
    for keeper in keepers:
        workers.keepers.adopt(keeper)
    for found in words["workers"]:
        its_keeper = keepers[found["keeper"]] if found["keeper"] >= 0 else None
        worker = Worker(found["lane"], socket.socket(fileno=found["control"]), its_keeper)
        worker.state = State(found["state"])
        worker.installed = tuple(found["installed"])
        worker.oldest = tuple(found["oldest"])
        workers.adopt(worker, found["pid"])
    for keeper in keepers:
        if not any(worker.keeper is keeper for worker in workers.running):
            workers.keepers.part(keeper)


def _keeper(found: dict[str, Any], number: int, same_memory: bool) -> Keeper:
    """In new memory every keeper needs a lane anew."""
    lane = found["lane"] if same_memory else number
    return Keeper(found["pid"], socket.socket(fileno=found["control"]), lane, found["without"])
