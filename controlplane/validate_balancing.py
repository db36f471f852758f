"""The checks of what algorithms are told."""

from tulle.controlplane.findings import Report
from tulle.controlplane.model_balancing import HashOn
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.problems import Path
from tulle.controlplane.validate_values import check_durations

HASHING = ("ring_hash", "maglev")
# what only some algorithms heed
HEEDED = {
    "choices": ("least_request", "peak_ewma"),
    "peak_ewma": ("peak_ewma",),
    "ring_hash": ("ring_hash",),
    "hash_on": HASHING,
    "bounded_load": HASHING,
    "slow_start": ("round_robin", "least_request", "random", "peak_ewma"),
}


_DEFAULTS = Cluster()


def check_balancing(cluster: Cluster, path: Path, report: Report) -> None:
    check_durations({"max_step_back": cluster.max_step_back}, path, (), report)
    _check_peak_ewma(cluster, path, report)
    _check_hashing(cluster, path, report)
    if cluster.slow_start is not None:
        check_durations({"window": cluster.slow_start.window}, (*path, "slow_start"), ("window",), report)
    if cluster.session_affinity is not None:
        cookie = cluster.session_affinity.cookie
        check_durations({"ttl": cookie.ttl}, (*path, "session_affinity", "cookie"), (), report)
    for key, algorithms in HEEDED.items():
        if getattr(cluster, key) != getattr(_DEFAULTS, key) and cluster.load_balancer not in algorithms:
            report.warning(
                "unused-balancing", (*path, key),
                f"means nothing with load_balancer {cluster.load_balancer}",
                f"It is for {', '.join(algorithms)}.",
            )  # fmt: skip


def _check_peak_ewma(cluster: Cluster, path: Path, report: Report) -> None:
    settings = cluster.peak_ewma
    if settings is None:
        return
    check_durations(
        {
            "default_rtt": settings.default_rtt,
            "decay": settings.decay,
            "failure_penalty": settings.failure_penalty,
        },
        (*path, "peak_ewma"), ("default_rtt", "decay"), report,
    )  # fmt: skip


def _check_hashing(cluster: Cluster, path: Path, report: Report) -> None:
    ring = cluster.ring_hash
    if ring is not None and ring.minimum_ring_size > ring.maximum_ring_size:
        report.error(
            "combination", (*path, "ring_hash"),
            f"minimum_ring_size {ring.minimum_ring_size} is above maximum_ring_size {ring.maximum_ring_size}",
        )  # fmt: skip
    if cluster.load_balancer in HASHING and not cluster.hash_on:
        report.warning(
            "no-hash",
            path,
            f"{cluster.load_balancer} without hash_on sends every request to a random endpoint",
        )
    for index, item in enumerate(cluster.hash_on):
        _check_hash_on(item, (*path, "hash_on", index), report)


def _check_hash_on(item: HashOn, path: Path, report: Report) -> None:
    told = [item.header is not None, item.cookie is not None, item.source_address, item.query is not None]
    if sum(told) != 1:
        report.error(
            "combination", path, "needs exactly one of header, cookie, source_address and query",
            "Write one item for each.",
        )  # fmt: skip
    if item.cookie is not None:
        check_durations({"ttl": item.cookie.ttl}, (*path, "cookie"), (), report)
