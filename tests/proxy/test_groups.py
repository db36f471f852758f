"""Which endpoints requests go to: subsets, priorities and zones, over reloads, through a whole proxy."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests._fast.base.shared_writer import set_unhealthy
from tests._fast.flow.sidecar import shared_memory
from tests.proxy.conftest import Start
from tests.proxy.running import Backend, Proxy, config, until
from tulle._fast.base.stats import Stats

CLUSTER = 0  # slots: the first cluster of a proxy, and its endpoints in their order


@pytest.fixture
def backends() -> Iterator[list[Backend]]:
    running = [Backend(f"b{number}") for number in range(6)]
    yield running
    for backend in running:
        backend.close()


def grouped(
    backends: list[Backend], endpoints: list[dict[str, Any]], parts: list[dict[str, Any]] | None = None,
    cluster: dict[str, Any] | None = None, **top: Any,
) -> dict[str, Any]:  # fmt: skip
    """Endpoints with these properties at these backends; `parts` are the backends of the route."""
    data = config([], **top)
    data["clusters"]["v1"] = {
        "endpoints": [
            {"address": backend.address, **more} for backend, more in zip(backends, endpoints, strict=False)
        ],
        **(cluster or {}),
    }
    data["routes"]["main"][0]["backends"] = [{"cluster": "v1", **part} for part in parts or [{}]]
    data["routes"]["main"][0]["retries"] = {"attempts": 3}
    return data


def answers(proxy: Proxy, times: int) -> Counter[str]:
    """Who answered, or the status of what the proxy answered itself."""
    counted: Counter[str] = Counter()
    for _ in range(times):
        status, body = proxy.get()
        counted[body.decode() if status == 200 else str(status)] += 1
    return counted


def stats_of(proxy: Proxy) -> Stats:
    return Stats(shared_memory(proxy.pid))


def figure(proxy: Proxy, name: str) -> int:
    found: int = proxy.admin("/clusters")["v1"][name]
    return found


V1, V2 = {"metadata": {"version": "v1"}}, {"metadata": {"version": "v2"}}


def test_a_canary_by_version(start: Start, backends: list[Backend]) -> None:
    parts = [
        {"subset": {"version": "v1"}, "weight": 80},
        {"subset": {"version": "v2"}, "weight": 20},
    ]
    proxy = start(grouped(backends, [V1, V2, V1], parts)).ready()
    counted = answers(proxy, 400)
    assert counted.keys() == {"b0", "b1", "b2"}
    assert 40 < counted["b1"] < 125  # five sigmas around 80
    proxy.reload(grouped(backends, [V1, V2, V1], [{"subset": {"version": "v2"}}]))
    assert answers(proxy, 20) == {"b1": 20}
    proxy.reload(grouped(backends, [V2, V1, V1], [{"subset": {"version": "v2"}}]))
    assert answers(proxy, 20) == {"b0": 20}
    proxy.reload(grouped(backends, [V2, V1, V1]))
    assert answers(proxy, 30) == {"b0": 10, "b1": 10, "b2": 10}


def test_a_subset_that_nobody_is_in(start: Start, backends: list[Backend]) -> None:
    parts = [{"subset": {"version": "v3"}}]
    proxy = start(grouped(backends, [V1, V2], parts)).ready()
    assert "empty-subset" not in proxy.said()
    assert "no endpoint of 'v1' has {version: v3}" in proxy.said()
    assert answers(proxy, 3) == {"503": 3}
    proxy.reload(grouped(backends, [V1, V2], parts, {"subset_fallback": "any"}))
    assert answers(proxy, 4) == {"b0": 2, "b1": 2}
    assert figure(proxy, "subset_fallbacks") == 4


def test_priorities_fail_over_and_back(start: Start, backends: list[Backend]) -> None:
    proxy = start(grouped(backends, [{}, {"priority": 1}, {"priority": 1}])).ready()
    stats = stats_of(proxy)
    assert answers(proxy, 10) == {"b0": 10}
    set_unhealthy(stats, CLUSTER, {0: True})
    assert answers(proxy, 10) == {"b1": 5, "b2": 5}
    set_unhealthy(stats, CLUSTER, {1: True, 2: True})
    assert sum(answers(proxy, 60).values()) == 60
    assert figure(proxy, "panic_picks") == 60
    set_unhealthy(stats, CLUSTER, {0: False})
    assert answers(proxy, 10) == {"b0": 10}
    assert figure(proxy, "panic_picks") == 60


def test_a_panic_uses_all_endpoints_and_the_threshold_follows_a_reload(
    start: Start, backends: list[Backend]
) -> None:
    proxy = start(grouped(backends, [{}, {}, {}])).ready()
    stats = stats_of(proxy)
    assert answers(proxy, 6) == {"b0": 2, "b1": 2, "b2": 2}
    set_unhealthy(stats, CLUSTER, {0: True})
    assert answers(proxy, 10) == {"b1": 5, "b2": 5}
    set_unhealthy(stats, CLUSTER, {1: True})
    assert answers(proxy, 9) == {"b0": 3, "b1": 3, "b2": 3}
    proxy.reload(grouped(backends, [{}, {}, {}], cluster={"panic_threshold": 0}))
    assert answers(proxy, 9) == {"b2": 9}
    set_unhealthy(stats, CLUSTER, {2: True})
    assert answers(proxy, 2) == {"503": 2}


def test_a_retry_goes_to_another_priority(start: Start, backends: list[Backend]) -> None:
    """The only endpoint of the first refuses connections."""
    backends[0].close()
    proxy = start(grouped(backends, [{}, {"priority": 1}])).ready()
    assert answers(proxy, 5) == {"b1": 5}


@pytest.mark.parametrize("way", ["config", "variable", "option"])
def test_requests_stay_in_the_zone(start: Start, backends: list[Backend], way: str) -> None:
    zones = [{"zone": zone} for zone in "abcabc"]
    aware = {"zone_aware": {"min_cluster_size": 6}}
    top = {"zone": "b"} if way == "config" else {"zone": "a"}
    words = ("--zone", "b") if way == "option" else ()
    environment = {"TULLE_ZONE": "b" if way == "variable" else "c"} if way != "config" else {}
    proxy = start(grouped(backends, zones, cluster=aware, **top), *words, environment=environment).ready()
    assert answers(proxy, 10) == {"b1": 5, "b4": 5}
    assert (figure(proxy, "zone_local"), figure(proxy, "zone_other")) == (10, 0)
    stats = stats_of(proxy)
    set_unhealthy(stats, CLUSTER, {1: True, 4: True})
    assert answers(proxy, 40).keys() <= {"b0", "b2", "b3", "b5"}
    assert (figure(proxy, "zone_local"), figure(proxy, "zone_other")) == (10, 40)
    proxy.reload(grouped(backends, zones[:3], cluster=aware, **top))
    set_unhealthy(stats, CLUSTER, {1: False})
    assert answers(proxy, 9) == {"b0": 3, "b1": 3, "b2": 3}, "too few endpoints to be cut by zone"


def test_a_host_keeps_its_connections_when_it_changes_groups(start: Start, backends: list[Backend]) -> None:
    proxy = start(grouped(backends, [V1, V2])).ready()
    answers(proxy, 4)
    opened = figure(proxy, "connections_total")
    assert opened == 2
    parts = [{"subset": {"version": "v2"}}]
    proxy.reload(grouped(backends, [{**V1, "priority": 2}, {**V2, "priority": 1}], parts))
    assert answers(proxy, 4) == {"b1": 4}
    proxy.reload(grouped(backends, [{"zone": "a"}, {"zone": "b"}], zone="a"))
    assert answers(proxy, 4) == {"b0": 2, "b1": 2}
    assert figure(proxy, "connections_total") == opened
    until(lambda: figure(proxy, "requests_active") == 0, "nothing is left active")


def test_the_page_shows_places_and_shares(start: Start, backends: list[Backend]) -> None:
    places = [
        {"zone": "a", **V1}, {"zone": "b", **V1}, {"zone": "a", "priority": 1, **V2}, {"priority": 1},
    ]  # fmt: skip
    parts = [{"subset": {"version": "v1"}}, {"subset": {"version": "v3"}}, {}]
    aware = {"zone_aware": {"min_cluster_size": 2}, "subset_fallback": "any"}
    proxy = start(grouped(backends, places, parts, aware, zone="a")).ready()
    addresses = [backend.address for backend in backends]
    page = proxy.admin("/clusters")["v1"]
    assert page["endpoints"][addresses[0]].items() >= {"priority": 0, "zone": "a", **V1}.items()
    assert page["endpoints"][addresses[3]]["priority"] == 1
    assert page["endpoints"][addresses[3]].keys().isdisjoint(("zone", "metadata"))
    first, second = {"priority": 0, "panic": False}, {"priority": 1, "panic": False}
    assert page["groups"] == [
        {**first, "zone": "a", "endpoints": 1, "share": 1.0},
        {**first, "zone": "b", "endpoints": 1, "share": 0.0},
        {**second, "zone": "a", "endpoints": 1, "share": 0.0},
        {**second, "endpoints": 1, "share": 0.0},
        {**first, "subset": {"version": "v1"}, "zone": "a", "endpoints": 1, "share": 1.0},
        {**first, "subset": {"version": "v1"}, "zone": "b", "endpoints": 1, "share": 0.0},
        {"subset": {"version": "v3"}, "endpoints": 0, "falls_back": True},
    ]
    routes = proxy.admin("/routes")["main"][0]["backends"]
    assert [backend.get("subset") for backend in routes] == [{"version": "v1"}, {"version": "v3"}, None]
    assert "share: 1.0" in proxy.get("/clusters", "admin")[1].decode()


def test_panics_zones_and_fallbacks_are_metrics(start: Start, backends: list[Backend]) -> None:
    places = [{"zone": zone} for zone in "aabb"]
    proxy = start(
        grouped(backends, places, cluster={"zone_aware": {"min_cluster_size": 2}}, zone="a")
    ).ready()

    def metric(name: str) -> float:
        text = proxy.get("/metrics", "admin")[1].decode()
        (line,) = [line for line in text.splitlines() if line.startswith(name)]
        return float(line.split()[-1])

    assert metric('tulle_cluster_panic{cluster="v1"}') == 0
    assert answers(proxy, 4) == {"b0": 2, "b1": 2}
    set_unhealthy(stats_of(proxy), CLUSTER, {0: True, 1: True, 2: True})
    assert metric('tulle_cluster_panic{cluster="v1"}') == 1
    assert proxy.admin("/clusters")["v1"]["groups"] == [
        {"priority": 0, "zone": "a", "endpoints": 2, "share": 0.5, "panic": True},
        {"priority": 0, "zone": "b", "endpoints": 2, "share": 0.5, "panic": True},
    ]
    counted = answers(proxy, 30)
    local = 4 + counted["b0"] + counted["b1"]
    assert metric('tulle_cluster_panic_requests_total{cluster="v1"}') == 30
    assert metric('tulle_zone_requests_total{cluster="v1",zone="local"}') == local
    assert metric('tulle_zone_requests_total{cluster="v1",zone="other"}') == 34 - local
    assert metric('tulle_subset_fallbacks_total{cluster="v1"}') == 0
