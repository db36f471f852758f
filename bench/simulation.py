"""`python -m bench.simulation`: the scenario `balancing` with the algorithms alone, on a clock of its own.

One balancer, as the policy floor has it, before the hosts of the scenario. Requests come at even times, take
what is drawn for them, and what is learnt of a request is learnt at its end. Nothing is real but the
algorithms, so the same seed gives the same figures on any machine.
"""

import argparse
import heapq
import random
from dataclasses import dataclass
from itertools import product

from bench.report import aligned
from bench.scenarios.balancing import FAILING, HOSTS, MANY, RATE, SLOW
from tests._fast.policy import outliers
from tests._fast.policy.balancing import (
    LEAST_REQUEST,
    MAGLEV,
    PEAK_EWMA,
    RANDOM,
    RING_HASH,
    ROUND_ROBIN,
    Balancer,
)

ALGORITHMS = {
    "round_robin": ROUND_ROBIN,
    "least_request": LEAST_REQUEST,
    "random": RANDOM,
    "peak_ewma": PEAK_EWMA,
    "ring_hash": RING_HASH,
    "maglev": MAGLEV,
}
AT_ONCE = 0.0002
"""Seconds that a failure takes."""
PENALTY = 1.0
"""Seconds that a failure counts for at least, where latency is learnt."""
SECOND = 1_000_000_000
START = 1000 * SECOND
"""What the clock of outlier detection shows at first."""
GOOD = outliers.status(200)
UNAVAILABLE = outliers.status(503)
NOBODY = -1
OUTLIERS = outliers.Policy(
    (100, 0, 100, 100, 100, 0, 0),
    consecutive_5xx=5,
    consecutive_gateway_failure=5,
    consecutive_local_origin_failure=5,
    max_ejection_percent=10,
    base_ejection_time=30 * SECOND,
    max_ejection_time=300 * SECOND,
)


@dataclass(frozen=True)
class Outcome:
    """What became of the requests; latencies, of the good answers, in milliseconds, shares in percent."""

    p99: float
    p50: float
    success: float
    slow: float
    failing: float


class Watch:
    """Outlier detection by failures in a row: which hosts a balancer may use."""

    def __init__(self, balancer: Balancer, count: int) -> None:
        self._balancer = balancer
        self._hosts = [outliers.Host(OUTLIERS) for _ in range(count)]
        self._probes: dict[int, int] = {}

    def probe(self, now: float) -> int:
        """The host that has been out for its time, if one is to be tried by the next request."""
        for index, host in enumerate(self._hosts):
            if host.ejected and (token := host.probe(START + int(now * SECOND))):
                self._probes[index] = token
                return index
        return NOBODY

    def ended(self, index: int, good: bool, now: float) -> None:
        """A request to the host has come to its end."""
        host, moment = self._hosts[index], START + int(now * SECOND)
        if token := self._probes.pop(index, 0):
            host.probed(token, good, moment)
        elif host.count(GOOD if good else UNAVAILABLE) != NOBODY:
            out = sum(host.ejected != 0 for host in self._hosts)
            if out < OUTLIERS.most(len(self._hosts)):
                host.eject(moment)
        self._balancer.use([index for index, host in enumerate(self._hosts) if not host.ejected])


class Service:
    """The hosts, one balancer before them, and the requests that are under way; times are in seconds."""

    def __init__(self, algorithm: int, ejecting: bool, seed: int, choices: int) -> None:
        self.given = [0] * len(HOSTS)
        self._draw = random.Random(seed)
        self._balancer = Balancer(algorithm, [1] * len(HOSTS), seed, choices)
        self._watch = Watch(self._balancer, len(HOSTS)) if ejecting else None
        self._active = [0] * len(HOSTS)
        self._under_way: list[tuple[float, int, float, bool]] = []
        self._clock = 0.0

    def send(self, now: float) -> float | None:
        """A request that comes at this time: how long it takes, or None if it fails."""
        while self._under_way and self._under_way[0][0] <= now:
            self._end(*heapq.heappop(self._under_way))
        self._advance(now)
        self._balancer.load(self._active)
        index = self._watch.probe(now) if self._watch else NOBODY
        if index == NOBODY:
            index = self._balancer.pick()
        host = HOSTS[index]
        good = self._draw.random() >= host.failing
        taken = host.least + self._draw.expovariate(1 / host.more) if good else AT_ONCE
        self.given[index] += 1
        self._active[index] += 1
        heapq.heappush(self._under_way, (now + taken, index, taken, good))
        return taken if good else None

    def _end(self, now: float, index: int, taken: float, good: bool) -> None:
        self._advance(now)
        self._active[index] -= 1
        self._balancer.answer(index, (taken if good else max(taken, PENALTY)) * 1e3)
        if self._watch:
            self._watch.ended(index, good, now)

    def _advance(self, now: float) -> None:
        self._balancer.wait((now - self._clock) * 1e3)
        self._clock = now


def simulate(algorithm: int, ejecting: bool, requests: int, seed: int, choices: int = 2) -> Outcome:
    """Send so many requests at the rate of the scenario; all that is random comes from the seed."""
    service = Service(algorithm, ejecting, seed, choices)
    taken = [service.send(request / RATE) for request in range(requests)]
    good = sorted(latency * 1e3 for latency in taken if latency is not None)
    return Outcome(
        p99=good[int(len(good) * 0.99)],
        p50=good[len(good) // 2],
        success=len(good) / requests * 100,
        slow=service.given[HOSTS.index(SLOW)] / requests * 100,
        failing=service.given[HOSTS.index(FAILING)] / requests * 100,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.simulation", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    table = [["balancer", "p99 ms", "p50 ms", "success %", "to the slow %", "to the failing %"]]
    for (name, algorithm), ejecting in product(ALGORITHMS.items(), (False, True)):
        for choices in (2, MANY) if algorithm in (LEAST_REQUEST, PEAK_EWMA) else (2,):
            found = simulate(algorithm, ejecting, options.requests, options.seed, choices)
            figures = (found.p99, found.p50, found.success, found.slow, found.failing)
            called = name + f" of {choices}" * (choices != 2) + "+outliers" * ejecting
            table.append([called, *(f"{figure:.2f}" for figure in figures)])
    print("\n".join(aligned(table)))


if __name__ == "__main__":
    main()
