"""Hosts that take their time, fail or are overloaded: a backend that is not as cheap as the other.

One process with one thread answers for all of them (`bench.services`). At the rates that they are made for it
has little to do: nothing is computed, a request only waits for its time.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from bench.process import fetch, python_module


@dataclass(frozen=True)
class Host:
    """How one host serves. Times are in seconds."""

    least: float = 0.0
    """What any request takes."""
    more: float = 0.0
    """The mean of what is added to that, distributed exponentially."""
    failing: float = 0.0
    """The share of the requests that are answered with 503, at once."""
    slots: int = 0
    """Requests at work at a time; 0 is all."""
    queue: int = 0
    """Requests that may wait for a slot; more are answered with 503."""

    @property
    def mean(self) -> float:
        return self.least + self.more

    @property
    def capacity(self) -> float:
        """Requests a second, at speed 1 and with a limited number of slots."""
        return self.slots / self.mean


class Counts(NamedTuple):
    """What a host has seen since it began; `wasted` is work that nobody waited for any more at its end."""

    requests: int
    failed: int
    refused: int
    wasted: int
    present: int
    """At work or waiting now."""


def counts(port: int) -> Counts:
    """Ask the host on 127.0.0.1:`port`; OSError if it does not answer."""
    return Counts(*map(int, fetch(port, "/counts")[1].split()))


def set_speed(port: int, speed: float) -> None:
    """From now on the host on 127.0.0.1:`port` needs 1/`speed` of its time for what it begins to work on."""
    fetch(port, f"/speed/{speed}")


def command(hosts: Sequence[Host], ports: Sequence[int]) -> list[str]:
    """What starts these hosts on these ports of 127.0.0.1."""
    described = [asdict(host) | {"port": port} for host, port in zip(hosts, ports, strict=True)]
    return python_module("bench.services", json.dumps(described))
