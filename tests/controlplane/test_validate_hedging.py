"""When a request may be sent a second time: what is refused and what is odd."""

from typing import Any

import pytest

from tests.controlplane.test_validate import ROUTE, changed, problems_of


def codes(hedging: dict[str, Any], **timeouts: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Errors and warnings of a route: path below the route, and code."""
    errors, warnings = problems_of(changed(((*ROUTE, "hedging"), hedging), ((*ROUTE, "timeouts"), timeouts)))
    return (
        [(error.path.removeprefix("routes.main[0]."), error.code) for error in errors],
        [(warning.path.removeprefix("routes.main[0]."), warning.code) for warning in warnings],
    )


@pytest.mark.parametrize(
    "hedging", [{"delay": "50ms"}, {"quantile": 0.95}, {"quantile": 0.5, "min_delay": "10ms"}]
)
def test_hedging_that_is_sound(hedging: dict[str, Any]) -> None:
    assert codes(hedging) == codes(hedging, per_try="1s", request="5s") == ([], [])


@pytest.mark.parametrize(
    ("hedging", "path"),
    [
        ({}, "hedging"),
        ({"delay": "50ms", "quantile": 0.95}, "hedging"),
        ({"delay": "0s"}, "hedging.delay"),
        ({"delay": "soon"}, "hedging.delay"),
        ({"quantile": 0}, "hedging.quantile"),
        ({"quantile": 1}, "hedging.quantile"),
        ({"quantile": 95}, "hedging.quantile"),
        ({"quantile": 0.9, "min_delay": "0s"}, "hedging.min_delay"),
        ({"quantile": 0.9, "max_attempts": 3}, "hedging.max_attempts"),
    ],
)
def test_hedging_that_cannot_be(hedging: dict[str, Any], path: str) -> None:
    errors, _ = codes(hedging)
    assert [place for place, _ in errors] == [path]


@pytest.mark.parametrize(
    ("hedging", "timeouts", "found"),
    [
        ({"delay": "50ms", "min_delay": "2ms"}, {}, ("hedging.min_delay", "hedging-unused")),
        ({"delay": "1s"}, {"per_try": "1s"}, ("hedging.delay", "never")),
        ({"delay": "20s"}, {"request": "10s"}, ("hedging.delay", "never")),
        ({"quantile": 0.9, "min_delay": "2s"}, {"first_byte": "1s"}, ("hedging.min_delay", "never")),
    ],
)
def test_hedging_that_is_odd(
    hedging: dict[str, Any], timeouts: dict[str, str], found: tuple[str, str]
) -> None:
    assert codes(hedging, **timeouts) == ([], [found])


def test_hedging_of_what_is_not_forwarded() -> None:
    answer = {"name": "fixed", "response": {"status": 204}, "hedging": {"delay": "50ms"}}
    errors, _ = problems_of(changed((ROUTE, answer)))
    assert [error.path for error in errors] == ["routes.main[0].hedging"]
