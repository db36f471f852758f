"""No proxy at all: the load goes straight to a backend of its own, so that what a proxy adds can be told."""

from pathlib import Path

from bench.demand import Demand
from bench.peers.relay import Relay
from bench.process import python_module


class Direct(Relay):
    name = "direct"
    beside_load = True

    def command(self, demand: Demand, folder: Path) -> list[str]:
        return python_module("bench.backend", "--port", demand.port)
