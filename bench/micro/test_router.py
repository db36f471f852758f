"""What a route match costs with 10 and with 100,000 routes, 100,000 lookups a round.

Run with `./dev test bench/micro`; a round in milliseconds times ten is nanoseconds a lookup.
"""

import random
from functools import cache

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tulle._fast.policy.explain import Explainer
from tulle._fast.policy.image_writer import write_routes
from tulle.controlplane.model import Config, Listener
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.model_matches import Match, PathMatch, ValueMatch
from tulle.controlplane.model_routes import Backend, Route
from tulle.controlplane.regex import compile_pattern
from tulle.controlplane.tabulate import tabulate

LOOKUPS = 100_000
ROUTES = [10, 1_000, 100_000]
HEADERS = [(b"user-agent", b"bench"), (b"accept", b"*/*"), (b"x-canary", b"0")]


@cache
def matcher(count: int) -> Explainer:
    """Ten routes a host, told apart by a prefix; every fifth asks for a header too."""
    routes = [
        Route(
            name=f"route-{number}",
            hostnames=[f"service-{number // 10}.example.com"],
            matches=[
                Match(
                    path=PathMatch(prefix=f"/api/v1/resource-{number % 10}"),
                    headers={"x-canary": ValueMatch(exact="0")} if number % 5 == 0 else {},
                )
            ],
            backends=[Backend("cluster")],
        )
        for number in range(count)
    ]
    config = Config(
        listeners=[Listener("web", "127.0.0.1:1", routes="main")],
        routes={"main": routes},
        clusters={"cluster": Cluster()},
    )
    table = tabulate(config)
    return Explainer(write_routes(table, [1], list(range(1, count + 1)), [(0, 1)], 1, compile_pattern))


def requests_to(numbers: list[int]) -> list[tuple[bytes, bytes, bytes, bytes, list[tuple[bytes, bytes]]]]:
    return [
        (
            b"GET",
            f"service-{number // 10}.example.com".encode(),
            f"/api/v1/resource-{number % 10}/items/42".encode(),
            b"page=2",
            HEADERS,
        )
        for number in numbers
    ]


@pytest.mark.parametrize("count", ROUTES)
def test_one_route_again_and_again(benchmark: BenchmarkFixture, count: int) -> None:
    """The route is in the cache: the work alone."""
    requests = requests_to([count // 2])
    assert benchmark(matcher(count).repeat, "web", requests, LOOKUPS) == LOOKUPS


@pytest.mark.parametrize("count", ROUTES)
def test_a_few_routes_of_many(benchmark: BenchmarkFixture, count: int) -> None:
    """Twenty routes far apart, as a load on a few services asks for them."""
    requests = requests_to(random.Random(1).choices(range(count), k=20))
    assert benchmark(matcher(count).repeat, "web", requests, LOOKUPS // 20) == LOOKUPS


@pytest.mark.parametrize("count", ROUTES)
def test_no_route(benchmark: BenchmarkFixture, count: int) -> None:
    requests = [(b"GET", b"nobody.example.com", b"/api/v1/resource-1", b"", HEADERS)]
    assert benchmark(matcher(count).repeat, "web", requests, LOOKUPS) == 0
