"""The control socket: other commands ask a running proxy here. One JSON object a line, each answered by one.

    {"command": "reload"}      {"version": 3, "reasons": []}
    {"command": "version"}     {"version": 3, "program": "0.1.0"}

A reload has `reasons` when it was refused; `version` is the one in use then.
"""

import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from tulle.proxy import sockets
from tulle.proxy.streams import Server, Stream
from tulle.proxy.waiting import Timeout

LONGEST_LINE = 4096
MOST_CONNECTIONS = 16
PATIENCE = 30.0  # seconds that a client may take for a line
Command = Callable[[], Awaitable[dict[str, Any]]]


class ControlSocket:
    """The server's end, in the master."""

    def __init__(self, path: str, commands: dict[str, Command]) -> None:
        """Listen at this path. `Failure` when the socket cannot be made."""
        self.path = path
        self.commands = commands
        self.server = Server(sockets.bind(f"unix:{path}", mode=0o600), self._serve, MOST_CONNECTIONS)

    def close(self) -> None:
        """Stop listening and remove the socket's file."""
        with suppress(OSError):
            os.unlink(self.path)
        self.server.close()

    async def _serve(self, stream: Stream) -> None:
        received = b""
        while len(received) < LONGEST_LINE:
            line, end, rest = received.partition(b"\n")
            if end:
                received = rest
                await stream.write(json.dumps(await self._answer(line)).encode() + b"\n")
                continue
            async with Timeout(PATIENCE):
                data = await stream.read(LONGEST_LINE)
            if not data:
                return
            received += data

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            command = self.commands[json.loads(line)["command"]]
        except (ValueError, KeyError, TypeError):
            return {"error": f"not a command; there are: {', '.join(sorted(self.commands))}"}
        return await command()
