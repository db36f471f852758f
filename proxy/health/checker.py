"""The process that checks endpoints: a child of its own, so that a proxy without health checks pays nothing.

It reads whom to check from names and routing table as it begins, and is begun anew when these change. What it
has learnt is in shared memory and nowhere else, so nothing is lost with it. It leaves when the master closes
its socket.
"""

import os
import random
import signal
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from tulle._fast.base import health, process
from tulle._fast.base.stats import Stats
from tulle.controlplane.address import parse_address
from tulle.controlplane.names import NameTable, Slot, decode_names
from tulle.controlplane.table import HealthCheckRow, RoutingTable, decode_table
from tulle.proxy import loop
from tulle.proxy.descriptors import content
from tulle.proxy.health.failures import PASSED, TOLD, in_words
from tulle.proxy.health.notices import Notices
from tulle.proxy.health.probes import Probe
from tulle.proxy.health.verdict import Standing, judge
from tulle.proxy.streams import readable

if TYPE_CHECKING:
    from tulle.proxy.health.secure import Security

SECOND = 1_000_000_000
FIRST_SPREAD = 1.0  # seconds over which the first checks of all endpoints are spread


class Target(NamedTuple):
    """An endpoint to check."""

    cluster: str
    address: str
    cluster_slot: int
    slot: int
    check: HealthCheckRow
    probe: Probe


def run(master: socket.socket, descriptors: list[int]) -> int:
    """Check until the master closes its end; the exit status. Descriptors: shared memory, names, table."""
    process.set_name(b"tulle-health")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    stats = Stats(descriptors[0])
    found = targets(stats, decode_names(content(descriptors[1])), decode_table(content(descriptors[2])))
    master.send(str(os.getpid()).encode())
    loop.run(_check_all(master, Checks(stats), found))
    return 0


def targets(stats: Stats, names: NameTable, table: RoutingTable) -> list[Target]:
    """Whom to check. Those that are checked no more are taken for healthy from here on."""
    checks = {row.name: (row.health_check, row.proxy_protocol) for row in table.clusters}
    secured = securities(table)
    found = []
    for name, slot in names.endpoints.live.items():
        cluster, _, address = name.partition(" ")
        owner = names.clusters.live.get(cluster)
        if owner is None or not _take(stats, owner, slot):
            continue
        check, proxy_protocol = checks.get(cluster, (None, 0))
        unhealthy, since, _, _ = health.state(stats, slot.slot)
        if check is None:
            if unhealthy or since:
                health.set_state(stats, slot.slot, owner.slot, False, 0)
            continue
        if not since and check.initially_unhealthy and not unhealthy:
            health.set_state(stats, slot.slot, owner.slot, True, 0)
        place = parse_address(address)
        probe = Probe(check, place, secured.get(cluster), proxy_protocol)
        found.append(Target(cluster, address, owner.slot, slot.slot, check, probe))
    return found


def securities(table: RoutingTable) -> dict[str, "Security"]:
    """Of the clusters with checks over TLS that ask something."""
    rows = {
        row.name: (table.tls[row.tls - 1], row.health_check.http2)
        for row in table.clusters
        if row.tls and row.health_check is not None and (row.health_check.path or row.health_check.http2)
    }
    if not rows:
        return {}
    from tulle.proxy.health.secure import Security

    return {name: Security(row, http2) for name, (row, http2) in rows.items()}


def _take(stats: Stats, cluster: Slot, endpoint: Slot) -> bool:
    return health.take_cluster(stats, cluster.slot, cluster.generation) and health.take(
        stats, endpoint.slot, endpoint.generation
    )


async def _check_all(master: socket.socket, checks: "Checks", found: list[Target]) -> None:
    for target in found:
        spread = FIRST_SPREAD
        if health.state(checks.stats, target.slot)[1]:
            spread = target.check.interval / SECOND
        loop.current().call_later(random.uniform(0, spread), checks.begin, target)
    await readable(master.fileno())


class Checks:
    """Runs checks and writes down what they find."""

    def __init__(self, stats: Stats) -> None:
        self.stats = stats
        self.notices = Notices()

    def begin(self, target: Target) -> None:
        loop.spawn(self._check(target))

    async def _check(self, target: Target) -> None:
        began = time.monotonic()
        failure = await target.probe.run()
        unhealthy = self._note(target, failure)
        check = target.check
        pause = (check.unhealthy_interval if unhealthy else check.interval) + random.uniform(0, check.jitter)
        # the interval is from one beginning to the next
        left = pause / SECOND - (time.monotonic() - began)
        loop.current().call_later(max(0.0, left), self.begin, target)

    def _note(self, target: Target, failure: int) -> bool:
        """Whether it is taken for unhealthy now."""
        check = target.check
        unhealthy, since, run, known = health.state(self.stats, target.slot)
        before = Standing(unhealthy, bool(since), run)
        after = judge(
            before, failure == PASSED, check.healthy_threshold, check.unhealthy_threshold, failure == TOLD
        )
        health.count(self.stats, target.cluster_slot, failure == PASSED)
        if after.unhealthy != before.unhealthy or (after.checked and not before.checked):
            health.set_state(self.stats, target.slot, target.cluster_slot, after.unhealthy, time.time_ns())
        last = failure if failure != PASSED else known
        if (run, known) != (after.run, last):
            health.set_run(self.stats, target.slot, after.run, last)
        if after.unhealthy != before.unhealthy:
            self._tell(target, after.unhealthy, failure)
        return after.unhealthy

    def _tell(self, target: Target, unhealthy: bool, failure: int) -> None:
        name = f"{target.address} (cluster {target.cluster})"
        if unhealthy:
            self.notices.warn(f"{name} is unhealthy: {in_words(failure)}")
        else:
            self.notices.say(f"{name} is healthy")
