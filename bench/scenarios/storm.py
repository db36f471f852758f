"""A retry storm: for ten seconds the backend does a tenth of its work while twice as much is asked of it.

The backend works on a few requests at a time and has the others wait, for up to a second when it is well.
What has been sent to it is worked off even if the proxy has given up by then. So a queue that is full of
requests that nobody waits for any more delays those that are new beyond their time; these are tried again,
and if nothing bounds that, the storm goes on after its cause has gone. What counts is the goodput, good
answers a second, and how soon it is back.
"""

import time
from collections.abc import Sequence
from functools import partial

from bench.demand import Policy
from bench.hosts import Host, counts, set_speed
from bench.load.own import Load
from bench.load.result import Stamp
from bench.process import Failed
from bench.scenarios.base import TIMELINE_PREFIX, Sample, Scenario, Stage
from bench.scenarios.figures import Figure

HOST = Host(least=0.01, more=0.01, slots=8, queue=400)
CAPACITY = HOST.capacity
CALM_RATE = 0.7 * CAPACITY
STORM_RATE = 2 * CAPACITY
DROP = 0.1
CONNECTIONS = 2000
"""More than can be waiting for an answer, so that requests are sent when they are due."""

BEFORE = 3.0
DURING = 10.0
AFTER = 8.0
SLICE = 0.25
"""Seconds; goodput is counted for each."""
BACK_SHARE = 0.9
STEADY_SLICES = 4
"""The goodput is back when it is there for so many slices."""
SETTLED = 2.0
"""What it was is the mean of so many seconds before the storm."""
IDLE_LIMIT = 60.0

WAS = Figure("goodput_before", "goodput before", "/s", digits=0)
MEANWHILE = Figure("goodput_during", "during", "/s", digits=0)
LATER = Figure("goodput_after", "after", "/s", digits=0)
BACK = Figure("back_seconds", "back after", "s", digits=2)
TRIES = Figure("tries_per_request", "tries/request", "", digits=2)
WASTED = Figure("wasted_percent", "wasted work", "%", digits=0)

PLAIN = Policy(timeout=1, try_timeout=0.4, retries=3)
BUDGET = Policy(timeout=1, try_timeout=0.4, retries=3, retry_budget=True)
BREAKER = Policy(timeout=1, try_timeout=0.4, retries=3, breaker=True)
BOTH = Policy(timeout=1, try_timeout=0.4, retries=3, retry_budget=True, breaker=True)
VARIANTS = {
    "tulle": {"retries": PLAIN, "budget": BUDGET, "breaker": BREAKER, "budget+breaker": BOTH},
    "haproxy": {"retries": PLAIN, "maxconn+observe": BREAKER},
    "envoy": {"retries": PLAIN, "budget": BUDGET, "budget+breaker": BOTH},
}


def goodput(stamps: Sequence[Stamp], begin: float, slices: int) -> list[float]:
    """Good answers a second in each of so many slices from `begin` on."""
    counted = [0] * slices
    for stamp in stamps:
        place = int((stamp.answered - begin) // SLICE)
        if 0 <= place < slices:
            counted[place] += 1
    return [count / SLICE for count in counted]


def back_after(later: Sequence[float], before: float, possible: float) -> float:
    """Seconds until the goodput was back, to the end of its first slice; infinite if it never was.

    Not a number if there was nothing to come back to: less than half of what is `possible`.
    `later` is what it was in each slice since the recovery. It was back in the slice in which it reached
    `BACK_SHARE` of what it was before, if it stayed there on average over `STEADY_SLICES`.
    """
    if before < possible / 2:
        return float("nan")
    wanted = before * BACK_SHARE
    for place in range(len(later) - STEADY_SLICES + 1):
        if later[place] >= wanted and sum(later[place : place + STEADY_SLICES]) >= wanted * STEADY_SLICES:
            return (place + 1) * SLICE
    return float("inf")


def wait_until_idle(port: int) -> None:
    """Until the host has worked off what an earlier round has left behind."""
    end = time.monotonic() + IDLE_LIMIT
    while counts(port).present:
        if time.monotonic() > end:
            raise Failed(f"the backend was not idle after {IDLE_LIMIT:.0f} s")
        time.sleep(0.05)


def sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def load(stage: Stage, rate: float, seconds: float) -> Load:
    return Load(
        stage.port, connections=CONNECTIONS, seconds=seconds, cpus=stage.load_cpus, rate=rate, stamps=True
    )


def measure_storm(stage: Stage, *, calm_rate: float) -> Sample:
    (port,) = stage.demand.endpoints
    wait_until_idle(port)
    seen = counts(port)
    with load(stage, calm_rate, BEFORE + DURING + AFTER) as calm:
        sleep_until(time.monotonic() + BEFORE)
        dropped = time.monotonic()
        set_speed(port, DROP)
        try:
            with load(stage, max(1.0, STORM_RATE - calm_rate), DURING) as surge:
                sleep_until(dropped + DURING)
                set_speed(port, 1)
                recovered = time.monotonic()
                more = surge.result()
        finally:
            set_speed(port, 1)
        results = [calm.result(), more]
    now = counts(port)
    worked_off = (now.requests - now.failed - now.refused) - (seen.requests - seen.failed - seen.refused)
    stamps = [stamp for result in results for stamp in result.stamps]
    asked = sum(result.requests + result.failed for result in results)
    slices = goodput(stamps, dropped - SETTLED, round((SETTLED + DURING + AFTER) / SLICE))
    before = sum(slices[: round(SETTLED / SLICE)]) * SLICE / SETTLED
    later = goodput(stamps, recovered, round((AFTER - SLICE) / SLICE))
    during = goodput(stamps, dropped, round(DURING / SLICE))
    return {
        "back_seconds": back_after(later, before, min(calm_rate, CAPACITY)),
        "goodput_before": before,
        "goodput_during": sum(during) / len(during),
        "goodput_after": sum(later[-round(SETTLED / SLICE) :]) * SLICE / SETTLED,
        "tries_per_request": (now.requests - seen.requests) / asked,
        "wasted_percent": (now.wasted - seen.wasted) / max(1, worked_off) * 100,
        **{f"{TIMELINE_PREFIX}{place * SLICE - SETTLED:g}": value for place, value in enumerate(slices)},
    }


def storm(name: str, about: str, calm_rate: float) -> Scenario:
    return Scenario(
        name=name,
        about=about,
        figures=(BACK, WAS, MEANWHILE, LATER, TRIES, WASTED),
        measure=partial(measure_storm, calm_rate=calm_rate),
        fresh=True,
        hosts=(HOST,),
        variants=VARIANTS,
    )


STORMS = (
    storm(
        "storm",
        f"{CALM_RATE:.0f} requests/s to a backend for {CAPACITY:.0f}; for {DURING:.0f} s it does a tenth, "
        f"and {STORM_RATE:.0f} come",
        CALM_RATE,
    ),
    storm(
        "storm-lasting",
        f"{STORM_RATE:.0f} requests/s all the time to a backend for {CAPACITY:.0f}, which for {DURING:.0f} s "
        "does a tenth",
        STORM_RATE,
    ),
)
