"""What is wrong about keepalive and the case of names is told with its place; what is right becomes a row."""

import json
from typing import Any

import pytest

from tulle.controlplane.load import Document, load_document
from tulle.controlplane.model import Config
from tulle.controlplane.problems import ConfigError
from tulle.controlplane.tabulate import tabulate

SECOND = 1_000_000_000
ASKS = {"connection_pool": {"keepalive": {"interval": "10s", "timeout": "2s"}}}
CHECKED = {"health_checks": [{"grpc": {}}], "protocol": "http2"}


def load(
    listener: dict[str, Any] | None = None, route: dict[str, Any] | None = None, **clusters: dict[str, Any]
) -> Config:
    data = {
        "listeners": [{"name": "l", "address": "127.0.0.1:1", "routes": "r"} | (listener or {})],
        "routes": {"r": [{"backends": [{"cluster": name} for name in clusters or "c"]} | (route or {})]},
        "clusters": {
            name: {"endpoints": [{"address": "127.0.0.1:2"}]} | sections
            for name, sections in (clusters or {"c": {}}).items()
        },
    }
    return load_document(Document(json.dumps(data).encode(), "json")).config


@pytest.mark.parametrize(
    ("listener", "cluster", "place"),
    [
        ({"keepalive": {"interval": "0s"}}, {}, "listeners[0].keepalive.interval"),
        ({"keepalive": {"timeout": "soon"}}, {}, "listeners[0].keepalive.timeout"),
        ({"header_case": "upper"}, {}, "listeners[0].header_case"),
        ({}, ASKS, "clusters.c.connection_pool.keepalive"),
        (
            {},
            {"protocol": "http2", "connection_pool": {"keepalive": {"timeout": "0s"}}},
            "clusters.c.connection_pool.keepalive.timeout",
        ),
        ({}, {"protocol": "http2", "header_case": "title"}, "clusters.c.header_case"),
    ],
)
def test_what_is_wrong(listener: dict[str, Any], cluster: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(listener, c=cluster)
    assert [problem.path for problem in caught.value.problems] == [place]


def test_raw_tcp_has_neither() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"protocol": "tcp", "keepalive": {}, "header_case": "title"}, c={})
    places = {problem.path for problem in caught.value.problems}
    assert places == {"listeners[0].keepalive", "listeners[0].header_case"}


def test_what_is_right() -> None:
    table = tabulate(load({"keepalive": {}, "header_case": "title"}, a=ASKS | {"protocol": "http2"}))
    listener, cluster = table.listeners[0], table.clusters[0]
    assert (listener.keepalive_interval, listener.keepalive_timeout) == (30 * SECOND, 15 * SECOND)
    assert (cluster.keepalive_interval, cluster.keepalive_timeout) == (10 * SECOND, 2 * SECOND)
    assert (listener.title_case, cluster.title_case) == (True, False)
    assert tabulate(load(a={"header_case": "title"})).clusters[0].title_case
    plain = tabulate(load())
    assert not plain.listeners[0].keepalive_interval and not plain.clusters[0].keepalive_interval


@pytest.mark.parametrize(
    ("route", "clusters", "grpc"),
    [
        ({}, {"c": {}}, False),
        ({"matches": [{"grpc": {"service": "a.B"}}]}, {"c": {}}, True),
        ({"matches": [{"path": {"prefix": "/x"}}, {"grpc": {"method": "M"}}]}, {"c": {}}, True),
        ({"matches": [{"path": {"prefix": "/a.B"}}]}, {"c": {"protocol": "http2"}}, False),
        ({}, {"c": CHECKED}, True),
        ({}, {"c": CHECKED, "d": CHECKED}, True),
        ({}, {"c": CHECKED, "d": {}}, False),
        ({"backends": [], "response": {}}, {"c": CHECKED}, False),
    ],
)
def test_which_routes_lead_to_services_of_grpc(
    route: dict[str, Any], clusters: dict[str, dict[str, Any]], grpc: bool
) -> None:
    assert tabulate(load(None, route, **clusters)).tables[0].routes[0].grpc is grpc


def test_a_listener_may_lead_there_without_routes() -> None:
    listener = {"routes": None, "backends": [{"cluster": "c"}]}
    assert tabulate(load(listener, c=CHECKED)).tables[-1].routes[0].grpc
