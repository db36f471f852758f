"""etcd servers for tests, each with a directory and ports of its own."""

import contextlib
import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.proxy.running import PATIENCE, until


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Member:
    """One server of a cluster."""

    def __init__(self, program: str, folder: Path, name: str, client: int, peer: int, cluster: str) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{client}"
        own = f"http://127.0.0.1:{peer}"
        self.command = [
            program, "--name", name, "--data-dir", str(folder / name),
            "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--listen-peer-urls", own, "--initial-advertise-peer-urls", own,
            "--initial-cluster", cluster,
        ]  # fmt: skip
        self.log = (folder / f"{name}.log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None

    def ask(self, what: str, **content: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url}/v3/{what}", json.dumps(content).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def put(self, key: str, value: str) -> int:
        """The revision of that."""
        done = self.ask("kv/put", key=encoded(key), value=encoded(value))
        return int(done["header"]["revision"])

    def delete(self, key: str) -> None:
        self.ask("kv/deleterange", key=encoded(key))

    def is_well(self) -> bool:
        try:
            self.ask("kv/range", key=encoded("x"))
        except (OSError, urllib.error.URLError):
            return False
        return True

    def is_leader(self) -> bool:
        try:
            found = self.ask("maintenance/status")
        except (OSError, urllib.error.URLError):
            return False
        return bool(found["header"]["member_id"] == found.get("leader"))


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


@contextlib.contextmanager
def cluster(program: str, folder: Path, members: int = 1) -> Iterator[list[Member]]:
    """So many servers, ready."""
    ports = free_ports(2 * members)
    names = [f"m{number}" for number in range(members)]
    described = ",".join(
        f"{name}=http://127.0.0.1:{peer}" for name, peer in zip(names, ports[members:], strict=True)
    )
    found = [
        Member(program, folder, name, client, peer, described)
        for name, client, peer in zip(names, ports[:members], ports[members:], strict=True)
    ]
    try:
        for member in found:
            member.begin()
        for member in found:
            until(member.is_well, f"{member.name} is well")
        yield found
    finally:
        for member in found:
            member.kill()
            member.log.close()
