"""How endpoints are cut into sets and groups, also those that names are resolved to."""

import os
from typing import Any

import pytest

from tulle._fast.policy.image_reader import Reader
from tulle.controlplane.compile import compile_config, compile_endpoints
from tulle.controlplane.model import Config, Listener
from tulle.controlplane.model_clusters import Cluster, Endpoint, ZoneAware
from tulle.controlplane.model_routes import Backend

Sets = list[list[tuple[int, bytes, list[int]]]]


def config(endpoints: list[Endpoint], subsets: list[dict[str, str]], **cluster: Any) -> Config:
    """One cluster, and a listener whose backends ask for these subsets of it."""
    backends = [Backend("c", subset=subset) for subset in subsets]
    return Config(
        listeners=[Listener("l", "127.0.0.1:0", backends=backends)],
        clusters={"c": Cluster(endpoints=endpoints, **cluster)},
    )


def read(descriptor: int) -> dict[str, Any]:
    try:
        found: dict[str, Any] = Reader(os.pread(descriptor, 1 << 20, 0)).endpoints()
        return found
    finally:
        os.close(descriptor)


def sets_of(made: Config, zone: str | None = None, resolved: dict[str, list[str]] | None = None) -> Sets:
    result, routes, endpoints, _ = compile_config(made, None, 1, resolved, zone)
    assert result.ok, result.errors
    os.close(routes)
    found: Sets = read(endpoints)["sets"][0]
    return found


def endpoints(*zones: str, priority: int = 0) -> list[Endpoint]:
    return [
        Endpoint(f"10.0.{priority}.{number}:80", zone=zone, priority=priority)
        for number, zone in enumerate(zones)
    ]


def test_a_plain_cluster_has_no_sets() -> None:
    assert sets_of(config(endpoints("a", "b"), [{}])) == []
    assert sets_of(config(endpoints("a", "b"), [{}], zone_aware=ZoneAware())) == []
    assert sets_of(config(endpoints("a", "b"), [{}], zone_aware=ZoneAware(enabled=False)), "a") == []


def test_the_own_zone_comes_first_and_each_priority_is_cut_by_itself() -> None:
    servers = [*endpoints("b", "a", "", "b"), *endpoints("a", priority=2), *endpoints("b", "b", priority=1)]
    made = config(servers, [{}], zone_aware=ZoneAware(min_cluster_size=2))
    assert sets_of(made, "a") == [
        [
            (0, b"a", [1]), (0, b"b", [0, 3]), (0, b"", [2]),
            (1, b"", [5, 6]),
            (2, b"", [4]),
        ]
    ]  # fmt: skip


@pytest.mark.parametrize(("size", "cut"), [(3, True), (4, False)])
def test_a_priority_that_is_too_small_is_not_cut(size: int, cut: bool) -> None:
    made = config(endpoints("a", "b", "b"), [{}], zone_aware=ZoneAware(min_cluster_size=size))
    groups = [(0, b"a", [0]), (0, b"b", [1, 2])] if cut else [(0, b"", [0, 1, 2])]
    assert sets_of(made, "a") == [groups]


def test_a_subset_is_there_once_whatever_order_it_is_written_in() -> None:
    servers = [
        Endpoint("10.0.0.1:80", metadata={"v": "1", "t": "x"}),
        Endpoint("10.0.0.2:80", metadata={"v": "1"}),
    ]
    asked = [{"v": "1", "t": "x"}, {}, {"t": "x", "v": "1"}, {"v": "1"}, {"v": "2"}]
    assert sets_of(config(servers, asked)) == [
        [(0, b"", [0, 1])],
        [(0, b"", [0])],
        [(0, b"", [0, 1])],
        [],
    ]


def test_addresses_of_a_name_are_where_the_name_is() -> None:
    """And stay so when it is resolved anew, without another compile."""
    servers = [
        Endpoint("10.0.0.1:80", zone="b", metadata={"v": "1"}),
        Endpoint("app.internal:80", zone="a", priority=1, metadata={"v": "2"}),
    ]
    made = config(servers, [{"v": "2"}], zone_aware=ZoneAware(min_cluster_size=1))
    assert sets_of(made, "a") == [[(0, b"", [0])], []]
    first = {"app.internal:80": ["10.0.0.2", "10.0.0.3"]}
    expected = [[(0, b"", [0]), (1, b"a", [1, 2])], [(1, b"a", [1, 2])]]
    assert sets_of(made, "a", first) == expected
    result, *descriptors, _ = compile_config(made, None, 1, first, "a")
    for descriptor in descriptors:
        os.close(descriptor)
    assert result.settings is not None
    assert result.settings.zone == "a"
    again = compile_endpoints(
        result.table, result.names, 1, {"app.internal:80": ["10.0.0.9"]}, result.settings.zone
    )
    segment = read(again.endpoints_fd)
    assert segment["sets"][0] == [[(0, b"", [0]), (1, b"a", [1])], [(1, b"a", [1])]]
    assert [found["zone_kind"] for found in segment["clusters"][0][1]] == [2, 1]
    assert segment["clusters"][0][1][1]["metadata"] == b'{"v":"2"}'
