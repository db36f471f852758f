"""What a scenario is: a demand on the proxy, a way to load it, and the figures that come of it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from bench.cpus import Placement
from bench.demand import Demand, Policy
from bench.hosts import Host
from bench.load.result import LoadResult
from bench.measure import cpu_seconds, memory_alone, pss
from bench.peers import Peer
from bench.process import Running
from bench.scenarios.figures import Figure

MB = 1 << 20
SETTLING = 1.5
"""Seconds from the end of a load until memory is read."""

Sample = dict[str, float]
"""One round of one peer: a value for each key of a figure."""


@dataclass(frozen=True)
class Entry:
    """Who takes part: a peer, and the policy that it is given."""

    name: str
    peer: Peer
    policy: Policy


@dataclass(frozen=True)
class Stage:
    """One peer that runs, ready to be loaded for `seconds`."""

    peer: Peer
    running: Running
    demand: Demand
    placement: Placement
    seconds: int
    behind: tuple[Running, ...] = ()
    """The same proxy a second time, between it and the backend."""

    @property
    def port(self) -> int:
        return self.running.port

    @property
    def load_cpus(self) -> frozenset[int]:
        return self.placement.load


@dataclass(frozen=True)
class Scenario:
    """A row of work that each peer goes through, `rounds` times in turn."""

    name: str
    about: str
    figures: tuple[Figure, ...]
    measure: Callable[[Stage], Sample]
    routes: int = 0
    clusters: int = 1
    access_log: bool = False
    version: int | None = None
    yaml: bool = False
    close_rate: int = 0
    """Connections that the backend closes at random, a second."""
    workers: int = 1
    """That each proxy runs, for what they have to do together; a proxy with one is easier to compare."""
    raw: bool = False
    """Bytes are passed on as they are."""
    secure: Literal["", "pair", "server"] = ""
    """Mutual TLS: between a pair of the same proxy, or with the load."""
    grpc: bool = False
    """The backend is a server of gRPC; `http2` goes with it."""
    http2: bool = False
    """To the endpoints; of a pair, between the two."""
    fresh: bool = False
    """The peer is started anew for each round."""
    both_cpus: bool = False
    """The proxy may use the processor of the load too, for work beside the traffic."""
    with_direct: bool = False
    """Also measured without a proxy."""
    only: frozenset[str] = frozenset()
    """The peers that can take part, by name; none: all."""
    hosts: tuple[Host, ...] = ()
    """What the backend is; none: the cheap one."""
    policy: Policy = field(default_factory=Policy)
    """What all take part with, where there are no variants."""
    variants: Mapping[str, Mapping[str, Policy]] = field(default_factory=dict)
    """By peer the policies that it takes part with, by what it calls them; none: all do, as they are."""

    def entries(self, peer: Peer) -> list[Entry]:
        """All that this peer takes part with."""
        if not self.takes(peer):
            return []
        if not self.variants:
            return [Entry(peer.name, peer, self.policy)]
        policies = self.variants[peer.name]
        return [Entry(f"{peer.name} {name}", peer, policy) for name, policy in policies.items()]

    def takes(self, peer: Peer) -> bool:
        """Whether this peer can do what the scenario asks."""
        if self.variants and peer.name not in self.variants:
            return False
        if self.only and peer.name not in self.only:
            return False
        if peer.named_only and peer.name not in self.only:
            return False
        if peer.name == "direct":
            return self.with_direct
        return peer.routes or not (self.routes or self.version)

    def demand(self, port: int, endpoints: tuple[int, ...], policy: Policy) -> Demand:
        return Demand(
            port=port,
            endpoints=endpoints,
            policy=policy,
            workers=self.workers,
            routes=self.routes,
            clusters=self.clusters,
            access_log=self.access_log,
            version=self.version,
            yaml=self.yaml,
            http2=self.http2,
            grpc=self.grpc,
            raw=self.raw,
        )


FAILED_PREFIX = "failed_"
TIMELINE_PREFIX = "at_"
"""Of the keys of a sample that tell how a rate went in time; seconds follow, from when something happened."""


def failures(result: LoadResult) -> Sample:
    """The failures of a load, in all and by kind."""
    kinds = {FAILED_PREFIX + kind: float(count) for kind, count in result.kinds.items()}
    return {"failed": float(result.failed), **kinds}


class Meter:
    """CPU time that a proxy uses while a `with metered(...)` block runs; known at its end."""

    cpu = 0.0


@contextmanager
def metered(*running: Running) -> Iterator[Meter]:
    """Of one proxy, or of several together."""
    meter = Meter()
    before = cpu_seconds(pid for each in running for pid in each.pids())
    yield meter
    meter.cpu = cpu_seconds(pid for each in running for pid in each.pids()) - before


def memory(running: Running) -> Sample:
    """The memory figures of a proxy after a load, once it has had time to give back what that took."""
    time.sleep(SETTLING)
    pids = running.pids()
    return {"pss_mb": pss(pids) / MB, "alone_mb": memory_alone(pids) / MB}
