"""Zones and subsets that cannot be meant so: warnings, each with its code and its path."""

from typing import Any

import msgspec
import pytest

from tulle.controlplane.load import Document, load_document
from tulle.controlplane.problems import ConfigError, Problem

ZONES = "aabbc"
VERSIONS = ("v1", "v1", "v1", "v2", "v2")
PLACE = "routes.main[0].backends[0].subset"


def warnings(
    cluster: dict[str, Any] | None = None,
    backend: dict[str, Any] | None = None,
    zone: str | None = None,
    **top: Any,
) -> list[Problem]:
    """Of a config with five endpoints in three zones and of two versions."""
    endpoints = [
        {"address": f"10.0.0.{index}:80", "zone": place, "metadata": {"version": version}}
        for index, (place, version) in enumerate(zip(ZONES, VERSIONS, strict=True))
    ]
    data = {
        "listeners": [{"name": "web", "address": "127.0.0.1:8080", "routes": "main"}],
        "routes": {"main": [{"name": "all", "backends": [{"cluster": "c", **(backend or {})}]}]},
        "clusters": {"c": {"endpoints": endpoints, **(cluster or {})}},
        **top,
    }
    return load_document(Document(msgspec.json.encode(data), "json"), zone=zone).warnings


def told(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in problems]


AWARE = {"zone_aware": {"min_cluster_size": 5}}
ZONE = "clusters.c.zone_aware"


@pytest.mark.parametrize(
    ("cluster", "top", "expected"),
    [
        (AWARE, {"zone": "a"}, []),
        (AWARE, {"zone": "c"}, []),
        ({}, {"zone": "x"}, []),
        ({"zone_aware": {"enabled": False}}, {}, []),
        ({**AWARE, "endpoints": []}, {"zone": "x"}, [("no-endpoints", "clusters.c")]),
        (AWARE, {}, [("no-zone", ZONE)]),
        (AWARE, {"zone": "x"}, [("unknown-zone", ZONE)]),
        ({**AWARE, "endpoints": [{"address": "1.1.1.1:1"}]}, {"zone": "x"}, [("unknown-zone", ZONE)]),
        ({"zone_aware": {}}, {"zone": "a"}, [("zone-size", ZONE)]),
        ({"zone_aware": {}, "endpoints": [{"address": "a.b:1", "zone": "a"}]}, {"zone": "a"}, []),
    ],
    ids=str,
)
def test_zones(cluster: dict[str, Any], top: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert told(warnings(cluster, **top)) == expected


def test_the_zone_of_the_command_line_comes_first() -> None:
    assert told(warnings(AWARE, zone="x")) == [("unknown-zone", ZONE)]
    assert told(warnings(AWARE, zone="b")) == []
    assert told(warnings(AWARE, zone="b", listeners=[]))[0][0] == "no-listeners"


def test_a_zone_that_no_endpoint_has_is_told_with_those_that_there_are() -> None:
    (problem,) = warnings(AWARE, zone="x")
    assert problem.message == "no endpoint is in 'x', the zone of the proxy"
    assert problem.hint == "There are a, b, c."


@pytest.mark.parametrize(
    ("subset", "expected"),
    [
        ({}, []),
        ({"version": "v1"}, []),
        ({"version": "v3"}, [("empty-subset", PLACE)]),
        ({"versoin": "v1"}, [("unknown-metadata", f"{PLACE}.versoin")]),
        ({"version": "v1", "tier": "x"}, [("unknown-metadata", f"{PLACE}.tier")]),
    ],
    ids=str,
)
def test_subsets(subset: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert told(warnings(backend={"subset": subset})) == expected


def test_what_becomes_of_a_request_for_an_empty_subset() -> None:
    backend = {"subset": {"version": "v3"}}
    (problem,) = warnings(backend=backend)
    assert problem.message == "no endpoint of 'c' has {version: v3}: every request gets a 503"
    (problem,) = warnings({"subset_fallback": "any"}, backend)
    assert problem.message == "no endpoint of 'c' has {version: v3}: any endpoint will serve"
    (problem,) = warnings(backend={"subset": {"verson": "v1"}})
    assert problem.hint == "Did you mean version?"


def test_a_listener_with_backends_is_looked_at_too() -> None:
    listener = {
        "name": "web",
        "address": "127.0.0.1:8080",
        "backends": [{"cluster": "c", "subset": {"version": "v3"}}],
    }
    found = warnings(listeners=[listener], routes={})
    assert told(found) == [("empty-subset", "listeners[0].backends[0].subset")]


@pytest.mark.parametrize(
    ("cluster", "path"),
    [
        ({"panic_threshold": 101}, "clusters.c.panic_threshold"),
        ({"panic_threshold": -1}, "clusters.c.panic_threshold"),
        ({"zone_aware": {"min_cluster_size": 0}}, "clusters.c.zone_aware.min_cluster_size"),
        ({"subset_fallback": "all"}, "clusters.c.subset_fallback"),
        ({"endpoints": [{"address": "a.b:1", "priority": -1}]}, "clusters.c.endpoints[0].priority"),
        ({"endpoints": [{"address": "a.b:1", "priority": 128}]}, "clusters.c.endpoints[0].priority"),
        ({"endpoints": [{"address": "a.b:1", "metadata": {"v": 1}}]}, "clusters.c.endpoints[0].metadata.v"),
    ],
    ids=str,
)
def test_impossible_values_are_errors(cluster: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        warnings(cluster)
    assert [problem.path for problem in caught.value.problems] == [path]
