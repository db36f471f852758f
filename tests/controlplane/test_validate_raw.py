"""Options of HTTP mean nothing to a listener of raw TCP, and are refused with the place where they stand."""

import json
from typing import Any

import pytest

from tulle.controlplane.load import Document, load_document
from tulle.controlplane.problems import ConfigError


def errors(listener: dict[str, Any], route: dict[str, Any]) -> list[str]:
    """Where the errors are."""
    data = {
        "listeners": [{"name": "raw", "address": "127.0.0.1:1", "protocol": "tcp", "routes": "r"} | listener],
        "routes": {"r": [{"name": "all", "backends": [{"cluster": "c"}]} | route]},
        "clusters": {"c": {"endpoints": [{"address": "127.0.0.1:2"}]}},
    }
    try:
        load_document(Document(json.dumps(data).encode(), "json"))
    except ConfigError as error:
        assert all(problem.hint for problem in error.problems)
        return [problem.path for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("listener", "route"),
    [
        ({}, {}),
        ({"max_connections": 5, "idle_timeout": "0s", "request_head_timeout": "1s", "access_log": False}, {}),
        ({}, {"hostnames": ["a.test", "*.b.test"]}),
        ({}, {"timeouts": {"per_try": "1s"}, "retries": {"attempts": 3, "on": ["connect-failure"]}}),
    ],
)
def test_what_means_something(listener: dict[str, Any], route: dict[str, Any]) -> None:
    assert errors(listener, route) == []


@pytest.mark.parametrize(
    ("listener", "route", "where"),
    [
        ({"max_request_body": "1KiB"}, {}, "listeners[0].max_request_body"),
        ({"via": "x"}, {}, "listeners[0].via"),
        ({"trusted_hops": 1}, {}, "listeners[0].trusted_hops"),
        ({}, {"matches": [{"path": {"prefix": "/"}}]}, "routes.r[0].matches"),
        ({}, {"rewrite": {"hostname": "a.test"}}, "routes.r[0].rewrite"),
        ({}, {"request_headers": {"set": {"a": "b"}}}, "routes.r[0].request_headers"),
        ({}, {"connect": True}, "routes.r[0].connect"),
        ({}, {"timeouts": {"request": "1s"}}, "routes.r[0].timeouts.request"),
        ({}, {"timeouts": {"idle": "1s"}}, "routes.r[0].timeouts.idle"),
        ({}, {"retries": {"on": ["503"]}}, "routes.r[0].retries.on"),
        ({}, {"retries": {"unsafe_methods": True}}, "routes.r[0].retries.unsafe_methods"),
    ],
)
def test_what_means_nothing(listener: dict[str, Any], route: dict[str, Any], where: str) -> None:
    assert errors(listener, route) == [where]
