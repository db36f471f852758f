"""The bare relay of `bench.loops.relay`: the floor."""

import importlib.util
from pathlib import Path

from bench.demand import Demand
from bench.peers.base import Peer
from bench.process import python_module


class Relay(Peer):
    name = "relay"
    routes = False

    def missing(self) -> str | None:
        if importlib.util.find_spec("bench.loops.relay") is None:
            return "it is not built: ./dev build"
        return None

    def version(self) -> str:
        return "of this checkout"

    def files(self, demand: Demand, folder: Path) -> dict[str, str]:
        return {}

    def command(self, demand: Demand, folder: Path) -> list[str]:
        return python_module("bench.relay", "--port", demand.port, "--backend-port", demand.endpoints[0])
