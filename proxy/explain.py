"""`tulle explain`: what becomes of a request, and why the other routes do not get it.

Every answer comes from the matcher that the workers use, on images that the compiler makes. Why a route is
not taken is found by asking again, of an image that has only this route: as it is, for any host, and for any
path.
"""

import mmap
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO
from urllib.parse import quote, urlsplit

import msgspec

from tulle._fast.policy.explain import Explainer
from tulle.controlplane.compile import compile_config, routes_image
from tulle.controlplane.table import (
    EditRow,
    ListenerRow,
    MatchRow,
    Pairs,
    PredicateRow,
    RouteRow,
    RoutingTable,
    TableRow,
    decode_table,
)
from tulle.controlplane.units import duration_text
from tulle.proxy.explain_clusters import guard_lines, try_lines
from tulle.proxy.explain_policies import Asker, Ruling, ruling
from tulle.proxy.explain_traffic import traffic_lines
from tulle.proxy.failure import Failure

MOST_SHOWN = 20  # other routes
MOST_ASKED = 5000  # other routes that are looked into
NOBODY = Asker()
DENIED = "answer    403: access denied (RBAC)"
_VERDICTS = {
    "method": "the method differs",
    "header": "a header differs",
    "query": "a query parameter differs",
}


class Request(NamedTuple):
    """A request as a client would send it; `path` is as it came, `headers` without Host."""

    method: bytes
    host: bytes
    path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]


class Found(NamedTuple):
    """What the matcher says; the path is None when it is refused, the route is None when there is none."""

    path: bytes | None
    route: int | None
    match: int | None
    covered: int
    candidates: list[tuple[int, int, str]]


def run_explain(
    config: Path,
    method: str,
    url: str,
    headers: Sequence[str] = (),
    listener: str | None = None,
    out: TextIO | None = None,
    asker: Asker = NOBODY,
) -> int:
    """Print what becomes of a request; the exit status is 0 when a route takes it and policies allow it.

    `url` is a whole one, or a path with `headers` (`name: value`) that give the host. `Failure` when the
    config cannot be used, or there is no such listener.
    """
    request = parse_request(method, url, headers)
    table, image = _compiled(config)
    row = _listener(table, listener)
    found = Found(*Explainer(image).match(row.name, *request))
    ruled = Ruling(True, [])
    if found.path is not None:
        host = request.host.removesuffix(b".")
        place = table.listeners.index(row)
        asked = (request.method, host, found.path, list(request.headers))
        ruled = ruling(image, table, place, found.route, asked, asker)
    lines = explanation(table, row, request, found, ruled)
    print("\n".join(lines), file=sys.stdout if out is None else out)
    return 0 if found.route is not None and ruled.allowed else 1


def parse_request(method: str, url: str, headers: Sequence[str]) -> Request:
    """A request from what was typed; `Failure` when a header has no colon or the URL no path."""
    fields: list[tuple[bytes, bytes]] = []
    host = ""
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise Failure(f"{header!r} is not a header; write 'name: value'")
        if name.strip().lower() == "host":
            host = value.strip()
        fields.append((name.strip().encode(), value.strip().encode()))
    parts = urlsplit(url if "//" in url[:8] or url.startswith("/") else f"//{url}")
    host = host or parts.netloc.rpartition("@")[2]
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._[]|\\^`{}\"<>")
    if not host.endswith("]"):
        host = host.rpartition(":")[0] or host
    return Request(method.encode(), host.encode(), path.encode(), parts.query.encode(), tuple(fields))


def _compiled(config: Path) -> tuple[RoutingTable, bytes | mmap.mmap]:
    result, routes, endpoints, tls = compile_config(config, None, 1)
    if not result.ok:
        raise Failure(*[problem.text(str(config)) for problem in result.errors])
    for descriptor in (endpoints, tls):
        if descriptor >= 0:
            os.close(descriptor)
    try:
        return decode_table(result.table), mmap.mmap(routes, 0, prot=mmap.PROT_READ)
    finally:
        os.close(routes)


def _listener(table: RoutingTable, name: str | None) -> ListenerRow:
    for row in table.listeners:
        if name is None or row.name == name:
            return row
    known = ", ".join(row.name for row in table.listeners) or "none"
    raise Failure(f"there is no listener {name!r}; there are: {known}" if name else "there is no listener")


# -- what becomes of it ---------------------------------------------------------------------------------


def explanation(
    table: RoutingTable, listener: ListenerRow, request: Request, found: Found, ruled: Ruling
) -> list[str]:
    """The lines to print."""
    method, host, path = (text.decode(errors="replace") for text in request[:3])
    lines = [f"request   {method} {path} for {host or 'no host'}, on the listener {listener.name}"]
    if found.path is None:
        return [
            *lines,
            "answer    400: the path is malformed, or has a slash or an escape that the listener refuses",
        ]
    if found.path != request.path:
        lines.append(f"path      {found.path.decode(errors='replace')}, the normal form")
    before = sum(len(group.routes) for group in table.tables[: listener.table])
    group = table.tables[listener.table]
    if found.route is None or found.match is None:
        lines += ruled.lines
        lines.append("answer    404: no route takes it (NR)" if ruled.allowed else DENIED)
        return lines + _others(table, listener, request, found, before)
    route = group.routes[found.route - before]
    place = f"routes.{group.name}[{found.route - before}]"
    lines.append(f"route     {route.name} ({place})")
    lines.append(f"because   {_asks(route.matches[found.match])}; {_hosts(route)}")
    lines += ruled.lines
    if ruled.allowed:
        lines += traffic_lines(table, listener, route)
        lines += _outcome(table, route, found)
    else:
        lines.append(DENIED)
    return lines + _others(table, listener, request, found, before)


def _outcome(table: RoutingTable, route: RouteRow, found: Found) -> Iterator[str]:
    target = route.target
    if route.kind == "response":
        yield f"answer    {route.status}, by the proxy itself"
    elif route.kind == "redirect" and target is not None:
        port = f":{target.port}" if target.port else ""
        place = f"{target.scheme or '<scheme>'}://{target.hostname or '<host>'}{port}"
        yield f"answer    {route.status}, a redirect to {place}{_new_path(route, found)}"
    else:
        yield from _forwarded(table, route, found)
    for label, edits in (("request", route.request_edits), ("response", route.response_edits)):
        if edits:
            yield f"headers   of the {label}: {', '.join(_edit(edit) for edit in edits)}"


def _forwarded(table: RoutingTable, route: RouteRow, found: Found) -> Iterator[str]:
    total = sum(backend.weight for backend in route.backends)
    for backend in route.backends:
        cluster = table.clusters[backend.cluster]
        subset = cluster.subsets[backend.subset - 1] if backend.subset else ()
        endpoints = [row for row in cluster.endpoints if set(subset).issubset(row.metadata)]
        servers = ", ".join(row.address for row in endpoints[:4]) or "no endpoints"
        more = f" and {len(endpoints) - 4} more" if len(endpoints) > 4 else ""
        share = f"{100 * backend.weight / total:.3g} %" if len(route.backends) > 1 else "all"
        name = f"{cluster.name} {subset_text(subset)}" if subset else cluster.name
        yield f"cluster   {name}: {share}, {cluster.balancer} over {servers}{more}"
        if subset:
            instead = "any endpoint serves" if cluster.subset_fallback else "a request gets a 503"
            yield f"          when none of these may be used, {instead}"
    if route.target is not None:
        host = f" for {route.target.hostname}" if route.target.hostname else ""
        yield f"rewrite   {_new_path(route, found)}{host}"
    limits = (
        ("first byte", route.request_timeout if route.late_timeout else 0),
        ("request", route.request_timeout + route.late_timeout),
        ("per try", route.try_timeout),
        ("idle", route.idle_timeout),
    )
    yield "timeouts  " + ", ".join(f"{name} {duration_text(value)}" for name, value in limits if value)
    yield from try_lines(route)
    for index in dict.fromkeys(backend.cluster for backend in route.backends):
        yield from guard_lines(table.clusters[index])


def subset_text(subset: Pairs) -> str:
    """A subset as one may write it."""
    return "{" + ", ".join(f"{key}: {value}" for key, value in subset) + "}"


def _new_path(route: RouteRow, found: Found) -> str:
    path = (found.path or b"/").decode(errors="replace")
    edit = route.target.path if route.target is not None else None
    if edit is None:
        return path
    if edit.kind == "full":
        return edit.value
    return edit.value + path[found.covered :] or "/"


def _edit(edit: EditRow) -> str:
    return f"{edit.kind} {edit.name}" + ("" if edit.kind == "remove" else f": {edit.value}")


def _asks(match: MatchRow) -> str:
    """What a match asks for, in words."""
    call = "/".join(part for part in (match.service, match.rpc) if part)
    parts = [f"gRPC {call}" if call else f"{match.kind} {match.path or '/'}"]
    if match.method:
        parts.append(f"method {match.method}")
    parts += [f"header {_predicate(row)}" for row in match.headers]
    parts += [f"query {_predicate(row)}" for row in match.queries]
    return ", ".join(parts)


def _predicate(row: PredicateRow) -> str:
    if row.kind == "present":
        return f"{row.name} present"
    return f"{row.name} {'=' if row.kind == 'exact' else '~'} {row.value!r}"


def _hosts(route: RouteRow) -> str:
    names = [name or "any host" for name in route.hostnames] or ["any host"]
    return f"for {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")


# -- why not the others ---------------------------------------------------------------------------------


def _others(
    table: RoutingTable, listener: ListenerRow, request: Request, found: Found, before: int
) -> list[str]:
    group = table.tables[listener.table]
    ranked: list[tuple[int, str]] = []
    for index, route in enumerate(group.routes[:MOST_ASKED]):
        if index + before == found.route:
            continue
        rank, match, reason = _why_not(listener, route, request)
        ranked.append((rank, f"          {route.name} ({_asks(route.matches[match])}): {reason}"))
    ranked.sort(key=lambda pair: pair[0])
    unseen = len(group.routes) - len(ranked[:MOST_SHOWN]) - (found.route is not None)
    lines = [line for _, line in ranked[:MOST_SHOWN]]
    if lines:
        lines.insert(0, "not by")
    return [*lines, f"          and {unseen:,} more"] if unseen > 0 else lines


def _why_not(listener: ListenerRow, route: RouteRow, request: Request) -> tuple[int, int, str]:
    """How near a route came (0 is nearest), with which of its matches, and what it lacks."""
    alone = _ask(listener, route, request)
    if alone.route is not None:
        return 0, alone.match or 0, "would take it, but comes later in the order of precedence"
    if alone.candidates:
        _, match, verdict = alone.candidates[0]
        return 1, match, _VERDICTS[verdict]
    any_host = _ask(listener, msgspec.structs.replace(route, hostnames=()), request)
    if any_host.route is not None or any_host.candidates:
        return 2, 0, f"only {_hosts(route)}"
    return 3, 0, "the path differs"


def _ask(listener: ListenerRow, route: RouteRow, request: Request) -> Found:
    """What the matcher says of a table that has one route."""
    alone = RoutingTable(
        listeners=(msgspec.structs.replace(listener, table=0),),
        tables=(TableRow("alone", (msgspec.structs.replace(route, backends=()),)),),
        clusters=(),
        log_format="off",
        log_items=(),
    )
    return Found(*Explainer(routes_image(alone)).match(listener.name, *request))
