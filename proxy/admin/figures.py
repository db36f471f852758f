"""What the workers have counted, by name: the one reading that pages and metrics are made of."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from tulle._fast.base import figures
from tulle._fast.base import health as checks
from tulle._fast.base.stats import Stats
from tulle.proxy.admin.names import Key, Labels, Names

CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")  # none: no response was sent
SECOND = 1_000_000_000
_FLAGS = len(CLASSES)
_BYTES = figures.SERIES_HEAD - 2


class Distribution(NamedTuple):
    """How many durations, their sum in nanoseconds, and how many up to each bound and above the last."""

    number: int
    total: int
    buckets: tuple[int, ...]


class Requests:
    """Requests of one listener, route and cluster."""

    def __init__(self, words: Sequence[int], buckets: int) -> None:
        self.classes = dict(zip(CLASSES, words, strict=False))
        self.flags = dict(zip(figures.FLAGS, words[_FLAGS:], strict=False))
        self.received, self.sent = words[_BYTES : _BYTES + 2]
        first = figures.SERIES_HEAD
        second = first + 2 + buckets
        self.duration = Distribution(words[first], words[first + 1], tuple(words[first + 2 : second]))
        self.upstream = Distribution(words[second], words[second + 1], tuple(words[second + 2 :]))


def requests(stats: Stats, names: Names, bounds: tuple[int, ...]) -> dict[Labels, Requests]:
    """By name; what the configuration has not had for a while is left out. `bounds`: nanoseconds, rising."""
    sums: dict[Labels, list[int]] = {}
    counted = figures.series(stats, bounds)
    shown = names.shown()
    for key, words in counted.items():
        labels = shown.labels(Key(*key))
        if labels is None:
            continue
        known = sums.get(labels)
        sums[labels] = list(words) if known is None else [a + b for a, b in zip(known, words, strict=True)]
    return {labels: Requests(words, len(bounds) + 1) for labels, words in sums.items()}


def clusters(stats: Stats, names: Names) -> dict[str, dict[str, int]]:
    """By name, `CLUSTER_FIELDS` and what is held of each limit (`held_connections` and so on)."""
    counted = figures.clusters(stats)
    held = figures.limits(stats)
    found = {}
    for slot, name in names.clusters.items():
        words = counted.get((slot.slot, slot.generation)) or [0] * len(figures.CLUSTER_FIELDS)
        found[name] = dict(zip(figures.CLUSTER_FIELDS, words, strict=True))
        passed, failed = checks.counts(stats, slot.slot, slot.generation)
        found[name] |= {"checks_passed": passed, "checks_failed": failed}
        limits = held.get(slot.slot) or [0] * len(figures.LIMITS)
        found[name] |= {f"held_{limit}": count for limit, count in zip(figures.LIMITS, limits, strict=True)}
    return found


def endpoints(stats: Stats, names: Names) -> dict[tuple[str, str], dict[str, int]]:
    """By cluster and address, `ENDPOINT_FIELDS` and what workers have told each other.

    `healthy`: 1 if it may be chosen; `unhealthy`: 1 if active health checks fail; `ejected_until`: monotonic
    ns until which outlier detection has it out, 0 if it has not; `ejections`: how often in a row;
    `checked_since`: wall clock ns since when checks find it so, `check_failure`: see `health.failures`;
    `stepped_back_until`: the monotonic ns until which it is left alone; `latency_us`: what peak EWMA takes
    for its latency, 0 when that is not known.
    """
    counted = figures.endpoints(stats)
    health = figures.health(stats)
    learnt = figures.learnt(stats)
    found = {}
    for slot, name in names.endpoints.items():
        key = (slot.slot, slot.generation)
        words = counted.get(key) or [0] * len(figures.ENDPOINT_FIELDS)
        found[name] = dict(zip(figures.ENDPOINT_FIELDS, words, strict=True))
        unhealthy, ejected_until, ejections, since, failure = health.get(key, (0, 0, 0, 0, 0))
        stepped_back_until, latency = learnt.get(key, (0, 0))
        found[name] |= {
            "healthy": int(not unhealthy and not ejected_until),
            "unhealthy": unhealthy,
            "ejected_until": ejected_until,
            "ejections": ejections,
            "checked_since": since,
            "check_failure": failure,
            "stepped_back_until": stepped_back_until,
            "latency_us": latency,
        }
    return found


def healthy(counted: Mapping[tuple[str, str], Mapping[str, int]]) -> set[tuple[str, str]]:
    """Of `endpoints`, those that may be chosen."""
    return {name for name, values in counted.items() if values["healthy"]}


def durations(stats: Stats, names: Names, by_cluster: bool) -> dict[str, list[int]]:
    """Fine buckets of the total time, by name of listener or cluster."""
    if by_cluster:
        named = {(slot.slot + 1, slot.generation): name for slot, name in names.clusters.items()}
    else:
        named = {(number, 0): name for number, name in names.listeners.items()}
    fine = figures.durations(stats, upstream=False, by_cluster=by_cluster)
    return {named[key]: list(words) for key, words in fine.items() if key in named}


def quantiles(fine: Iterable[int], shares: Sequence[float]) -> list[float | None]:
    """The microseconds that these shares of all durations do not pass, at most 2 % off; None without any."""
    counts = list(fine)
    total = sum(counts)
    found: list[float | None] = []
    for share in shares:
        rank = max(1, math.ceil(share * total))
        bucket = next((bucket for bucket, seen in enumerate(accumulate(counts)) if seen >= rank), None)
        found.append(None if bucket is None else round(figures.middle(bucket) / 1000, 1))
    return found
