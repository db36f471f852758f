"""Route match against a reference that looks at every match of every route (Gateway API precedence)."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tulle._fast.policy.explain import Explainer
from tulle._fast.policy.image_writer import write_routes
from tulle.controlplane.model import Config, Listener
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.model_matches import Match, PathMatch, ValueMatch
from tulle.controlplane.model_routes import Backend, Route
from tulle.controlplane.regex import compile_pattern
from tulle.controlplane.tabulate import tabulate

Headers = Sequence[tuple[bytes, bytes]]


def explainer(routes: list[Route]) -> Explainer:
    """The matcher of one table, as the listener `l` has it; slashes stay as they are."""
    config = Config(
        listeners=[Listener("l", "127.0.0.1:1", routes="t")],
        routes={"t": routes},
        clusters={"c": Cluster()},
    )
    table = tabulate(config)
    return Explainer(write_routes(table, [1], list(range(1, len(routes) + 1)), [(0, 1)], 1, compile_pattern))


def route(*matches: Match, hosts: Sequence[str] = ()) -> Route:
    return Route(hostnames=list(hosts), matches=list(matches), backends=[Backend("c")])


# -- the reference --------------------------------------------------------------------------------------


def value_matches(wanted: ValueMatch, value: bytes | None) -> bool:
    if value is None:
        return False
    if wanted.exact is not None:
        return value == wanted.exact.encode()
    if wanted.regex is not None:
        return bool(re.fullmatch(wanted.regex.encode(), value))
    return True


def header_value(headers: Headers, name: str) -> bytes | None:
    values = [value for field, value in headers if field.decode().lower() == name.lower()]
    return b",".join(values) if values else None


def query_value(query: bytes, name: str) -> bytes | None:
    for part in query.split(b"&"):
        field, _, value = part.partition(b"=")
        if part and unquote_to_bytes(field.replace(b"+", b" ")) == name.encode():
            return unquote_to_bytes(value.replace(b"+", b" "))
    return None


def host_rank(hostnames: Sequence[str], host: str) -> int:
    """0 for no match, 1 for any host, then wildcards by length, then exact."""
    ranks = [0 if hostnames else 1]
    for name in hostnames:
        if name == "*":
            ranks.append(1)
        elif name.startswith("*."):
            suffix = name[1:].lower()
            if host.lower().endswith(suffix) and len(host) > len(suffix):
                ranks.append(1 + len(suffix))
        elif name.lower() == host.lower():
            ranks.append(1000)
    return max(ranks)


def path_rank(wanted: PathMatch, path: str) -> tuple[int, int] | None:
    if wanted.exact is not None:
        return (3, 0) if path == wanted.exact else None
    if wanted.regex is not None:
        return (2, 0) if re.fullmatch(wanted.regex, path) else None
    prefix = (wanted.prefix or "/").rstrip("/")
    return (1, len(prefix)) if path == prefix or path.startswith(prefix + "/") else None


def reference(
    routes: list[Route], method: str, host: str, path: str, query: bytes, headers: Headers
) -> tuple[int, int] | None:
    """(route, match) that wins, or None."""
    best: tuple[tuple[Any, ...], tuple[int, int]] | None = None
    patterns: list[str] = []
    for route_index, candidate in enumerate(routes):
        hosts = host_rank(candidate.hostnames, host)
        if not hosts:
            continue
        for match_index, match in enumerate(candidate.matches or [Match()]):
            if match.path.regex is not None and match.path.regex not in patterns:
                patterns.append(match.path.regex)
            paths = path_rank(match.path, path)
            if (
                paths is None
                or (match.method and match.method != method)
                or not all(value_matches(v, header_value(headers, n)) for n, v in match.headers.items())
                or not all(value_matches(v, query_value(query, n)) for n, v in match.query.items())
            ):
                continue
            order = -patterns.index(match.path.regex) if match.path.regex is not None else 0
            rank = (hosts, paths, order, bool(match.method), len(match.headers), len(match.query))
            if best is None or rank > best[0]:
                best = rank, (route_index, match_index)
    return best[1] if best else None


# -- random tables --------------------------------------------------------------------------------------

HOSTS = ["a.com", "b.a.com", "c.b.a.com", "A.com", "com", "x.org", "[::1]"]
HOSTNAMES = [*HOSTS, "*.a.com", "*.b.a.com", "*.com", "*.A.COM", "*"]
PATHS = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/a/bc", "/b", "/a/long-segment-of-a-path/x"]
PATTERNS = ["/a/.*", "/[ab]", ".*c", "/a/b"]
VALUES = st.one_of(
    st.sampled_from(["", "1", "2", "1,2", "a b"]).map(lambda value: ValueMatch(exact=value)),
    st.sampled_from(["[12]", "1.*", ".*2", "a b"]).map(lambda value: ValueMatch(regex=value)),
    st.just(ValueMatch(present=True)),
)
MATCHES = st.builds(
    Match,
    path=st.one_of(
        st.sampled_from(PATHS).map(lambda path: PathMatch(exact=path)),
        st.sampled_from(PATHS).map(lambda path: PathMatch(prefix=path)),
        st.sampled_from(PATTERNS).map(lambda path: PathMatch(regex=path)),
    ),
    method=st.sampled_from([None, None, "GET", "POST"]),
    headers=st.dictionaries(st.sampled_from(["x-a", "X-B"]), VALUES, max_size=2),
    query=st.dictionaries(st.sampled_from(["v", "w w"]), VALUES, max_size=2),
)
ROUTES = st.lists(
    st.builds(
        lambda hosts, matches: route(*matches, hosts=hosts),
        st.lists(st.sampled_from(HOSTNAMES), max_size=2, unique_by=str.lower),
        st.lists(MATCHES, max_size=3),
    ),
    max_size=8,
)
REQUESTS = st.tuples(
    st.sampled_from(["GET", "POST", "PUT"]),
    st.sampled_from([*HOSTS, "z.a.com", "B.A.COM", "", "y.x.org", "b.com"]),
    st.sampled_from([*PATHS, "/a/b/c/d", "/ab/c", "/c"]),
    st.lists(
        st.sampled_from(
            [b"v=1", b"v=2", b"v", b"w+w=a%20b", b"w%20w=1", b"v=1%2C2", b"v=%", b"", b"vv=1", b"=1"]
        ),
        max_size=3,
    ).map(b"&".join),
    st.lists(
        st.tuples(
            st.sampled_from([b"X-A", b"x-a", b"x-b", b"x-ab"]), st.sampled_from([b"1", b"2", b"a b", b""])
        ),
        max_size=3,
    ),
)


@settings(max_examples=300, deadline=None)
@given(ROUTES, st.lists(REQUESTS, min_size=1, max_size=8))
def test_agrees_with_the_reference(routes: list[Route], requests: list[Any]) -> None:
    matcher = explainer(routes)
    for method, host, path, query, headers in requests:
        found = matcher.match("l", method.encode(), host.encode(), path.encode(), query, headers)
        expected = reference(routes, method, host, path, query, headers)
        assert (None if found[1] is None else found[1:3]) == expected


@settings(max_examples=100, deadline=None)
@given(ROUTES, REQUESTS)
def test_the_last_candidate_is_the_one_that_is_taken(routes: list[Route], request: Any) -> None:
    method, host, path, query, headers = request
    _, found, match, _, candidates = explainer(routes).match(
        "l", method.encode(), host.encode(), path.encode(), query, headers
    )
    if found is None:
        assert "taken" not in [verdict for *_, verdict in candidates]
    else:
        assert candidates[-1] == (found, match, "taken")
        assert [verdict for *_, verdict in candidates].count("taken") == 1


# -- cases ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "request_path", "prefix_length"),
    [
        (PathMatch(prefix="/a/"), b"/a", 2),
        (PathMatch(prefix="/a"), b"/a/b", 2),
        (PathMatch(prefix="/"), b"/a/b", 0),
        (PathMatch(exact="/a"), b"/a", 2),
        (PathMatch(regex="/a.*"), b"/abc", 4),
        (PathMatch(prefix="/%61"), b"/a/b", 2),
        (PathMatch(exact="/x/../a"), b"/a", 2),
    ],
)
def test_what_a_match_covers(path: PathMatch, request_path: bytes, prefix_length: int) -> None:
    assert explainer([route(Match(path=path))]).match("l", b"GET", b"", request_path)[1:4] == (
        0,
        0,
        prefix_length,
    )


def test_prefixes_match_whole_segments() -> None:
    matcher = explainer([route(Match(path=PathMatch(prefix="/abc")))])
    paths = (b"/abc", b"/abc/", b"/abc/d", b"/abcd", b"/ab", b"/ABC")
    taken = [path for path in paths if matcher.match("l", b"GET", b"", path)[1] == 0]
    assert taken == [b"/abc", b"/abc/", b"/abc/d"]


def test_a_request_without_a_path_matches_only_the_root() -> None:
    matcher = explainer([route(Match(path=PathMatch(prefix="/a"))), route(Match(path=PathMatch(prefix="/")))])
    assert matcher.match("l", b"OPTIONS", b"", b"*")[1] == 1


def test_deep_paths_find_the_deepest_prefix() -> None:
    prefixes = ["/a" * depth for depth in (1, 5, 40, 64)]
    matcher = explainer([route(Match(path=PathMatch(prefix=prefix))) for prefix in prefixes])
    for depth, expected in ((1, 0), (4, 0), (5, 1), (63, 2), (64, 3), (65, 3), (1000, 3)):
        assert matcher.match("l", b"GET", b"", b"/a" * depth)[1] == expected


def test_a_long_host_matches_only_any_host() -> None:
    matcher = explainer([route(hosts=["*.a.com"]), route()])
    assert matcher.match("l", b"GET", b"x" * 300 + b".a.com", b"/")[1] == 1
    assert matcher.match("l", b"GET", b"x" * 247 + b".a.com", b"/")[1] == 0


def test_several_fields_of_a_name_count_as_one() -> None:
    matcher = explainer([route(Match(headers={"X-A": ValueMatch(exact="1,2")}))])
    assert (
        matcher.match("l", b"GET", b"", b"/", b"", [(b"x-a", b"1"), (b"other", b""), (b"X-a", b"2")])[1] == 0
    )
    assert matcher.match("l", b"GET", b"", b"/", b"", [(b"x-a", b"1")])[1] is None


def test_many_routes_are_all_found() -> None:
    """Each of some thousand hosts and paths leads to its own route, whatever the hashes do."""
    routes = [
        route(Match(path=PathMatch(prefix=f"/p{number % 7}/{number}")), hosts=[f"h{number % 50}.example.com"])
        for number in range(3000)
    ]
    matcher = explainer(routes)
    for number in range(3000):
        host = f"H{number % 50}.example.com".encode()
        assert matcher.match("l", b"GET", host, f"/p{number % 7}/{number}/x".encode())[1] == number
        assert matcher.match("l", b"GET", host, f"/p{number % 7}/{number}x".encode())[1] is None
