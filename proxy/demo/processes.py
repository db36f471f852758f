"""The children of the demo: each is told to leave by its own id, and leaves too when the demo is killed."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import tulle
from tulle._fast.base import process
from tulle.proxy.failure import Failure

PATIENCE = 30.0  # seconds that a child has to leave before it is killed; what it began may then outlive it
LOOPBACK = "127.0.0.1"
BACKLOG = 1024


class Process:
    """One child. `name` is for people."""

    def __init__(self, name: str, child: asyncio.subprocess.Process) -> None:
        self.name = name
        self.child = child

    @classmethod
    async def start(
        cls,
        name: str,
        words: Sequence[str],
        descriptors: Sequence[int] = (),
        stderr: int | None = None,
        folder: Path | None = None,
    ) -> "Process":
        """Run a module of Python with these words, in this folder.

        `stderr` is asyncio's PIPE or None: the terminal.
        """
        beginning = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stderr=stderr,
                pass_fds=descriptors,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": python_path()},
                preexec_fn=_become_child,
            )
        )
        try:
            return cls(name, await asyncio.shield(beginning))
        except asyncio.CancelledError:
            await cls(name, await beginning).stop()  # it has begun, and nobody else would end it
            raise

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def running(self) -> bool:
        return self.child.returncode is None

    def tell(self, number: signal.Signals) -> None:
        """Send a signal, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            self.child.send_signal(number)

    async def stop(self) -> None:
        """Have it leave, and see that it has."""
        if not self.running:
            return
        self.tell(signal.SIGTERM)
        try:
            async with asyncio.timeout(PATIENCE):
                await self.child.wait()
        except TimeoutError:
            self.tell(signal.SIGKILL)
            await self.child.wait()


def python_path() -> str:
    """By which Python finds this package from any folder."""
    found = [str(Path(tulle.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(filter(None, found))


async def start_backend(
    name: str, module: str, *words: str, host: str = LOOPBACK, port: int = 0
) -> tuple[Process, str]:
    """A backend and its address. It can be connected to at once: the socket is bound here."""
    with socket.create_server((host, port), backlog=BACKLOG) as listening:
        command = [module, name, str(listening.fileno()), *words]
        backend = await Process.start(name, command, [listening.fileno()])
        return backend, f"{host}:{listening.getsockname()[1]}"


def free_ports(*wanted: int) -> list[int]:
    """For each of these ports the same, or where somebody listens there, another that is free now."""
    with contextlib.ExitStack() as probes:  # open until all are found, so that none is found twice
        return [_free_port(probes, port) for port in wanted]


def _free_port(probes: contextlib.ExitStack, wanted: int) -> int:
    for port in (wanted, 0):
        probe = probes.enter_context(socket.socket())
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            probe.listen()
            return int(probe.getsockname()[1])
    raise Failure("no port is free on 127.0.0.1; see `ss -ltn` for what listens on this machine")


def _become_child() -> None:
    """Out of the terminal's foreground group, so that Ctrl-C reaches the demo alone, which then stops all."""
    os.setpgid(0, 0)
    process.die_with_parent(signal.SIGTERM)
