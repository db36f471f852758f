"""Balancing: ten endpoints, of which one is ten times slower and one fails half of its requests, at once.

Who counts only requests under way is drawn to the failing one, which is always free. Nothing is retried, so
that the share of good answers tells what the balancer has chosen; latencies are those of the good answers. A
proxy begins anew with each round, so what it has to learn first is counted too.
"""

from bench.demand import Policy
from bench.hosts import Host, counts
from bench.load.own import Load
from bench.scenarios.base import Sample, Scenario, Stage, failures
from bench.scenarios.figures import P50, P99, Figure

RATE = 800
CONNECTIONS = 256
SHORTEST = 5
"""Seconds; in less, the 99th percentile is that of a handful of requests."""

WELL = Host(least=0.002, more=0.003)
SLOW = Host(least=0.02, more=0.03)
FAILING = Host(least=0.002, more=0.003, failing=0.5)
HOSTS = (*[WELL] * 8, SLOW, FAILING)

MANY = 4
"""Choices, beside the two that are everybody's default; HAProxy's leastconn looks at all."""

EXPECTED = "failed_status"
"""What `success` is about; another kind of failure is a failure of the proxy's own."""

SUCCESS = Figure("success_percent", "success", "%", digits=2)
TO_SLOW = Figure("slow_percent", "to the slow", "%", digits=2)
TO_FAILING = Figure("failing_percent", "to the failing", "%", digits=2)

VARIANTS = {
    "tulle": {
        "round_robin": Policy("round_robin"),
        "least_request": Policy("least_request"),
        "random": Policy("random"),
        "peak_ewma": Policy("peak_ewma"),
        "round_robin+outliers": Policy("round_robin", ejection=True),
        "least_request+outliers": Policy("least_request", ejection=True),
        "peak_ewma+outliers": Policy("peak_ewma", ejection=True),
        "peak_ewma of 4+outliers": Policy("peak_ewma", MANY, ejection=True),
        "peak_ewma of 4+outliers+breaker": Policy("peak_ewma", MANY, ejection=True, breaker=True),
    },
    "haproxy": {
        "roundrobin": Policy("round_robin"),
        "leastconn": Policy("least_request"),
        "roundrobin+observe": Policy("round_robin", ejection=True),
        "leastconn+observe": Policy("least_request", ejection=True),
    },
    "envoy": {
        "ROUND_ROBIN": Policy("round_robin"),
        "LEAST_REQUEST": Policy("least_request"),
        "RANDOM": Policy("random"),
        "ROUND_ROBIN+outliers": Policy("round_robin", ejection=True),
        "LEAST_REQUEST+outliers": Policy("least_request", ejection=True),
        "LEAST_REQUEST of 4+outliers": Policy("least_request", MANY, ejection=True),
    },
}


def measure_balancing(stage: Stage) -> Sample:
    before = [counts(port).requests for port in stage.demand.endpoints]
    with Load(
        stage.port,
        connections=CONNECTIONS,
        seconds=max(stage.seconds, SHORTEST),
        cpus=stage.load_cpus,
        rate=RATE,
    ) as load:
        result = load.result()
    taken = [
        counts(port).requests - count for port, count in zip(stage.demand.endpoints, before, strict=True)
    ]
    return {
        "p99_us": result.p99,
        "p50_us": result.p50,
        "success_percent": result.requests / (result.requests + result.failed) * 100,
        "slow_percent": taken[HOSTS.index(SLOW)] / sum(taken) * 100,
        "failing_percent": taken[HOSTS.index(FAILING)] / sum(taken) * 100,
        **{key: value for key, value in failures(result).items() if key != EXPECTED},
    }


BALANCING = Scenario(
    name="balancing",
    about=f"10 endpoints, one 10 times slower, one failing half its requests; {RATE} requests/s",
    figures=(P99, P50, SUCCESS, TO_SLOW, TO_FAILING),
    measure=measure_balancing,
    fresh=True,
    hosts=HOSTS,
    variants=VARIANTS,
)
