"""A control plane and sidecars in processes of their own, as people run them."""

import http.client
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.proxy.conftest import Start
from tests.proxy.running import PATIENCE, ROOT, Proxy, until

DOMAIN = "shop.example"


def tulle(*words: object, folder: Path, status: int = 0) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "tulle", *map(str, words)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE * 2, env=environment()
    )
    assert done.returncode == status, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


class Mesh:
    """A CA, `tulle control` and the documents of a shop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = "127.0.0.1:0"
        (folder / "mesh.d").mkdir()
        tulle("ca", "init", "ca", "--trust-domain", DOMAIN, folder=folder)
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        control = {"address": self.address, "directories": ["mesh.d"]}
        (self.folder / "mesh.yaml").write_text(json.dumps({"trust_domain": DOMAIN, "control": control}))
        log = self.folder / "control.log"
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tulle", "control", "-c", "mesh.yaml"],
                cwd=self.folder,
                stderr=errors,
                env=environment(),
            )
        found = until(lambda: re.search(r"sidecars at (\S+),", log.read_text()), "the control plane")
        self.address = found[1]

    def end(self) -> None:
        """Have it leave; it has nothing to say of that."""
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0
        self.process = None
        assert "Traceback" not in (self.folder / "control.log").read_text()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None

    def document(self, web_at: str, cart_at: list[str], port: int) -> Path:
        """The shop, as a file to apply."""
        services = {
            "web": {
                "identity": "/ns/shop/sa/web",
                "port": 1,
                "calls": ["cart"],
                "endpoints": [{"address": web_at}],
            },
            "cart": {
                "identity": "/ns/shop/sa/cart",
                "port": port,
                "calls": [],
                "endpoints": [{"address": address} for address in cart_at],
            },
        }
        path = self.folder / "shop.json"
        path.write_text(json.dumps({"services": services}))
        return path

    def sidecar(self, start: Start, name: str, **more: Any) -> Proxy:
        token = self.folder / f"{name}.token"
        made = tulle("token", f"/ns/shop/sa/{name}", "--ca", "ca", folder=self.folder)
        token.write_text(next(line for line in made.splitlines() if line.startswith("tulle-join")))
        own = {
            "addresses": [self.address],
            "state_dir": str(self.folder / f"state-{name}"),
            "token_file": str(token),
            "outbound": "127.0.0.1:0",
            "inbound": "127.0.0.1:0",
        }
        return start({"workers": 1, "admin": {"address": "127.0.0.1:0"}, "control_plane": own, **more})


def listening(proxy: Proxy, name: str) -> str:
    """Where a listener of the mesh is."""
    return str(until(lambda: proxy.admin("/server_info")["addresses"].get(name), f"the listener {name}"))


def ready(proxy: Proxy) -> tuple[int, str]:
    status, body = proxy.get("/ready", "admin")
    return status, body.decode()


def call(address: str, path: str = "/", host: str = "cart") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"host": host})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def applied(mesh: Mesh, *arguments: Any) -> str:
    return tulle("apply", "-f", mesh.document(*arguments), "--wait", folder=mesh.folder)


Shop = tuple[Mesh, Proxy, Proxy, str, str]
