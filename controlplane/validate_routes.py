"""The checks of routes. They are to be quick: there may be a hundred thousand, nearly all of them right."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tulle._fast.policy.path import normalise_path
from tulle.controlplane.findings import Report
from tulle.controlplane.grpc_match import check_grpc, path_of
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.model_matches import Match, PathMatch, ValueMatch
from tulle.controlplane.model_routes import (
    Backend,
    HeaderEdits,
    PathEdit,
    Redirect,
    Route,
    Timeouts,
)
from tulle.controlplane.problems import Path
from tulle.controlplane.units import nanoseconds
from tulle.controlplane.validate_hedging import check_hedging
from tulle.controlplane.validate_retries import check_retries
from tulle.controlplane.validate_traffic import check_cors, check_fault, check_mirrors, check_rates
from tulle.controlplane.validate_values import FRAMING_FIELDS, check_size

MOST_SEGMENTS = 64  # of a prefix: MAX_PREFIX_SEGMENTS of the table image
MOST_EDITS = 256  # fields that a route sets and adds: EXTRAS_MAX of a worker, less what it adds itself
MOST_EDIT_BYTES = 64 << 10

_HOSTNAME = re.compile(r"(?:\*\.)?[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*|\*|\[[0-9A-Fa-f:.]+\]")
_NO_RETRIES_NEEDED = ("timeouts", "retries", "hedging", "rewrite", "mirror")
_DEFAULTS = Route()


def check_table(
    routes: Sequence[Route], path: Path, clusters: Mapping[str, Cluster], report: Report
) -> set[str]:
    """Check a routing table; the clusters that it leads to."""
    names: dict[str, int] = {}
    used: set[str] = set()
    seen: dict[Any, tuple[int, int]] = {}
    for index, route in enumerate(routes):
        inner = (*path, index)
        if route.name is not None and names.setdefault(route.name, index) != index:
            first = names[route.name]
            report.error("duplicate", (*inner, "name"), f"{path[-1]}[{first}] is called {route.name!r} too")
        _check_route(route, inner, clusters, report)
        _check_reachable(route, inner, index, seen, report)
        used.update(backend.cluster for backend in route.backends)
        used.update(mirror.cluster for mirror in route.mirror)
    return used


def check_backends(
    backends: Sequence[Backend], path: Path, clusters: Mapping[str, Cluster], report: Report
) -> None:
    total = 0
    for index, backend in enumerate(backends):
        total += backend.weight
        if backend.cluster not in clusters:
            report.unknown((*path, index, "cluster"), "is no cluster", backend.cluster, "clusters", clusters)
    if backends and total == 0:
        report.error("weights", path, "all weights are 0, so no backend would ever be chosen")
    if total >= 1 << 32:
        report.error("weights", path, "the weights add up to more than 4,294,967,295")


def _check_route(route: Route, path: Path, clusters: Mapping[str, Cluster], report: Report) -> None:
    actions = (bool(route.backends), route.redirect is not None, route.response is not None)
    if sum(actions) != 1:
        message = "has more than one of" if sum(actions) else "needs one of"
        report.error("combination", path, f"{message} backends, redirect and response")
    check_backends(route.backends, (*path, "backends"), clusters, report)
    for index, hostname in enumerate(route.hostnames):
        if not _HOSTNAME.fullmatch(hostname):
            report.error("hostname", (*path, "hostnames", index), *_wrong_hostname(hostname))
    for index, match in enumerate(route.matches):
        _check_match(match, (*path, "matches", index), report)
    if route.timeouts is not _DEFAULTS.timeouts:
        _check_timeouts(route.timeouts, (*path, "timeouts"), report)
    if route.retries is not None:
        check_retries(route.retries, (*path, "retries"), report, _check_value)
    if route.hedging is not None:
        check_hedging(route.hedging, route.timeouts, (*path, "hedging"), report)
    for key, edits in (
        ("request_headers", route.request_headers),
        ("response_headers", route.response_headers),
    ):
        if edits.remove or edits.set or edits.add:
            _check_edits(edits, (*path, key), report)
    if route.rewrite is not None:
        _check_target_hostname(route.rewrite.hostname, (*path, "rewrite", "hostname"), report)
        _check_path_edit(route.rewrite.path, route, (*path, "rewrite", "path"), report)
    if route.redirect is not None:
        _check_redirect(route.redirect, route, (*path, "redirect"), report)
    if not route.backends:
        _check_answer(route, path, report)
    if route.rate_limits:
        check_rates(route.rate_limits, (*path, "rate_limits"), report)
    if route.fault is not None:
        check_fault(route.fault, (*path, "fault"), report, _check_value)
    check_mirrors(route.mirror, (*path, "mirror"), clusters, report)
    if route.cors is not None:
        check_cors(route.cors, (*path, "cors"), report)
        if route.matches and all(match.method not in (None, "OPTIONS") for match in route.matches):
            report.warning(
                "cors-method", (*path, "cors"), "no preflight comes here: that is an OPTIONS",
                "Match without a method, or add a match with OPTIONS.",
            )  # fmt: skip
    if route.max_request_body is not None:
        check_size(route.max_request_body, (*path, "max_request_body"), 1, 1 << 50, report)


def _wrong_hostname(hostname: str) -> tuple[str, str]:
    message = f"{hostname!r} is not a host name"
    if re.fullmatch(r".+:[0-9]+", hostname):
        return message, "Leave out the port: routes are chosen without it."
    if "*" in hostname:
        return message, 'A wildcard is the whole first label, as in "*.example.com".'
    if not hostname.isascii():
        return message, "Write an international name in its ASCII form (xn--...)."
    return message, ""


def _check_match(match: Match, path: Path, report: Report) -> None:
    _check_path(match.path, (*path, "path"), report)
    if match.grpc is not None:
        check_grpc(match, path, report)
    if match.method is not None and match.method != match.method.upper() and match.method.isalpha():
        report.warning(
            "method-case", (*path, "method"), f"methods are compared with case, {match.method!r} is unusual",
            f"Did you mean {match.method.upper()}?",
        )  # fmt: skip
    for key, wanted in (("headers", match.headers), ("query", match.query)):
        for name, value in wanted.items():
            _check_value(value, (*path, key, name), report)
    if len({name.lower() for name in match.headers}) != len(match.headers):
        report.error("duplicate", (*path, "headers"), "a header is named twice; case means nothing in names")


def _check_value(value: ValueMatch, path: Path, report: Report) -> None:
    if (value.exact is not None) + (value.regex is not None) + (value.present is not None) != 1:
        report.error("combination", path, "needs exactly one of exact, regex and present")
    if value.regex is not None:
        _check_regex(value.regex, (*path, "regex"), report)


def _check_regex(pattern: str, path: Path, report: Report) -> None:
    from tulle.controlplane.regex import PatternError, compile_pattern

    try:
        compile_pattern(pattern)
    except PatternError as error:
        report.error("regex", path, f"{pattern[:80]!r} cannot be used: {error}")


def _check_path(match: PathMatch, path: Path, report: Report) -> None:
    exact, prefix, regex = match.exact, match.prefix, match.regex
    if (exact is not None) + (prefix is not None) + (regex is not None) != 1:
        report.error("combination", path, "needs exactly one of exact, prefix and regex")
        return
    if regex is not None:
        _check_regex(regex, (*path, "regex"), report)
        return
    key, text = ("exact", exact) if exact is not None else ("prefix", prefix)
    if not text or text[0] != "/":
        report.error(
            "path", (*path, key), f"{text!r} must begin with /", f"Did you mean /{text}?" if text else ""
        )
    elif "%" in text and normalise_path(text.encode(), 0) is None:
        report.error(
            "path", (*path, key), f"{text!r} has a malformed escape", "A per cent sign itself is %25."
        )
    elif key == "prefix" and text.count("/") > MOST_SEGMENTS:
        report.error("path", (*path, key), f"has {text.count('/')} segments, more than {MOST_SEGMENTS}")


def _check_timeouts(timeouts: Timeouts, path: Path, report: Report) -> None:
    values = {}
    for key in ("request", "first_byte", "per_try", "idle"):
        try:
            values[key] = nanoseconds(getattr(timeouts, key) or "0s")
        except ValueError as error:
            report.error("duration", (*path, key), str(error))
            return
    for key, within in (("per_try", "request"), ("per_try", "first_byte"), ("first_byte", "request")):
        if values[key] > values[within] > 0:
            report.warning(
                "timeout-order", (*path, key),
                f"{getattr(timeouts, key)} is never reached: {within} is {getattr(timeouts, within)}",
            )  # fmt: skip


def _check_edits(edits: HeaderEdits, path: Path, report: Report) -> None:
    count = len(edits.set) + len(edits.add)
    if count > MOST_EDITS:
        report.error("size", path, f"sets and adds {count:,} fields, more than {MOST_EDITS}")
    size = sum(len(name) + len(value.encode()) for name, value in [*edits.set.items(), *edits.add.items()])
    if size > MOST_EDIT_BYTES:
        report.error("size", path, f"sets and adds {size:,} bytes, more than {MOST_EDIT_BYTES:,}")
    for key in ("remove", "set", "add"):
        for index, name in enumerate(getattr(edits, key)):
            if name.lower() in FRAMING_FIELDS:
                report.error(
                    "header", (*path, key, index if key == "remove" else name),
                    f"{name} frames the message or speaks for one connection; it cannot be changed",
                    "To change the host, use rewrite: {hostname: ...}." if name.lower() == "host" else "",
                )  # fmt: skip


def _check_target_hostname(hostname: str | None, path: Path, report: Report) -> None:
    if hostname is not None and ("*" in hostname or not _HOSTNAME.fullmatch(hostname)):
        report.error("hostname", path, f"{hostname!r} is not a host name", "Give one name, without a port.")


def _check_path_edit(edit: PathEdit | None, route: Route, path: Path, report: Report) -> None:
    if edit is None:
        return
    if (edit.replace_full is None) == (edit.replace_prefix is None):
        report.error("combination", path, "needs exactly one of replace_full and replace_prefix")
        return
    if edit.replace_full is not None and not edit.replace_full.startswith("/"):
        report.error("path", (*path, "replace_full"), f"{edit.replace_full!r} must begin with /")
    if edit.replace_prefix is not None:
        if edit.replace_prefix and not edit.replace_prefix.startswith("/"):
            report.error("path", (*path, "replace_prefix"), f"{edit.replace_prefix!r} must begin with /")
        if any(path_of(match).prefix is None for match in route.matches):
            report.error(
                "combination", (*path, "replace_prefix"), "needs a prefix in every match of its route",
                "Use replace_full, or match by prefix.",
            )  # fmt: skip


def _check_redirect(redirect: Redirect, route: Route, path: Path, report: Report) -> None:
    _check_target_hostname(redirect.hostname, (*path, "hostname"), report)
    _check_path_edit(redirect.path, route, (*path, "path"), report)
    if (
        redirect.scheme is None
        and redirect.hostname is None
        and redirect.port is None
        and redirect.path is None
    ):
        report.error(
            "combination",
            path,
            "would send clients to where they are",
            "Change scheme, hostname, port or path.",
        )


def _check_answer(route: Route, path: Path, report: Report) -> None:
    """What means nothing for a route that forwards nothing."""
    for key in _NO_RETRIES_NEEDED:
        if getattr(route, key) != getattr(_DEFAULTS, key):
            report.error("combination", (*path, key), "means nothing for a route without backends")
    if route.request_headers != _DEFAULTS.request_headers:
        report.error("combination", (*path, "request_headers"), "means nothing for a route without backends")
    response = route.response
    if response is not None and response.body and response.status in (204, 205, 304):
        report.error(
            "combination", (*path, "response", "body"), f"a response of status {response.status} has no body"
        )


def _check_reachable(
    route: Route, path: Path, position: int, seen: dict[Any, tuple[int, int]], report: Report
) -> None:
    """Warn of a match that asks the same as an earlier one, which therefore always wins."""
    hostnames = [name.lower() for name in (*route.hostnames, *route.destinations)] or ["*"]
    for index, match in enumerate(route.matches or _ANY_MATCH):
        where = path_of(match)
        asked = (
            where.exact, (where.prefix or "/").rstrip("/") if where.prefix is not None else None, where.regex,
            match.method,
        )  # fmt: skip
        more = _asked_more(match) if match.headers or match.query else None
        first: tuple[int, int] | None = None
        covered = True
        for hostname in hostnames:
            key = (hostname, asked, more)
            earlier = seen.get(key)
            if earlier is None:
                seen[key] = (position, index)
                covered = False
            else:
                first = earlier
        if covered and first is not None:
            where_text = f"{path[-2]}[{first[0]}]" + (
                f".matches[{first[1]}]" if first != (position, index) else ""
            )
            inner = (*path, "matches", index) if route.matches else path
            report.warning(
                "unreachable", inner, f"is never reached: {where_text} asks the same and comes first"
            )


def _asked_more(match: Match) -> tuple[Any, ...]:
    return (
        frozenset((name.lower(), value) for name, value in match.headers.items()),
        frozenset(match.query.items()),
    )


_ANY_MATCH = (Match(),)
