"""The control socket: other commands ask a running proxy here. One JSON object a line, each answered by one.

    {"command": "reload"}      {"version": 3, "reasons": []}
    {"command": "version"}     {"version": 3, "program": "0.1.0"}

A reload has `reasons` when it was refused; `version` is the one in use then.
"""

import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tulle.proxy import runtime_dir, sockets
from tulle.proxy.failure import Failure
from tulle.proxy.streams import Server, Stream
from tulle.proxy.waiting import Timeout

LONGEST_LINE = 4096
MOST_CONNECTIONS = 16
PATIENCE = 30.0  # seconds that a client may take for a line
Command = Callable[[], Awaitable[dict[str, Any]]]


class ControlSocket:
    """The server's end, in the master."""

    def __init__(self, path: Path, commands: dict[str, Command]) -> None:
        """Listen at this path. `Failure` when the socket cannot be made."""
        self.path = path
        self.commands = commands
        remove_stale(path.parent)
        self.server = Server(sockets.bind(f"unix:{path}", mode=0o600), self._serve, MOST_CONNECTIONS)

    def close(self) -> None:
        """Stop listening and remove the socket's file."""
        with suppress(OSError):
            self.path.unlink()
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
