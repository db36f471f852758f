"""Redirected connections in the configuration: what may be said of them, and what comes of it in the
table."""

import json
from typing import Any

import pytest

from tulle.controlplane.load import Document, load_document
from tulle.controlplane.problems import ConfigError
from tulle.controlplane.table import RoutingTable
from tulle.controlplane.tabulate import tabulate


def load(*listeners: dict[str, Any], **sections: Any) -> RoutingTable:
    data = {
        "listeners": [
            {"name": f"l{index}", "address": f"127.0.0.1:{index + 1}", **listener}
            for index, listener in enumerate(listeners)
        ],
        "clusters": {"c": {"endpoints": [{"address": "127.0.0.1:2"}]}, **sections.pop("clusters", {})},
        "routes": {"r": [{"name": "all", "hostnames": ["a.test"], "backends": [{"cluster": "c"}]}]},
        **sections,
    }
    return tabulate(load_document(Document(json.dumps(data).encode(), "json")).config)


def errors(*listeners: dict[str, Any], **sections: Any) -> list[str]:
    """Where the errors are."""
    with pytest.raises(ConfigError) as caught:
        load(*listeners, **sections)
    return [problem.path for problem in caught.value.problems]


TAKES: dict[str, Any] = {"original_destination": True}
ANYWHERE: dict[str, Any] = {"anywhere": {"original_destination": True}}


def test_without_routes_all_is_let_through() -> None:
    table = load(TAKES, {"protocol": "tcp", **TAKES})
    assert [row.original_destination for row in table.listeners] == [True, True]
    assert [cluster.name for cluster in table.clusters] == ["c", "passthrough"]
    assert table.clusters[1].endpoints[0].address == "0.0.0.0:0"
    for listener in table.listeners:
        (route,) = table.tables[listener.table].routes
        assert [backend.cluster for backend in route.backends] == [1]


def test_what_no_route_takes_is_let_through_or_refused() -> None:
    table = load({"routes": "r", **TAKES})
    assert [route.name for route in table.tables[0].routes] == ["all", "passthrough"]
    table = load({"routes": "r", "outbound": "registry_only", **TAKES})
    assert [route.name for route in table.tables[0].routes] == ["all"]
    assert [cluster.name for cluster in table.clusters] == ["c"]


def test_a_passthrough_of_ones_own_is_used() -> None:
    own = {"passthrough": {"original_destination": True, "connect_timeout": "1s"}}
    table = load(TAKES, clusters=own)
    assert [cluster.name for cluster in table.clusters] == ["c", "passthrough"]
    assert table.clusters[1].connect_timeout == 1_000_000_000


def test_destinations_are_hosts_with_a_port_in_one_spelling() -> None:
    route = {"destinations": ["10.96.0.7:80", "[FD00:0::7]:443"], "backends": [{"cluster": "c"}]}
    table = load({"routes": "r", **TAKES}, routes={"r": [route]})
    assert table.tables[0].routes[0].hostnames == ("10.96.0.7:80", "[fd00::7]:443")


def test_a_listener_without_it_is_as_before() -> None:
    table = load({"routes": "r"})
    assert not table.listeners[0].original_destination
    assert len(table.tables[0].routes) == len(table.clusters) == 1


@pytest.mark.parametrize(
    ("listeners", "sections", "where"),
    [
        ([{"routes": "r", "outbound": "registry_only"}], {}, "listeners[0].outbound"),
        ([{**TAKES, "outbound": "registry_only"}], {}, "listeners[0]"),
        ([{**TAKES, "address": "unix:/a"}], {}, "listeners[0].original_destination"),
        ([{**TAKES, "routes": "r"}, {"routes": "r"}], {}, "listeners[1].routes"),
        ([TAKES], {"clusters": {"passthrough": {"endpoints": []}}}, "clusters.passthrough"),
        ([{"backends": [{"cluster": "anywhere"}]}], {"clusters": ANYWHERE}, "listeners[0].backends[0]"),
        (
            [{"routes": "r"}],
            {"clusters": ANYWHERE, "routes": {"r": [{"backends": [{"cluster": "anywhere"}]}]}},
            "routes.r[0].backends[0]",
        ),
        (
            [{**TAKES, "routes": "r"}],
            {
                "clusters": ANYWHERE,
                "routes": {"r": [{"backends": [{"cluster": "c"}], "mirror": [{"cluster": "anywhere"}]}]},
            },
            "routes.r[0].mirror[0].cluster",
        ),
        (
            [TAKES],
            {"clusters": {"d": {"original_destination": True, "load_balancer": "random"}}},
            "clusters.d.load_balancer",
        ),
        (
            [TAKES],
            {"clusters": {"d": {"original_destination": True, "endpoints": [{"address": "127.0.0.1:3"}]}}},
            "clusters.d.endpoints",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(listeners: list[dict[str, Any]], sections: dict[str, Any], where: str) -> None:
    assert where in errors(*listeners, **sections)


@pytest.mark.parametrize(
    "destination", ["10.0.0.1", "shop.example:80", "unix:/a", "[::ffff:10.0.0.1]:80", "10.0.0.1:0"]
)
def test_a_destination_is_an_address_and_a_port(destination: str) -> None:
    routes = {"r": [{"destinations": [destination], "backends": [{"cluster": "c"}]}]}
    assert errors({"routes": "r", **TAKES}, routes=routes) == ["routes.r[0].destinations[0]"]
