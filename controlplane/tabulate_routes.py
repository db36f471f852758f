"""Routes of the model to rows of the routing table."""

from collections.abc import Iterable

from tulle._fast.policy.path import path_in_normal_form
from tulle.controlplane.model import Listener
from tulle.controlplane.model_routes import (
    Backend,
    HeaderEdits,
    Match,
    PathEdit,
    PathMatch,
    Retries,
    Route,
    ValueMatch,
)
from tulle.controlplane.subsets import ClusterIndex
from tulle.controlplane.table import (
    BackendRow,
    EditRow,
    MatchRow,
    PathEditRow,
    PredicateRow,
    ResponseRow,
    RetryRow,
    RouteRow,
    TableRow,
    TargetRow,
)
from tulle.controlplane.tabulate_traffic import rate_rows
from tulle.controlplane.units import nanoseconds, size_in_bytes
from tulle.controlplane.validate_retries import BY_HEADERS, BY_STATUS

_ANY_MATCH = (MatchRow(),)
_NO_EDITS = HeaderEdits()
_ANY_PATH = PathMatch(prefix="/")
DEFAULT_RESPONSE_TIMEOUT = "15s"


def table_row(name: str, routes: list[Route], cluster_index: ClusterIndex) -> TableRow:
    return TableRow(
        name, tuple(_route(route, name, index, cluster_index) for index, route in enumerate(routes))
    )


def route_name(route: Route, table: str, position: int) -> str:
    """The name of a route, or what stands for it when it has none: `main[3]`."""
    return route.name or f"{table}[{position}]"


def _route(route: Route, table: str, position: int, cluster_index: ClusterIndex) -> RouteRow:
    timeouts = route.timeouts
    return RouteRow(
        name=route_name(route, table, position),
        kind="redirect" if route.redirect else "response" if route.response else "forward",
        hostnames=tuple(["" if name == "*" else name.lower() for name in route.hostnames]),
        matches=tuple([_match(match) for match in route.matches]) if route.matches else _ANY_MATCH,
        backends=_backends(route.backends, cluster_index),
        request_timeout=nanoseconds(timeouts.request or DEFAULT_RESPONSE_TIMEOUT),
        timeout_to_head=timeouts.request is None,
        try_timeout=nanoseconds(timeouts.per_try),
        idle_timeout=nanoseconds(timeouts.idle),
        retry=_retry(route.retries) if route.retries else None,
        target=_target(route),
        status=route.redirect.status if route.redirect else route.response.status if route.response else 0,
        response=ResponseRow(route.response.body, route.response.content_type) if route.response else None,
        request_edits=_edits(route.request_headers),
        response_edits=_edits(route.response_headers),
        upgrade=route.upgrade,
        connect=route.connect,
        rate_limits=rate_rows(route.rate_limits),
    )


def _backends(backends: list[Backend], cluster_index: ClusterIndex) -> tuple[BackendRow, ...]:
    return tuple(
        [
            BackendRow(
                cluster_index[backend.cluster],
                backend.weight,
                cluster_index.subset(backend.cluster, backend.subset),
            )
            for backend in backends
            if backend.weight
        ]
    )


def _match(match: Match) -> MatchRow:
    kind, path = _path(match.path) if match.path is not _ANY_PATH else ("prefix", "")
    return MatchRow(
        kind,  # type: ignore[arg-type]
        path,
        match.method or "",
        _predicates(match.headers, lower=True) if match.headers else (),
        _predicates(match.query, lower=False) if match.query else (),
    )


def _path(path: PathMatch) -> tuple[str, str]:
    if path.exact is not None:
        return "exact", path_in_normal_form(path.exact)
    if path.regex is not None:
        return "regex", path.regex
    return "prefix", path_in_normal_form(path.prefix or "/").rstrip("/")


def _predicates(wanted: dict[str, ValueMatch], lower: bool) -> tuple[PredicateRow, ...]:
    return tuple(_predicate(name.lower() if lower else name, value) for name, value in wanted.items())


def _predicate(name: str, value: ValueMatch) -> PredicateRow:
    if value.exact is not None:
        return PredicateRow(name, "exact", value.exact)
    if value.regex is not None:
        return PredicateRow(name, "regex", value.regex)
    return PredicateRow(name, "present")


def _retry(retries: Retries) -> RetryRow:
    statuses = {int(reason): None for reason in retries.on if str(reason).isdigit()}
    if BY_STATUS in retries.on:
        statuses |= dict.fromkeys(retries.statuses)
    return RetryRow(
        attempts=retries.attempts,
        on=tuple(str(reason) for reason in retries.on if not str(reason).isdigit()),
        statuses=tuple(statuses),
        base=nanoseconds(retries.backoff.base),
        longest=nanoseconds(retries.backoff.max),
        unsafe_methods=retries.unsafe_methods,
        replay_bytes=size_in_bytes(retries.max_replay_body),
        headers=_predicates(retries.headers, lower=True) if BY_HEADERS in retries.on else (),
        longest_wait=nanoseconds(retries.max_retry_after),
    )


def _target(route: Route) -> TargetRow | None:
    if route.redirect:
        redirect = route.redirect
        return TargetRow(
            redirect.scheme or "", redirect.hostname or "", redirect.port or 0, _path_edit(redirect.path)
        )
    if route.rewrite:
        return TargetRow("", route.rewrite.hostname or "", 0, _path_edit(route.rewrite.path))
    return None


def _path_edit(edit: PathEdit | None) -> PathEditRow | None:
    if edit is None:
        return None
    if edit.replace_full is not None:
        return PathEditRow("full", edit.replace_full)
    return PathEditRow("prefix", (edit.replace_prefix or "").rstrip("/"))


def _edits(edits: HeaderEdits) -> tuple[EditRow, ...]:
    if edits is _NO_EDITS or edits == _NO_EDITS:
        return ()
    return (
        *[EditRow("remove", name) for name in edits.remove],
        *_values("set", edits.set.items()),
        *_values("add", edits.add.items()),
    )


def _values(kind: str, items: Iterable[tuple[str, str]]) -> list[EditRow]:
    return [EditRow(kind, name, value) for name, value in items]  # type: ignore[arg-type]


def forwarding_table_row(listener: Listener, cluster_index: ClusterIndex) -> TableRow:
    """What a listener without routes has in their place: one route for everything."""
    route = RouteRow(
        name=listener.name,
        kind="forward",
        matches=_ANY_MATCH,
        backends=_backends(listener.backends, cluster_index),
        connect=True,
    )
    return TableRow(f"listener:{listener.name}", (route,))
