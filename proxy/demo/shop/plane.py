"""The control plane of the demo: `tulle control` with an authority of its own, and what is asked of it."""

import asyncio
import time
from pathlib import Path

from tulle.controlplane.identity.store import create_store
from tulle.controlplane.identity.tokens import make_token
from tulle.proxy.demo.processes import Process
from tulle.proxy.demo.shop.services import DOMAIN, Service
from tulle.proxy.demo.speaker import Speaker
from tulle.proxy.failure import Failure

FIRST = "mesh.yaml"
STORE = "mesh.d"  # where documents are kept
PATIENCE = 60  # seconds that sidecars have to take a change


class Control(Speaker):
    """`tulle control`, ready when its first mesh is in force."""

    def heard(self, line: str) -> None:
        self.ready = self.ready or "is in force" in line


class Plane:
    """A running control plane, in a folder with all its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / STORE).mkdir()
        self.store = create_store(folder / "ca", DOMAIN, time.time())
        self.roots = tuple(one.facts.fingerprint for one in self.store.shown() if one.role != "intermediate")

    def begin_with(self, first: str, services: dict[str, str]) -> None:
        """Write what there is from the beginning: the first file, and documents by their services."""
        (self.folder / FIRST).write_text(first)
        for name, text in services.items():
            (self.folder / STORE / f"{name}.yaml").write_text(text)

    async def start(self) -> Control:
        """`Failure` with its own words when it does not come up."""
        return await Control.begin("control plane", "control", "-c", FIRST, folder=self.folder)

    def token(self, service: Service) -> str:
        """A join token, good once, for an instance of this service."""
        identity = f"spiffe://{DOMAIN}{service.identity}"
        return make_token(self.store.secret(), identity, time.time(), roots=self.roots)

    async def apply(self, name: str, text: str) -> str:
        """`tulle apply -f NAME.yaml --wait`, and what it says; `Failure` when not all sidecars have it."""
        draft = self.folder / f"{name}.yaml"
        draft.write_text(text)
        words = ["tulle", "apply", "-f", draft.name, "--wait", "--timeout", f"{PATIENCE}s"]
        applying = await Process.start(
            "tulle apply", words, stderr=asyncio.subprocess.PIPE, folder=self.folder
        )
        try:
            _, said = await applying.child.communicate()
        finally:
            await applying.stop()
        lines = [line.removeprefix("tulle: ") for line in said.decode(errors="replace").splitlines()]
        if applying.child.returncode != 0:
            raise Failure(f"{draft.name} is not active everywhere; `tulle apply` says:", *lines)
        return lines[-1] if lines else ""
