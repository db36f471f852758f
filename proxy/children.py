"""The master's end of the spawner: orders workers and hears of their end, and runs tasks."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable
from typing import Any

from tulle.proxy import spawner
from tulle.proxy.descriptors import content
from tulle.proxy.failure import Failure


class Child:
    """One child of the spawner. `pid` is 0 until it is known."""

    def __init__(self, on_end: Callable[[int], None]) -> None:
        self.pid = 0
        self.on_end = on_end  # called with the wait status


class Children:
    """Everything that the spawner forks for the master."""

    def __init__(self, handle: spawner.Handle) -> None:
        self.pid = handle.pid
        self.orders = handle.orders
        self.tickets = 0
        self.children: dict[int, Child] = {}
        self.on_spawner_end: Callable[[], None] = lambda: None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear reports from now on."""
        loop.add_reader(self.orders.fileno(), self._report)

    def fork_worker(self, lane: int, descriptors: list[int], on_end: Callable[[int], None]) -> Child:
        """A new worker; the caller may close the descriptors at once."""
        self.tickets += 1
        child = self.children[self.tickets] = Child(on_end)
        spawner.send(self.orders, spawner.ORDER.pack(spawner.WORKER, self.tickets, lane), descriptors)
        return child

    async def run_task(
        self, task: dict[str, Any], descriptors: list[int]
    ) -> tuple[dict[str, Any], list[int]]:
        """The answer of a task and the descriptors with it, which the caller closes."""
        return await answer(spawner.begin_task(self.orders, json.dumps(task).encode(), descriptors))

    def _report(self) -> None:
        try:
            data = self.orders.recv(spawner.REPORT.size, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self.orders.fileno())
            self.on_spawner_end()
            return
        kind, ticket, pid, status = spawner.REPORT.unpack(data)
        if kind == spawner.BEGAN:
            if child := self.children.get(ticket):
                child.pid = pid
        elif child := self.children.pop(ticket, None):
            child.on_end(status)


async def answer(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Wait for the answer of a task; the descriptors with it are the caller's.

    `Failure` when the task died.
    """
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    with connection:
        loop.add_reader(connection.fileno(), _settle, readable)
        try:
            await readable
        finally:
            loop.remove_reader(connection.fileno())
        descriptors: list[int] = []
        with contextlib.suppress(ConnectionError):
            descriptors = spawner.receive(connection)[1]
    if not descriptors:
        raise Failure(
            "a child that was to do a task has died; see what it wrote above, or whether memory ran out"
        )
    text, *descriptors = descriptors
    result = json.loads(content(text))
    os.close(text)
    if "failed" in result:
        for descriptor in descriptors:
            os.close(descriptor)
        raise Failure(f"a task of the proxy has failed: {result['failed']}; this is a bug, please report it")
    return result, descriptors


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
