"""Short-lived children: what needs much memory is done in one, whose memory goes back to the system with it.

A task is JSON, `{"task": name, ...}`, in a memfd. Its answer is one message over the socket that is the first
descriptor: memfds, the first of them with JSON. Modules are imported by the task that needs them.
"""

import json
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any

from tulle._fast.base import process
from tulle.proxy.descriptors import content, memfd
from tulle.proxy.spawner import send

Task = Callable[[dict[str, Any], list[int]], tuple[dict[str, Any], list[int]]]


def run(descriptors: list[int]) -> int:
    """Do one task in the process of its own; the exit status. Descriptors as the spawner gives them."""
    process.set_name(b"tulle-task")
    process.die_with_parent(signal.SIGKILL)
    answer = socket.socket(fileno=descriptors[0])
    arguments = json.loads(content(descriptors[1]))
    if arguments["task"] == "health":
        from tulle.proxy.health import checker

        return checker.run(answer, descriptors[2:])
    if arguments["task"] == "control":
        from tulle.proxy.control import child

        return child.run(answer, arguments)
    if arguments["task"] == "tokens":
        from tulle.proxy.tokens import verifier

        return verifier.run(answer, descriptors[2:])
    try:
        result, passed = TASKS[arguments.pop("task")](arguments, descriptors[2:])
    except Exception:
        traceback.print_exc()
        kind, error = sys.exc_info()[:2]
        result, passed = {"failed": f"{kind.__name__ if kind else ''}: {error}"}, []
    send(answer, b"\n", [memfd("tulle-answer", json.dumps(result).encode()), *passed])
    return 0


def compile_config(arguments: dict[str, Any], descriptors: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Text of a configuration to table images."""
    from tulle.proxy import compile_task

    return compile_task.run(arguments, descriptors)


def compile_endpoints(arguments: dict[str, Any], descriptors: list[int]) -> tuple[dict[str, Any], list[int]]:
    """New addresses of endpoints to an endpoints segment."""
    from tulle.proxy import compile_task

    return compile_task.run_endpoints(arguments, descriptors)


def compile_certificates(
    arguments: dict[str, Any], descriptors: list[int]
) -> tuple[dict[str, Any], list[int]]:
    """Changed files of certificates to what workers make contexts of."""
    from tulle.proxy import certificates_task

    return certificates_task.run(arguments, descriptors)


def sweep_names(arguments: dict[str, Any], descriptors: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Forget names that have gone."""
    from tulle.proxy import sweep_task

    return sweep_task.run(arguments, descriptors)


def page(arguments: dict[str, Any], descriptors: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Figures and configuration to an admin page."""
    from tulle.proxy.admin import render

    return render.run(arguments, descriptors)


def seed_lane(arguments: dict[str, Any], descriptors: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Figures of a former program, the second descriptor, to a lane of shared memory, the first."""
    from tulle._fast.base import seed, stats

    memory, figures = descriptors
    seed.seed(stats.Stats(memory), arguments["lane"], json.loads(content(figures)))
    return {}, []


TASKS: dict[str, Task] = {
    "compile": compile_config,
    "endpoints": compile_endpoints,
    "certificates": compile_certificates,
    "page": page,
    "sweep": sweep_names,
    "seed": seed_lane,
}
