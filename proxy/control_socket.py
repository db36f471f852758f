"""The control socket: other commands ask a running proxy here. One JSON object a line, each answered by one.

    {"command": "reload"}      {"version": 3, "reasons": []}
    {"command": "version"}     {"version": 3, "program": "0.1.0"}

A reload has `reasons` when it was refused; `version` is the one in use then.
"""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tulle.proxy import runtime_dir, sockets
from tulle.proxy.failure import Failure

LONGEST_LINE = 4096
PATIENCE = 30.0  # seconds that a client may take for a line
Command = Callable[[], Awaitable[dict[str, Any]]]


class ControlSocket:
    """The server's end, in the master."""

    def __init__(self, path: Path, commands: dict[str, Command]) -> None:
        self.path = path
        self.commands = commands
        self.server: asyncio.Server | None = None
        self.listening: socket.socket | None = None

    async def open(self) -> None:
        """`Failure` when the socket cannot be made."""
        remove_stale(self.path.parent)
        self.listening = sockets.bind(f"unix:{self.path}", mode=0o600)
        self.server = await asyncio.start_unix_server(self._serve, sock=self.listening, limit=LONGEST_LINE)

    def close(self) -> None:
        """Stop listening and remove the socket's file."""
        if self.server is not None and self.listening is not None:
            with suppress(OSError):
                self.path.unlink()
            self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, TimeoutError, ValueError):  # ValueError: a line too long
            while line := await asyncio.wait_for(reader.readline(), PATIENCE):
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            command = self.commands[json.loads(line)["command"]]
        except (ValueError, KeyError, TypeError):
            return {"error": f"not a command; there are: {', '.join(sorted(self.commands))}"}
        return await command()


def remove_stale(directory: Path) -> None:
    """Remove the sockets of proxies that were killed."""
    for path in directory.glob("*.sock"):
        if path.stem.isdecimal() and not Path(f"/proc/{path.stem}").exists():
            with suppress(OSError):
                path.unlink()


def ask(pid: int, command: str, directory: Path | None, timeout: float) -> dict[str, Any]:
    """Ask the proxy of that PID. `Failure` when there is none, or it does not answer in `timeout` seconds."""
    try:
        paths = [runtime_dir.socket_path(directory, pid)] if directory else list(runtime_dir.candidates(pid))
    except OSError:
        raise Failure(f"no process has the PID {pid}; is the proxy running?") from None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        _connect(connection, pid, paths)
        try:
            connection.sendall(json.dumps({"command": command}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
        except TimeoutError:
            raise Failure(f"the proxy {pid} has not answered in {timeout:g} s") from None
        except OSError as error:
            raise Failure(f"the proxy {pid} has broken off: {error.strerror}") from None
    if not line:
        raise Failure(f"the proxy {pid} has left without an answer")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise Failure(f"the proxy {pid} does not know {command!r}: is it of another version?")
    return answer


def _connect(connection: socket.socket, pid: int, paths: list[Path]) -> None:
    for path in dict.fromkeys(paths):
        try:
            connection.connect(str(path))
            return
        except PermissionError:
            raise Failure(f"no permission for {path}; run this as the proxy's user or as root") from None
        except OSError:
            continue
    tried = ", ".join(map(str, dict.fromkeys(paths)))
    raise Failure(
        f"no proxy answers for PID {pid}; tried {tried}",
        "if its configuration sets runtime_dir, say --runtime-dir; `kill -HUP` works without an answer",
    )
