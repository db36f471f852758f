"""Tulle itself, as people start it: `tulle proxy -c FILE --workers 1`."""

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

from bench.demand import CONNECTION_LIMIT, VERSION_PATH, Demand, cluster_name, route_path
from bench.peers.base import Peer
from bench.process import ROOT, Failed, Running, python_module


class Tulle(Peer):
    name = "tulle"

    def missing(self) -> str | None:
        if importlib.util.find_spec("tulle.proxy.cli") is None:
            return "this checkout has no tulle.proxy.cli"
        return None

    def version(self) -> str:
        from tulle import __version__

        return __version__

    def files(self, demand: Demand, folder: Path) -> dict[str, str]:
        config = _config(demand, folder)
        if not demand.yaml:
            return {"tulle.json": json.dumps(config)}
        import yaml

        return {"tulle.yaml": yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False)}

    def command(self, demand: Demand, folder: Path) -> list[str]:
        config = folder / ("tulle.yaml" if demand.yaml else "tulle.json")
        return python_module(
            "tulle", "proxy", "-c", config, "--workers", 1, "--pid-file", folder / "tulle.pid"
        )

    def signal_reload(self, running: Running) -> None:
        command = python_module("tulle", "reload", "--pid-file", running.folder / "tulle.pid")
        finished = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        if finished.returncode:
            raise Failed(f"tulle reload refused (status {finished.returncode}): {finished.stderr.strip()}")


def _config(demand: Demand, folder: Path) -> dict[str, Any]:
    routes: list[dict[str, Any]] = [
        {
            "matches": [{"path": {"prefix": route_path(route)}}],
            "backends": [{"cluster": demand.cluster_of(route)}],
        }
        for route in range(demand.routes)
    ] or [{"backends": [{"cluster": cluster_name(0)}]}]
    if demand.version is not None:
        answer = {"status": 200, "body": demand.version_body}
        routes.append({"matches": [{"path": {"exact": VERSION_PATH}}], "response": answer})
    return {
        "access_log": {"path": f"{folder}/access.log", "format": "json" if demand.access_log else "off"},
        "listeners": [{"name": "bench", "address": f"127.0.0.1:{demand.port}", "routes": "main"}],
        "routes": {"main": routes},
        "clusters": {
            cluster_name(cluster): {
                "endpoints": [{"address": f"127.0.0.1:{demand.backend_port}"}],
                "circuit_breaker": {"max_connections": CONNECTION_LIMIT},
            }
            for cluster in range(demand.clusters)
        },
    }
