"""Hedging: one of ten endpoints is ten times slower: what a second try does to the slowest answers.

The balancer is round robin, so a tenth of the requests is slow whatever happens: what is seen is what hedging
makes of them, and how many more requests the endpoints get for it.
"""

from bench.demand import Policy
from bench.hosts import Host, counts
from bench.load.own import Load
from bench.scenarios.balancing import CONNECTIONS, RATE, SHORTEST, SLOW, WELL
from bench.scenarios.base import Sample, Scenario, Stage, failures
from bench.scenarios.figures import P50, P99, Figure

HOSTS: tuple[Host, ...] = (*[WELL] * 9, SLOW)
TRIES = Figure("tries_per_request", "tries/request", "", digits=3)
VARIANTS = {
    "tulle": {
        "once": Policy(),
        "after 15 ms": Policy(hedge_delay=0.015),
        "quantile 0.9": Policy(hedge_quantile=0.9),
        "quantile 0.95": Policy(hedge_quantile=0.95),
        "peak_ewma, once": Policy("peak_ewma"),
        "peak_ewma, quantile 0.95": Policy("peak_ewma", hedge_quantile=0.95),
    },
}


def measure_hedging(stage: Stage) -> Sample:
    before = sum(counts(port).requests for port in stage.demand.endpoints)
    with Load(
        stage.port,
        connections=CONNECTIONS,
        seconds=max(stage.seconds, SHORTEST),
        cpus=stage.load_cpus,
        rate=RATE,
    ) as load:
        result = load.result()
    taken = sum(counts(port).requests for port in stage.demand.endpoints) - before
    return {
        "p99_us": result.p99,
        "p50_us": result.p50,
        "tries_per_request": taken / max(1, result.requests + result.failed),
        **failures(result),
    }


HEDGED = Scenario(
    name="hedging",
    about=f"10 endpoints, one 10 times slower; {RATE} requests/s",
    figures=(P99, P50, TRIES),
    measure=measure_hedging,
    fresh=True,
    hosts=HOSTS,
    variants=VARIANTS,
)
