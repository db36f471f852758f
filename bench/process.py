"""A proxy or a backend that runs: started on its processors, waited for, watched and stopped."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.cpus import on_cpus
from bench.measure import process_tree

ROOT = Path(__file__).parent.parent
READY_SECONDS = 60.0
"""Envoy needs long for 100,000 routes."""
STOP_SECONDS = 3.0


class Failed(Exception):
    """A process did not start or did not live; the text says which, why, and ends with what it wrote last."""


def fetch(port: int, path: str, timeout: float = 5.0) -> tuple[int, bytes]:
    """GET `path` from 127.0.0.1:`port` on a connection of its own.

    Answers status and body; OSError when there is no whole answer. The answer is over when its Content-Length
    has arrived: Envoy holds a connection open for a second after it, which is not time to answer.
    """
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while (answer := whole_answer(data)) is None:
            chunk = connection.recv(65536)
            if not chunk:
                raise ConnectionResetError(
                    f"127.0.0.1:{port} closed the connection before the end of its answer"
                )
            data += chunk
    return answer


def whole_answer(data: bytes) -> tuple[int, bytes] | None:
    """Status and body of the response in `data`, which needs a Content-Length; None while it is not whole."""
    head, end, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if not end or length is None or len(body) < int(length[1]):
        return None
    return int(head[9:12]), body[: int(length[1])]


def environment() -> dict[str, str]:
    """That of what the bench starts: it may keep compiled modules, as an installed package does."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(ROOT)}


class Running:
    """A process group started by the bench, that serves on 127.0.0.1:`port`."""

    def __init__(
        self, name: str, command: Sequence[str | Path], *, port: int, folder: Path, cpus: frozenset[int]
    ) -> None:
        self.name = name
        self.port = port
        self.folder = folder
        self.log = folder / f"{name}.log"
        self.first_byte_seconds = 0.0
        self._started = time.monotonic()
        with self.log.open("wb") as log, on_cpus(cpus):
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def pids(self) -> list[int]:
        """All its processes, the first one first."""
        return process_tree(self.pid)

    def wait_ready(self, path: str) -> None:
        """Until `path` is answered with 200; sets `first_byte_seconds`, counted from the start."""
        problem = ""
        while time.monotonic() < self._started + READY_SECONDS:
            self.check()
            try:
                status, _ = fetch(self.port, path)
            except OSError as error:
                problem = str(error)
            else:
                if status == 200:
                    self.first_byte_seconds = time.monotonic() - self._started
                    return
                problem = f"it answers {status}"
            time.sleep(0.001)
        raise Failed(f"{self.name} was not ready after {READY_SECONDS:.0f} s: {problem}{self._last_words()}")

    def wait_listening(self) -> None:
        """Until it accepts connections, for one that does not answer plain HTTP."""
        while time.monotonic() < self._started + READY_SECONDS:
            self.check()
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
            except OSError:
                time.sleep(0.001)
            else:
                return
        raise Failed(f"{self.name} did not listen after {READY_SECONDS:.0f} s{self._last_words()}")

    def check(self) -> None:
        """Failed if it has ended by itself."""
        status = self._process.poll()
        if status is not None:
            raise Failed(f"{self.name} ended with status {status}{self._last_words()}")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it and all its processes: asked twice, then killed."""
        tree = self.pids()
        for number in (signal.SIGTERM, signal.SIGTERM):
            if self._process.poll() is None:
                self._process.send_signal(number)
                try:
                    self._process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        for pid in tree:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()[-8:]
        return "".join(f"\n    {line}" for line in lines)


def python_module(module: str, *arguments: object) -> list[str]:
    """The command that runs a module of this checkout with this interpreter."""
    return [sys.executable, "-m", module, *map(str, arguments)]
