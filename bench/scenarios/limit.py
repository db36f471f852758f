"""A rate limit that several workers keep together, under four times the requests that it lets through.

What was let through is judged by the clock of the load. The proxy decided on a request some time between its
first byte and the end of its answer; so those that lie in a window as a whole were let through in it, and
must not be more than the limit allows there.
"""

from bisect import insort
from collections.abc import Sequence

from bench.demand import Policy, RateLimit
from bench.load.own import Load
from bench.load.result import Stamp
from bench.scenarios.base import Sample, Scenario, Stage
from bench.scenarios.figures import P99, Figure

LIMIT = RateLimit(requests=300, burst=50)
WORKERS = 4
OFFERED = 4 * LIMIT.requests
CONNECTIONS = 64

ABOVE = Figure("above_limit", "above the limit", "requests", combine=max)
THROUGH = Figure("through_percent", "let through", "% of it")
REFUSED = Figure("refused_percent", "refused", "% of all")
POLICY = Policy(rate_limit=LIMIT)


def above(stamps: Sequence[Stamp], limit: RateLimit) -> float:
    """By how many requests the fullest window exceeds what the limit allows in it; below 0 if none does."""
    answered: list[float] = []
    fullest = -float("inf")
    for stamp in sorted(stamps, reverse=True):
        insort(answered, stamp.answered)  # of all that were written at this moment or later
        allowed = limit.burst - stamp.written * limit.requests
        fullest = max(
            fullest,
            max(count + 1 - moment * limit.requests for count, moment in enumerate(answered)) - allowed,
        )
    return fullest


def measure_limit(stage: Stage) -> Sample:
    with Load(
        stage.port,
        connections=CONNECTIONS,
        seconds=stage.seconds,
        cpus=stage.load_cpus,
        rate=OFFERED,
        stamps=True,
    ) as load:
        result = load.result()
    return {
        "above_limit": above(result.stamps, LIMIT),
        "through_percent": result.requests / (LIMIT.burst + LIMIT.requests * stage.seconds) * 100,
        "refused_percent": result.failed / (result.requests + result.failed) * 100,
        "p99_us": result.p99,
    }


LIMITED = Scenario(
    name="limit",
    about=f"{WORKERS} workers, a limit of {LIMIT.requests} requests/s, {LIMIT.burst} at once; {OFFERED} come",
    figures=(ABOVE, THROUGH, REFUSED, P99),
    measure=measure_limit,
    fresh=True,
    both_cpus=True,
    workers=WORKERS,
    variants={"tulle": {"rate_limits": POLICY}, "envoy": {"local_ratelimit": POLICY}},
)
