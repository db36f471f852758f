"""The process that follows the control plane: a child of its own, so that a proxy without one pays nothing.

It tells the master by JSON messages over its socket: `{"pid"}`, `{"standing"}`, `{"line", "serious"}`, and
`{"install": path}`, which is answered with `{"reasons": []}`. It leaves when the master closes its end.
"""

import asyncio
import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import msgspec

from tulle._fast.base import process
from tulle.controlplane.client.follower import Follower, Standing, Where
from tulle.controlplane.identity.errors import IdentityError

LARGEST = 1 << 16  # bytes of an answer


def run(master: socket.socket, arguments: dict[str, Any]) -> int:
    """Follow until the master closes its end; the exit status."""
    process.set_name(b"tulle-control")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    master.setblocking(False)
    where = Where(tuple(arguments["addresses"]), arguments["state_dir"], arguments["token_file"])
    return asyncio.run(_Child(master).run(where))


class _Child:
    def __init__(self, master: socket.socket) -> None:
        self.master = master
        self.answers: asyncio.Queue[list[str]] = asyncio.Queue()
        self.left = asyncio.Event()

    async def run(self, where: Where) -> int:
        loop = asyncio.get_running_loop()
        loop.add_reader(self.master.fileno(), self._heard)
        self.tell({"pid": os.getpid()})
        follower = Follower(where, self._install, self._report, self._say)
        following = asyncio.create_task(follower.run())
        leaving = asyncio.create_task(self.left.wait())
        await asyncio.wait((following, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not following.done():
            following.cancel()
            return 0
        try:
            following.result()
        except* IdentityError as errors:
            self._say(True, "; ".join(str(error) for error in errors.exceptions))
            await leaving  # there is nothing that another start would mend
        return 1

    def _heard(self) -> None:
        try:
            said = self.master.recv(LARGEST)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self.left.set()
            asyncio.get_running_loop().remove_reader(self.master.fileno())
            return
        self.answers.put_nowait(json.loads(said)["reasons"])

    async def _install(self, path: Path) -> list[str]:
        self.tell({"install": str(path)})
        return await self.answers.get()

    def _report(self, standing: Standing) -> None:
        self.tell({"standing": msgspec.to_builtins(standing)})

    def _say(self, serious: bool, line: str) -> None:
        self.tell({"line": line[:2000], "serious": serious})

    def tell(self, message: dict[str, Any]) -> None:
        """The master reads at once; one that does not has gone, or will be told again."""
        try:
            self.master.send(json.dumps(message).encode())
        except BlockingIOError:
            os.set_blocking(self.master.fileno(), True)
            try:
                self.master.send(json.dumps(message).encode())
            except OSError:
                self.left.set()
            finally:
                os.set_blocking(self.master.fileno(), False)
        except OSError:
            self.left.set()
