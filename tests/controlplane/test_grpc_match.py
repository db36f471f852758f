"""Matches of gRPC calls: which paths they come to, and what does not go together with them."""

import json
from typing import Any

import pytest

from tests.controlplane.test_validate import ROUTE, changed, problems_of
from tulle.controlplane.load import Document, load_document
from tulle.controlplane.log_format import text_items
from tulle.controlplane.table import LogItemRow, MatchRow, RetryRow
from tulle.controlplane.tabulate import tabulate


def with_route(**sections: Any) -> dict[str, Any]:
    return changed((ROUTE, {"backends": [{"cluster": "v1"}]} | sections))


def rows(*matches: dict[str, Any]) -> tuple[MatchRow, ...]:
    config = load_document(Document(json.dumps(with_route(matches=list(matches))).encode(), "json")).config
    return tabulate(config).tables[0].routes[0].matches


def test_what_calls_are_matched_by() -> None:
    assert rows(
        {"grpc": {"service": "shop.v1.Cart", "method": "Add"}},
        {"grpc": {"service": "shop.v1.Cart"}},
        {"grpc": {"method": "Add"}},
        {"path": {"exact": "/shop.v1.Cart/Add"}},
    ) == (
        MatchRow("exact", "/shop.v1.Cart/Add", service="shop.v1.Cart", rpc="Add"),
        MatchRow("prefix", "/shop.v1.Cart", service="shop.v1.Cart"),
        MatchRow("regex", "/[^/]+/Add", rpc="Add"),
        MatchRow("exact", "/shop.v1.Cart/Add"),
    )


@pytest.mark.parametrize(
    ("match", "path", "text"),
    [
        ({"grpc": {}}, "grpc", "needs a service, a method or both"),
        ({"grpc": {"service": "a.B"}, "path": {"exact": "/x"}}, "path", "has no path of its own"),
        ({"grpc": {"service": "a.B"}, "method": "GET"}, "method", "gRPC calls are POST, never GET"),
    ],
)
def test_what_does_not_go_together(match: dict[str, Any], path: str, text: str) -> None:
    (error,), _ = problems_of(with_route(matches=[match]))
    assert error.path == f"routes.main[0].matches[0].{path}" and text in error.message


@pytest.mark.parametrize("grpc", [{"service": "a/B"}, {"service": "a..B"}, {"method": "a.b"}, {"method": ""}])
def test_what_is_no_name(grpc: dict[str, Any]) -> None:
    (error,), _ = problems_of(with_route(matches=[{"grpc": grpc}]))
    assert error.path.startswith("routes.main[0].matches[0].grpc")


def test_a_call_that_an_earlier_path_takes_is_told() -> None:
    matches = [{"path": {"exact": "/a.B/C"}}, {"grpc": {"service": "a.B", "method": "C"}}]
    _, (warning,) = problems_of(with_route(matches=matches))
    assert (warning.code, warning.path) == ("unreachable", "routes.main[0].matches[1]")


def test_statuses_of_grpc_are_reasons_for_a_retry() -> None:
    names = ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"]
    config = load_document(Document(json.dumps(with_route(retries={"on": names})).encode(), "json")).config
    retry = tabulate(config).tables[0].routes[0].retry
    assert isinstance(retry, RetryRow) and retry.on == tuple(names)


@pytest.mark.parametrize(
    ("text", "operator"),
    [
        ("%GRPC_STATUS%", "GRPC_STATUS"),
        ("%GRPC_STATUS(CAMEL_STRING)%", "GRPC_STATUS"),
        ("%GRPC_STATUS(SNAKE_STRING)%", "GRPC_STATUS_SNAKE"),
        ("%GRPC_STATUS(NUMBER)%", "GRPC_STATUS_NUMBER"),
        ("%GRPC_STATUS_NUMBER%", "GRPC_STATUS_NUMBER"),
    ],
)
def test_the_status_in_a_text_line(text: str, operator: str) -> None:
    assert text_items(text) == [LogItemRow(operator)]


def test_another_form_of_the_status_is_refused() -> None:
    with pytest.raises(ValueError, match="one of CAMEL_STRING, SNAKE_STRING, NUMBER"):
        text_items("%GRPC_STATUS(SHOUTED)%")
