"""What is wrong about PROXY headers and detection is told with its place, and what is right becomes a row."""

import json
from typing import Any

import pytest

from tulle.controlplane.load import Document, load_document
from tulle.controlplane.model import Config
from tulle.controlplane.problems import ConfigError
from tulle.controlplane.tabulate import tabulate


def load(listener: dict[str, Any], cluster: dict[str, Any] | None = None) -> Config:
    data = {
        "access_log": {"format": "json"},
        "listeners": [{"name": "l", "address": "127.0.0.1:1", "routes": "r"} | listener],
        "routes": {"r": [{"name": "all", "backends": [{"cluster": "c"}]}]},
        "clusters": {"c": {"endpoints": [{"address": "127.0.0.1:2"}]} | (cluster or {})},
    }
    return load_document(Document(json.dumps(data).encode(), "json")).config


@pytest.mark.parametrize(
    ("listener", "cluster", "place"),
    [
        ({"proxy_protocol": {"timeout": "0s"}}, {}, "listeners[0].proxy_protocol.timeout"),
        ({"proxy_protocol": {"sources": ["10.0.0.1/8"]}}, {}, "listeners[0].proxy_protocol.sources[0]"),
        ({"proxy_protocol": {"sources": ["::1", "x"]}}, {}, "listeners[0].proxy_protocol.sources[1]"),
        ({"detection": {"timeout": "2s"}}, {}, "listeners[0].detection"),
        ({"detection": {"ports": [{"port": 5, "timeout": "0s"}]}}, {}, "listeners[0].detection"),
        (
            {"protocol": "auto", "detection": {"ports": [{"port": 5, "timeout": "0s"}] * 2}},
            {},
            "listeners[0].detection.ports[1].port",
        ),
        ({}, {"protocol": "http2", "proxy_protocol": "v2"}, "clusters.c.proxy_protocol"),
    ],
)
def test_what_is_wrong(listener: dict[str, Any], cluster: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(listener, cluster)
    assert [problem.path for problem in caught.value.problems] == [place]


@pytest.mark.parametrize(
    "listener",
    [
        {"proxy_protocol": {}},
        {"protocol": "tcp", "proxy_protocol": {"mode": "optional", "sources": ["10.0.0.0/8", "::1"]}},
        {"protocol": "auto", "proxy_protocol": {"mode": "off"}, "detection": {"timeout": "0s"}},
    ],
)
def test_what_is_right(listener: dict[str, Any]) -> None:
    assert tabulate(load(listener)).listeners[0].greeting is not None


def test_a_listener_that_asks_for_nothing_has_no_row() -> None:
    for listener in ({}, {"protocol": "tcp"}, {"proxy_protocol": {"mode": "off"}}):
        assert tabulate(load(listener)).listeners[0].greeting is None


def test_ports_that_are_known_and_others() -> None:
    other = {"port": 25, "timeout": "2s"}
    for known, expected in ((True, {3306: 0, 25: 2_000_000_000}), (False, {25: 2_000_000_000})):
        detection = {"known_ports": known, "ports": [other]}
        greeting = tabulate(load({"protocol": "auto", "detection": detection})).listeners[0].greeting
        assert greeting is not None
        assert dict(greeting.ports).items() >= expected.items()
        assert len(greeting.ports) == (10 if known else 1)


@pytest.mark.parametrize(("protocol", "logged"), [("http", False), ("auto", True)])
def test_what_is_detected_is_logged_where_something_is(protocol: str, logged: bool) -> None:
    assert ("detected" in [item.name for item in tabulate(load({"protocol": protocol})).log_items]) == logged
