"""nghttpx: one worker, HTTP/2 without TLS from clients, either version to the backend on kept connections."""

import shutil
from pathlib import Path

from bench.demand import CONNECTION_LIMIT, Demand
from bench.peers.base import Peer, first_version


class Nghttpx(Peer):
    name = "nghttpx"
    routes = False
    named_only = True

    def missing(self) -> str | None:
        return None if shutil.which("nghttpx") else "it is not installed: apt-get install nghttp2-proxy"

    def version(self) -> str:
        return first_version(["nghttpx", "--version"])

    def files(self, demand: Demand, folder: Path) -> dict[str, str]:
        lines = [
            f"frontend=127.0.0.1,{demand.port};no-tls",
            *(f"backend=127.0.0.1,{port}{';;proto=h2' if demand.http2 else ''}" for port in demand.endpoints),
            f"workers={demand.workers}",
            f"backend-connections-per-host={CONNECTION_LIMIT}",
            "backend-keep-alive-timeout=1h",
            "add-x-forwarded-for=yes",
            "errorlog-file=/dev/null",
        ]
        return {"nghttpx.conf": "\n".join(lines) + "\n"}

    def command(self, demand: Demand, folder: Path) -> list[str]:
        return ["nghttpx", f"--conf={folder}/nghttpx.conf"]
