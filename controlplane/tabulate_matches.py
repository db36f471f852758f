"""Matches of the model to rows of the routing table."""

from collections.abc import Mapping, Sequence

from tulle._fast.policy.path import path_in_normal_form
from tulle.controlplane.grpc_match import path_of
from tulle.controlplane.model_matches import Match, PathMatch, ValueMatch
from tulle.controlplane.table import MatchRow, PredicateRow

_ANY_MATCH = (MatchRow(),)


def match_rows(matches: Sequence[Match]) -> tuple[MatchRow, ...]:
    """None at all is one that takes everything."""
    return tuple([_match(match) for match in matches]) if matches else _ANY_MATCH


def _match(match: Match) -> MatchRow:
    kind, path = _path(path_of(match))
    return MatchRow(
        kind,  # type: ignore[arg-type]
        path,
        match.method or "",
        predicate_rows(match.headers) if match.headers else (),
        predicate_rows(match.query, lower=False) if match.query else (),
        (match.grpc.service or "") if match.grpc else "",
        (match.grpc.method or "") if match.grpc else "",
    )


def _path(path: PathMatch) -> tuple[str, str]:
    if path.exact is not None:
        return "exact", path_in_normal_form(path.exact)
    if path.regex is not None:
        return "regex", path.regex
    return "prefix", path_in_normal_form(path.prefix or "/").rstrip("/")


def predicate_rows(wanted: Mapping[str, ValueMatch], lower: bool = True) -> tuple[PredicateRow, ...]:
    return tuple(_predicate(name.lower() if lower else name, value) for name, value in wanted.items())


def _predicate(name: str, value: ValueMatch) -> PredicateRow:
    if value.exact is not None:
        return PredicateRow(name, "exact", value.exact)
    if value.regex is not None:
        return PredicateRow(name, "regex", value.regex)
    return PredicateRow(name, "present")
