"""What algorithms may be told, what is refused and what is odd."""

from typing import Any

import pytest

from tests.controlplane.test_validate import changed, problems_of

CLUSTER = ("clusters", "v1")


def codes(**options: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Errors and warnings of a cluster with these options: path below the cluster, and code."""
    errors, warnings = problems_of(changed(*(((*CLUSTER, key), value) for key, value in options.items())))
    place = "clusters.v1"
    return (
        [(error.path.removeprefix(place).lstrip("."), error.code) for error in errors],
        [(warning.path.removeprefix(place).lstrip("."), warning.code) for warning in warnings],
    )


@pytest.mark.parametrize(
    "options",
    [
        {"load_balancer": "peak_ewma", "peak_ewma": {"failure_penalty": "0s"}, "max_step_back": "0s"},
        {"load_balancer": "ring_hash", "hash_on": [{"source_address": True}], "bounded_load": 1.25},
        {"load_balancer": "maglev", "hash_on": [{"header": "x"}, {"query": "q"}, {"cookie": {"name": "c"}}]},
        {"session_affinity": {"cookie": {"name": "home"}}, "slow_start": {"window": "30s"}},
    ],
)
def test_balancing_that_is_sound(options: dict[str, Any]) -> None:
    assert codes(**options) == ([], [])


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"peak_ewma": {"decay": "0s"}, "load_balancer": "peak_ewma"}, ("peak_ewma.decay", "duration")),
        ({"max_step_back": "soon"}, ("max_step_back", "pattern")),
        ({"load_balancer": "maglev", "hash_on": [{}]}, ("hash_on[0]", "combination")),
        (
            {"load_balancer": "maglev", "hash_on": [{"header": "x", "query": "y"}]},
            ("hash_on[0]", "combination"),
        ),
        (
            {
                "load_balancer": "ring_hash",
                "hash_on": [{"header": "x"}],
                "ring_hash": {"minimum_ring_size": 10, "maximum_ring_size": 9},
            },
            ("ring_hash", "combination"),
        ),
        ({"slow_start": {"window": "0s"}}, ("slow_start.window", "duration")),
    ],
)
def test_balancing_that_cannot_be(options: dict[str, Any], found: tuple[str, str]) -> None:
    errors, _ = codes(**options)
    assert [path for path, _ in errors] == [found[0]]
    assert found[1] == "pattern" or errors == [found]


@pytest.mark.parametrize(
    "options",
    [
        {"bounded_load": 1.0},
        {"slow_start": {"window": "1s", "aggression": 0}},
        {"session_affinity": {"cookie": {"name": "a=b"}}},
        {"session_affinity": {"cookie": {"name": "a", "path": "/;Domain=x"}}},
        {"ring_hash": {"maximum_ring_size": 8_388_609}},
    ],
)
def test_balancing_out_of_range(options: dict[str, Any]) -> None:
    assert len(codes(**options)[0]) == 1


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"peak_ewma": {"decay": "1s"}}, ("peak_ewma", "unused-balancing")),
        ({"hash_on": [{"header": "x"}]}, ("hash_on", "unused-balancing")),
        ({"bounded_load": 2}, ("bounded_load", "unused-balancing")),
        ({"load_balancer": "maglev"}, ("", "no-hash")),
        (
            {
                "load_balancer": "maglev",
                "hash_on": [{"source_address": True}],
                "slow_start": {"window": "1s"},
            },
            ("slow_start", "unused-balancing"),
        ),
    ],
)
def test_balancing_that_is_odd(options: dict[str, Any], found: tuple[str, str]) -> None:
    assert codes(**options) == ([], [found])
