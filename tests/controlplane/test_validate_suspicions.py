"""What is legal and can hardly be meant: each with its code, and what is much like it without."""

from typing import Any

import pytest

from tests.controlplane.test_validate import CLUSTER, ROUTE, changed, problems_of

C, R = "clusters.v1", "routes.main[0]"
LISTENER = ("listeners", 0)
THREE = [{"address": f"127.0.0.1:900{number}"} for number in range(1, 4)]
HASHED = {"load_balancer": "maglev", "endpoints": THREE}
Change = tuple[tuple[str | int, ...], Any]


def cluster(**sections: Any) -> Change:
    return CLUSTER, {"endpoints": THREE} | sections


def route(**sections: Any) -> Change:
    """A route to the cluster, with these sections."""
    return ROUTE, {"backends": [{"cluster": "v1"}]} | sections


def rates(*limits: dict[str, Any]) -> Change:
    return route(rate_limits=[{"name": f"n{index}"} | limit for index, limit in enumerate(limits)])


def check(**more: Any) -> Change:
    return cluster(health_checks=[{"http": {}, "interval": "2s"} | more])


def priorities(*found: int) -> Change:
    endpoints = [endpoint | {"priority": priority} for endpoint, priority in zip(THREE, found, strict=False)]
    return cluster(endpoints=endpoints)


SUSPICIOUS: list[tuple[Change, str, str]] = [
    (priorities(1, 2), "priority-gap", f"{C}.endpoints"),
    (priorities(0, 2), "priority-gap", f"{C}.endpoints"),
    (
        cluster(circuit_breaker={"max_requests": 5, "max_pending_requests": 6}),
        "never", f"{C}.circuit_breaker.max_pending_requests",
    ),
    (cluster(panic_threshold=100, outlier_detection={}), "no-effect", f"{C}.panic_threshold"),
    (cluster(panic_threshold=100, health_checks=[{"tcp": {}}]), "no-effect", f"{C}.panic_threshold"),
    (
        cluster(outlier_detection={"success_rate_minimum_hosts": 4}),
        "never", f"{C}.outlier_detection.success_rate_minimum_hosts",
    ),
    (check(timeout="3s"), "interval-order", f"{C}.health_checks[0].timeout"),
    (check(unhealthy_interval="3s"), "interval-order", f"{C}.health_checks[0].unhealthy_interval"),
    (check(interval_jitter="3s"), "interval-order", f"{C}.health_checks[0].interval_jitter"),
    (
        cluster(load_balancer="maglev", hash_on=[{"header": "a"}, {"header": "A"}]),
        "no-effect", f"{C}.hash_on[1]",
    ),
    (
        cluster(load_balancer="maglev", hash_on=[{"source_address": True, "terminal": True}, {"query": "a"}]),
        "never", f"{C}.hash_on[1]",
    ),
    (
        cluster(
            load_balancer="maglev", hash_on=[{"cookie": {"name": "a"}}],
            session_affinity={"cookie": {"name": "a"}},
        ),
        "contradiction", f"{C}.hash_on[0].cookie",
    ),
    (
        cluster(
            load_balancer="maglev", hash_on=[{"header": "a"}],
            endpoints=[THREE[0], THREE[1] | {"weight": 100_000}],
        ),
        "table-size", f"{C}.endpoints[0].weight",
    ),
    (
        cluster(
            load_balancer="ring_hash", hash_on=[{"header": "a"}],
            ring_hash={"minimum_ring_size": 1, "maximum_ring_size": 2},
        ),
        "table-size", f"{C}.endpoints[0].weight",
    ),
    (cluster(subset_fallback="any"), "no-effect", f"{C}.subset_fallback"),
    (route(retries={"on": []}), "retry-unused", f"{R}.retries.on"),
    (route(retries={"on": ["reset", "5xx", "reset"]}), "retry-unused", f"{R}.retries.on[2]"),
    (
        route(retries={}, timeouts={"request": "2s", "per_try": "2s"}),
        "timeout-order", f"{R}.timeouts.per_try",
    ),
    (route(timeouts={"idle": "1s", "first_byte": "2s"}), "timeout-order", f"{R}.timeouts.first_byte"),
    (route(mirror=[{"cluster": "v1"}]), "mirror-self", f"{R}.mirror[0]"),
    (rates({"requests": 5}, {"requests": 9}), "never", f"{R}.rate_limits[1]"),
    (rates({"requests": 5, "per": "1h"}, {"requests": 5, "per": "1s"}), "never", f"{R}.rate_limits[1]"),
    (
        rates({"requests": 5, "key": "client_address"}, {"requests": 5, "burst": 4}),
        "never", f"{R}.rate_limits[0]",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "path"), SUSPICIOUS, ids=[f"{s[2]}-{s[1]}" for s in SUSPICIOUS])
def test_it_is_told(change: Change, code: str, path: str) -> None:
    errors, warnings = problems_of(changed(change))
    assert errors == []
    assert [(warning.code, warning.path, warning.line > 0) for warning in warnings] == [(code, path, True)]


@pytest.mark.parametrize(
    "change",
    [
        priorities(0, 1, 2),
        priorities(0, 0, 1),
        cluster(circuit_breaker={"max_requests": 5}),
        cluster(circuit_breaker={"max_requests": None, "max_pending_requests": 5}),
        cluster(panic_threshold=100),
        cluster(outlier_detection={}),
        check(unhealthy_interval="1s", timeout="2s", interval_jitter="1s"),
        cluster(
            load_balancer="maglev", hash_on=[{"header": "a", "terminal": True}, {"source_address": True}]
        ),
        cluster(load_balancer="maglev", hash_on=[{"header": "a"}, {"query": "a"}, {"cookie": {"name": "a"}}]),
        route(retries={}, timeouts={"request": "4s", "per_try": "2s"}),
        route(timeouts={"request": "2s", "per_try": "2s"}),
        rates({"requests": 5}, {"requests": 50, "per": "1h"}),
        rates({"requests": 5, "burst": 9}, {"requests": 9, "burst": 5}),
        rates({"requests": 5, "key": "client_address"}, {"requests": 9}),
        rates({"requests": 5, "key": {"header": "a"}}, {"requests": 9, "key": {"header": "b"}}),
    ],
)
def test_it_is_not_told(change: Change) -> None:
    assert problems_of(changed(change)) == ([], [])


def test_a_subset_of_the_same_cluster_is_another_goal() -> None:
    endpoints = [THREE[0] | {"metadata": {"v": "2"}}, THREE[1]]
    goal = {"cluster": "v1", "subset": {"v": "2"}}
    data = changed(cluster(endpoints=endpoints), route(mirror=[goal]))
    assert problems_of(data) == ([], [])


def test_a_subset_of_a_mirror_that_no_endpoint_is_in() -> None:
    _, warnings = problems_of(changed(route(mirror=[{"cluster": "v1", "subset": {"v": "2"}}])))
    assert [(warning.code, warning.path) for warning in warnings] == [
        ("unknown-metadata", f"{R}.mirror[0].subset.v")
    ]


def test_a_limit_that_the_listener_has_already() -> None:
    data = changed(rates({"requests": 9}), ((*LISTENER, "rate_limits"), [{"requests": 5}]))
    _, warnings = problems_of(data)
    assert [(warning.code, warning.path) for warning in warnings] == [("never", f"{R}.rate_limits[0]")]
