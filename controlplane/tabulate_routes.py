"""Routes of the model to rows of the routing table."""

import socket
from collections.abc import Iterable

from tulle.controlplane.address import SocketAddress, parse_address
from tulle.controlplane.model_hedging import Hedging
from tulle.controlplane.model_routes import (
    Backend,
    HeaderEdits,
    PathEdit,
    Retries,
    Route,
    Timeouts,
)
from tulle.controlplane.subsets import ClusterIndex
from tulle.controlplane.table import (
    BackendRow,
    EditRow,
    HedgeRow,
    PathEditRow,
    ResponseRow,
    RetryRow,
    RouteRow,
    TableRow,
    TargetRow,
)
from tulle.controlplane.tabulate_jwt import TokenIndex
from tulle.controlplane.tabulate_matches import match_rows, predicate_rows
from tulle.controlplane.tabulate_traffic import cors_row, fault_row, mirror_rows, rate_rows
from tulle.controlplane.units import nanoseconds, size_in_bytes
from tulle.controlplane.validate_retries import BY_HEADERS, BY_STATUS

_NO_EDITS = HeaderEdits()
DEFAULT_RESPONSE_TIMEOUT = "15s"


def destination_name(destination: str) -> str:
    """An address as the table of hosts has it, and as workers write it."""
    address = parse_address(destination)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return str(SocketAddress(socket.inet_ntop(family, socket.inet_pton(family, address.host)), address.port))


def table_row(
    name: str, routes: list[Route], cluster_index: ClusterIndex, tokens: TokenIndex, called: frozenset[str]
) -> TableRow:
    """`called` are clusters of services of gRPC, known as such without the routes."""
    return TableRow(
        name,
        tuple(
            _route(route, name, index, cluster_index, tokens, called) for index, route in enumerate(routes)
        ),
    )


def route_name(route: Route, table: str, position: int) -> str:
    """The name of a route, or what stands for it when it has none: `main[3]`."""
    return route.name or f"{table}[{position}]"


def _route(
    route: Route,
    table: str,
    position: int,
    cluster_index: ClusterIndex,
    tokens: TokenIndex,
    called: frozenset[str],
) -> RouteRow:
    request_timeout, late_timeout = _request_timeouts(route.timeouts)
    timeouts = route.timeouts
    return RouteRow(
        name=route_name(route, table, position),
        kind="redirect" if route.redirect else "response" if route.response else "forward",
        hostnames=(
            *["" if name == "*" else name.lower() for name in route.hostnames],
            *map(destination_name, route.destinations),
        ),
        matches=match_rows(route.matches),
        backends=_backends(route.backends, cluster_index),
        request_timeout=request_timeout,
        timeout_to_head=late_timeout < 0,
        try_timeout=nanoseconds(timeouts.per_try),
        idle_timeout=nanoseconds(timeouts.idle),
        retry=_retry(route.retries) if route.retries else None,
        hedge=_hedge(route.hedging) if route.hedging else None,
        target=_target(route),
        status=route.redirect.status if route.redirect else route.response.status if route.response else 0,
        response=ResponseRow(route.response.body, route.response.content_type) if route.response else None,
        request_edits=_edits(route.request_headers),
        response_edits=_edits(route.response_headers),
        upgrade=route.upgrade,
        connect=route.connect,
        rate_limits=rate_rows(route.rate_limits),
        late_timeout=max(0, late_timeout),
        max_body=size_in_bytes(route.max_request_body or 0),
        fault=fault_row(route.fault) if route.fault else None,
        cors=cors_row(route.cors) if route.cors else None,
        mirrors=mirror_rows(route.mirror, cluster_index),
        token=tokens.requirement(route.jwt),
        grpc=any(match.grpc is not None for match in route.matches) or _all_called(route.backends, called),
    )


def _all_called(backends: list[Backend], called: frozenset[str]) -> bool:
    """Whether a route leads to such clusters and no others."""
    return bool(backends) and all(backend.cluster in called for backend in backends)


def _request_timeouts(timeouts: Timeouts) -> tuple[int, int]:
    """Until the response begins, and how much longer until it ends; -1: for as long as it likes."""
    begins = nanoseconds(timeouts.first_byte or "0s")
    if timeouts.request is None:
        return begins or nanoseconds(DEFAULT_RESPONSE_TIMEOUT), -1
    ends = nanoseconds(timeouts.request)
    if begins == 0 or 0 < ends <= begins:
        return ends, 0
    return begins, ends - begins if ends else -1


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
        headers=predicate_rows(retries.headers) if BY_HEADERS in retries.on else (),
        longest_wait=nanoseconds(retries.max_retry_after),
    )


def _hedge(hedging: Hedging) -> HedgeRow:
    return HedgeRow(
        nanoseconds(hedging.delay or "0s"), hedging.quantile or 0.0, nanoseconds(hedging.min_delay)
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


def forwarding_table_row(
    listener: str, backends: list[Backend], cluster_index: ClusterIndex, called: frozenset[str]
) -> TableRow:
    """What a listener without routes has in their place: one route for everything."""
    route = RouteRow(
        name=listener,
        kind="forward",
        matches=match_rows([]),
        backends=_backends(backends, cluster_index),
        connect=True,
        grpc=_all_called(backends, called),
    )
    return TableRow(f"listener:{listener}", (route,))
