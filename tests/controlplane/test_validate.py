"""Every error at once, each with its path, its line and what would be right."""

import contextlib
import copy
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tulle._fast.base import stats
from tulle.controlplane.check import run_check
from tulle.controlplane.load import Document, check_model, load_document
from tulle.controlplane.model import Config, Listener, simple_config
from tulle.controlplane.names import MOST_LISTENERS
from tulle.controlplane.problems import ConfigError, Problem

BASE: dict[str, Any] = {
    "listeners": [{"name": "web", "address": "127.0.0.1:8080", "routes": "main"}],
    "routes": {
        "main": [{"name": "all", "matches": [{"path": {"prefix": "/"}}], "backends": [{"cluster": "v1"}]}]
    },
    "clusters": {"v1": {"endpoints": [{"address": "127.0.0.1:9001"}]}},
}
ROUTE = ("routes", "main", 0)
MATCH = (*ROUTE, "matches", 0)
LISTENER = ("listeners", 0)
CLUSTER = ("clusters", "v1")
DELETE = object()
OUTLIER = "clusters.v1.outlier_detection"
MANY_EDITS = {"add": {f"x-{number}": "" for number in range(257)}}
RATE = (*CLUSTER, "circuit_breaker", "failure_rate")
RATE_PATH = "clusters.v1.circuit_breaker.failure_rate"
ADAPTIVE = (*CLUSTER, "circuit_breaker", "adaptive_concurrency")
ADAPTIVE_PATH = "clusters.v1.circuit_breaker.adaptive_concurrency"
LOW_LIMIT = {"max_concurrency_limit": 4}
RATE_OF_KEY = {"requests": 5, "key": {"header": "a"}}
NO_BUDGET = {"retry_budget": {"percent": 0, "min_per_second": 0}}
BOTH_LIMITS = {"retry_budget": {}, "max_retries": 5}
LONG_EDITS = {"set": {f"x-{number}": "v" * 8000 for number in range(9)}}
R, M = "routes.main[0]", "routes.main[0].matches[0]"
CORS = f"{R}.cors"
ABORT = f"{R}.fault.abort"


def changed(*changes: tuple[tuple[str | int, ...], Any]) -> dict[str, Any]:
    """The base with other values at some paths."""
    data = copy.deepcopy(BASE)
    for path, value in changes:
        inner: Any = data
        for part in path[:-1]:
            if isinstance(inner, dict):
                inner.setdefault(part, {})
            inner = inner[part]
        if value is DELETE:
            del inner[path[-1]]
        elif isinstance(inner, list) and path[-1] == len(inner):
            inner.append(value)
        else:
            inner[path[-1]] = value
    return data


def problems_of(data: Any, kind: str = "json") -> tuple[list[Problem], list[Problem]]:
    """Errors and warnings."""
    text = json.dumps(data, indent=1) if kind == "json" else yaml.safe_dump(data)
    try:
        return [], load_document(Document(text.encode(), kind)).warnings
    except ConfigError as error:
        return error.problems, []


def test_the_base_has_no_problems() -> None:
    assert problems_of(BASE) == problems_of(BASE, "yaml") == ([], [])


ERRORS: list[tuple[tuple[str | int, ...], Any, str, str]] = [
    # where, what, the path of the error, part of its message or hint
    (("workers",), 0, "workers", "from 1 to 1,024"),
    (
        (*CLUSTER, "outlier_detection"),
        {"base_ejection_time": "10m"},
        OUTLIER,
        "shorter than base_ejection_time",
    ),
    (
        (*CLUSTER, "outlier_detection"),
        {"base_ejection_time": "0s"},
        f"{OUTLIER}.base_ejection_time",
        "longer than 0s",
    ),
    (
        (*CLUSTER, "outlier_detection"),
        {"max_ejection_percent": 101},
        f"{OUTLIER}.max_ejection_percent",
        "100",
    ),
    ((*CLUSTER, "outlier_detection"), {"consecutive_5xx": 0}, f"{OUTLIER}.consecutive_5xx", "from 1"),
    (("workers",), "two", "workers", "must be a whole number"),
    ((*ROUTE, "request_headers"), MANY_EDITS, f"{R}.request_headers", "257 fields"),
    ((*ROUTE, "response_headers"), LONG_EDITS, f"{R}.response_headers", "72,027 bytes"),
    (("overload",), {"max_connections": 0}, "overload.max_connections", "from 1"),
    (("overload",), {"max_memory": "1KiB"}, "overload.max_memory", "1,048,576"),
    ((*ROUTE, "mirror"), [{"cluster": "v2"}], f"{R}.mirror[0].cluster", "Known: v1"),
    ((*ROUTE, "mirror"), [{"cluster": "v1"}, {"cluster": "v1", "percentage": 5}],
     f"{R}.mirror[1].cluster", "goes there too"),
    ((*ROUTE, "mirror"), [{"cluster": "v1", "percentage": -1}], f"{R}.mirror[0].percentage", "from 0"),
    ((*ROUTE, "cors"), {}, f"{R}.cors", "'allow_origins' is missing"),
    ((*ROUTE, "cors"), {"allow_origins": []}, f"{R}.cors.allow_origins", "at least 1"),
    ((*ROUTE, "cors"), {"allow_origins": ["a.example.com"]}, f"{CORS}.allow_origins[0]", "no origin"),
    ((*ROUTE, "cors"), {"allow_origins": ["https://a.b/"]}, f"{CORS}.allow_origins[0]", "no origin"),
    ((*ROUTE, "cors"), {"allow_origins": ["https://a.*.b"]}, f"{CORS}.allow_origins[0]", "no origin"),
    ((*ROUTE, "cors"), {"allow_origins": ["null"]}, f"{CORS}.allow_origins[0]", "no origin"),
    ((*ROUTE, "cors"), {"allow_origins": ["*", "https://a"]}, f"{CORS}.allow_origins", "every origin"),
    ((*ROUTE, "cors"), {"allow_origins": ["*"], "max_age": "1"}, f"{CORS}.max_age", "right form"),
    ((*ROUTE, "cors"), {"allow_origins": ["*"], "allow_credentials": True}, f"{CORS}.allow_origins", "no"),
    ((*ROUTE, "cors"), {"allow_origins": ["http://a"], "allow_headers": ["*"], "allow_credentials": True},
     f"{CORS}.allow_headers", "no `*`"),
    ((*ROUTE, "fault"), {}, f"{R}.fault", "delay or abort"),
    ((*ROUTE, "fault"), {"delay": {"duration": "0s"}}, f"{R}.fault.delay.duration", "longer than 0s"),
    ((*ROUTE, "fault"), {"abort": {"status": 503, "percentage": 101}}, f"{ABORT}.percentage", "to 100"),
    ((*ROUTE, "fault"), {"abort": {"status": 503, "percentage": "5%"}}, f"{ABORT}.percentage", "number"),
    ((*ROUTE, "fault"), {"abort": {"status": 100}}, f"{R}.fault.abort.status", "200"),
    ((*ROUTE, "fault"), {"abort": {"status": 503, "headers": {"x": {}}}}, f"{ABORT}.headers.x", "needs"),
    ((*ROUTE, "max_request_body"), 0, f"{R}.max_request_body", "from 1"),
    ((*ROUTE, "rate_limits"), [{"requests": 0}], f"{R}.rate_limits[0].requests", "from 1"),
    ((*ROUTE, "rate_limits"), [{"requests": 1, "key": "user"}], f"{R}.rate_limits[0].key", "client_address"),
    ((*ROUTE, "rate_limits"), [{"requests": 1, "per": "0s"}], f"{R}.rate_limits[0].per", "longer than 0s"),
    ((*ROUTE, "rate_limits"), [{"requests": 2000, "per": "1ms"}], f"{R}.rate_limits[0]", "2,000 requests"),
    ((*ROUTE, "rate_limits"), [{"requests": 1, "burst": 31, "per": "1d"}], f"{R}.rate_limits[0]", "30 days"),
    ((*LISTENER, "rate_limits"), [{"requests": 1}] * 2, "listeners[0].rate_limits[1]", "'all:1s' too"),
    ((*LISTENER, "rate_limits"), [{"requests": n + 1, "per": f"{n + 1}s"} for n in range(9)],
     "listeners[0].rate_limits", "9 limits"),
    (("drain_timeout",), 30, "drain_timeout", "For example 250ms"),
    (("drain_timeout",), "30", "drain_timeout", "not of the right form"),
    (("drain_timeout",), "400d", "drain_timeout", "longer than a year"),
    (("listenrs",), [], "listenrs", "Did you mean listeners?"),
    (("admin",), {"address": "localhost:1"}, "admin.address", "127.0.0.1:1"),
    (("admin",), {}, "admin", "'address' is missing"),
    (("access_log",), {"format": "jsn"}, "access_log.format", "Did you mean json?"),
    (("access_log",), {"format": "text", "format_string": "%FOO%"}, "access_log.format_string", "%FOO%"),
    (("access_log",), {"format_string": "x"}, "access_log.format_string", "format: text"),
    (("stats",), {"histogram_buckets": ["2s", "1s"]}, "stats.histogram_buckets", "must rise"),
    (("stats",), {"histogram_buckets": []}, "stats.histogram_buckets", "at least 1"),
    ((*LISTENER, "routes"), "man", "listeners[0].routes", "Did you mean main?"),
    ((*LISTENER, "routes"), DELETE, "listeners[0]", "'routes' is missing"),
    ((*LISTENER, "backends"), [{"cluster": "v1"}], "listeners[0]", "routes and backends"),
    ((*LISTENER, "protocol"), "tcp", "routes.main[0].matches", "means nothing for raw TCP"),
    ((*LISTENER, "address"), "8080", "listeners[0].address", "host:port"),
    ((*LISTENER, "address"), "::1:8080", "listeners[0].address", "brackets"),
    ((*LISTENER, "address"), "unix:x", "listeners[0].address", "must begin with /"),
    ((*LISTENER, "address"), "127.0.0.1:99999", "listeners[0].address", "65535"),
    ((*LISTENER, "address"), "127.0.0.300:80", "listeners[0].address", "IPv4"),
    (("listeners", 1), BASE["listeners"][0] | {"address": "[::1]:1"}, "listeners[1].name", "is called"),
    (RATE, {"threshold": 0}, f"{RATE_PATH}.threshold", "out of range"),
    (RATE, {"window": "1ms"}, f"{RATE_PATH}.window", "from 100ms"),
    (RATE, {"open": "0s"}, f"{RATE_PATH}.open", "longer than 0s"),
    (RATE, {"open": "2m"}, f"{RATE_PATH}.open", "max_open 60s"),
    (RATE, {"scope": []}, f"{RATE_PATH}.scope", "cluster or both"),
    (RATE, {"scope": ["host"]}, f"{RATE_PATH}.scope[0]", "endpoint"),
    (RATE, {"scope": ["cluster", "cluster"]}, f"{RATE_PATH}.scope", "twice"),
    ((*CLUSTER, "circuit_breaker"), NO_BUDGET, "clusters.v1.circuit_breaker.retry_budget", "no retry at all"),
    (("listeners", 1), BASE["listeners"][0] | {"name": "x"}, "listeners[1].address", "listens on"),
    ((*LISTENER, "max_request_head"), "100B", "listeners[0].max_request_head", "out of range"),
    ((*LISTENER, "max_request_head"), "1KB", "listeners[0].max_request_head", "64KiB"),
    ((*LISTENER, "request_head_timeout"), "0s", "listeners[0].request_head_timeout", "longer than 0s"),
    ((*LISTENER, "path"), {"slashes": "merged"}, "listeners[0].path.slashes", "Did you mean merge?"),
    ((*LISTENER, "via"), "a b", "listeners[0].via", "right form"),
    ((*ROUTE, "backends"), [], R, "needs one of backends"),
    ((*ROUTE, "response"), {}, R, "more than one"),
    ((*ROUTE, "backends", 0, "cluster"), "v1x", f"{R}.backends[0].cluster", "Did you mean v1?"),
    ((*ROUTE, "backends", 0, "weight"), 0, f"{R}.backends", "all weights are 0"),
    ((*ROUTE, "backends", 0, "weight"), -1, f"{R}.backends[0].weight", "out of range"),
    ((*ROUTE, "hostnames"), ["a.com:80"], f"{R}.hostnames[0]", "port"),
    ((*ROUTE, "hostnames"), ["a.*.com"], f"{R}.hostnames[0]", "wildcard"),
    ((*ROUTE, "hostnames"), ["bücher.de"], f"{R}.hostnames[0]", "xn--"),
    ((*ROUTE, "hostnames"), "a.com", f"{R}.hostnames", "must be a list"),
    (("routes", "main", 1), BASE["routes"]["main"][0], "routes.main[1].name", "main[0] is called"),
    ((*MATCH, "path"), {"prefix": "api"}, f"{M}.path.prefix", "/api"),
    ((*MATCH, "path"), {"exact": "/%zz"}, f"{M}.path.exact", "%25"),
    ((*MATCH, "path"), {"exact": "/a?b"}, f"{M}.path.exact", "right form"),
    ((*MATCH, "path"), {"prefix": "/a" * 65}, f"{M}.path.prefix", "65 segments"),
    ((*MATCH, "path"), {}, f"{M}.path", "exactly one"),
    ((*MATCH, "path"), {"regex": "(?=a)"}, f"{M}.path.regex", "lookahead"),
    ((*MATCH, "headers"), {"a b": {"exact": "1"}}, f"{M}.headers", "right form"),
    ((*MATCH, "headers"), {"a": {"exact": 1}}, f"{M}.headers.a.exact", '"1"'),
    ((*MATCH, "headers"), {"a": {}}, f"{M}.headers.a", "exactly one"),
    ((*MATCH, "headers"), {"a": {"present": True}, "A": {"present": True}}, f"{M}.headers", "twice"),
    ((*MATCH, "headers"), {"a": {"present": False}}, f"{M}.headers.a.present", "must be true"),
    ((*MATCH, "query"), {"a": {"regex": "["}}, f"{M}.query.a.regex", "not closed"),
    ((*ROUTE, "retries"), {"on": ["conect-failure"]}, f"{R}.retries.on[0]", "connect-failure"),
    ((*ROUTE, "retries"), {"on": [99]}, f"{R}.retries.on[0]", "out of range"),
    ((*ROUTE, "retries"), {"backoff": {"base": "2s", "max": "1s"}}, f"{R}.retries.backoff", "longer"),
    ((*ROUTE, "retries"), {"max_replay_body": "1GiB"}, f"{R}.retries.max_replay_body", "to 16,777,216"),
    ((*ROUTE, "retries"), {"on": ["retriable-5xx"]}, f"{R}.retries.on[0]", "Did you mean retriable-4xx?"),
    ((*ROUTE, "retries"), {"statuses": [600]}, f"{R}.retries.statuses[0]", "out of range"),
    ((*ROUTE, "retries"), {"headers": {"a": {}}}, f"{R}.retries.headers.a", "exactly one"),
    ((*ROUTE, "retries"), {"max_retry_after": "soon"}, f"{R}.retries.max_retry_after", "right form"),
    ((*ROUTE, "request_headers"), {"set": {"Host": "x"}}, f"{R}.request_headers.set.Host", "rewrite"),
    ((*ROUTE, "request_headers"), {"remove": ["te"]}, f"{R}.request_headers.remove[0]", "frames"),
    ((*ROUTE, "request_headers"), {"add": {"a": "x\r\ny: z"}}, f"{R}.request_headers.add.a", "form"),
    ((*ROUTE, "rewrite"), {"path": {}}, f"{R}.rewrite.path", "exactly one"),
    ((*ROUTE, "rewrite"), {"path": {"replace_full": "x"}}, f"{R}.rewrite.path.replace_full", "begin"),
    ((*ROUTE, "rewrite"), {"hostname": "*.a.com"}, f"{R}.rewrite.hostname", "not a host name"),
    ((*CLUSTER, "load_balancer"), "leastrequest", "clusters.v1.load_balancer", "least_request"),
    ((*CLUSTER, "connect_timeout"), "0s", "clusters.v1.connect_timeout", "longer than 0s"),
    ((*CLUSTER, "endpoints", 0, "weight"), 0, "clusters.v1.endpoints[0].weight", "out of range"),
    ((*CLUSTER, "endpoints", 0, "address"), "a b:1", "clusters.v1.endpoints[0].address", "host name"),
    ((*CLUSTER, "endpoints", 1), {"address": "127.0.0.1:9001"}, "clusters.v1.endpoints[1].address", "too"),
    ((*CLUSTER, "circuit_breaker"), {"max_requests": 0}, "clusters.v1.circuit_breaker.max_requests", "range"),
    (
        ADAPTIVE,
        {"min_rtt_calc_params": {"min_concurrency": 5}, "concurrency_limit_params": LOW_LIMIT},
        f"{ADAPTIVE_PATH}.min_rtt_calc_params.min_concurrency", "more than max_concurrency_limit 4",
    ),
    (
        ADAPTIVE, {"min_rtt_calc_params": {"interval": "10ms"}},
        f"{ADAPTIVE_PATH}.min_rtt_calc_params.interval", "from 1000ms to 1h",
    ),
    (
        ADAPTIVE, {"concurrency_limit_params": {"concurrency_update_interval": "0s"}},
        f"{ADAPTIVE_PATH}.concurrency_limit_params.concurrency_update_interval", "longer than 0s",
    ),
    (ADAPTIVE, {"sample_aggregate_percentile": 0}, f"{ADAPTIVE_PATH}.sample_aggregate_percentile", "range"),
    (("clusters", "a b"), {}, 'clusters["a b"]', "right form"),
    (("routes",), [], "routes", "must be a mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "what", "path", "text"), ERRORS, ids=[f"{e[2]}-{e[3]}" for e in ERRORS])
@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_errors(where: tuple[str | int, ...], what: Any, path: str, text: str, kind: str) -> None:
    data = changed((where, what))
    errors, _ = problems_of(data, kind)
    found = [
        error for error in errors if error.path.startswith(path) and text in f"{error.message} {error.hint}"
    ]
    assert len(found) == 1, errors
    assert len(errors) == 1, "one mistake is one error"
    lines = (json.dumps(data, indent=1) if kind == "json" else yaml.safe_dump(data)).split("\n")
    last = found[0].path.rpartition(".")[2].partition("[")[0]
    assert last in lines[found[0].line - 1] or found[0].path.endswith("]"), (found, lines[found[0].line - 1])


RESPONSE = {"name": "r", "response": {}}
ANSWERS = [
    (RESPONSE | {"timeouts": {"request": "1s"}}, "routes.main[1].timeouts", "without backends"),
    (RESPONSE | {"retries": {}}, "routes.main[1].retries", "without backends"),
    (RESPONSE | {"response": {"status": 204, "body": "x"}}, "routes.main[1].response.body", "has no body"),
    ({"redirect": {}}, "routes.main[1].redirect", "where they are"),
    ({"redirect": {"status": 300, "port": 1}}, "routes.main[1].redirect.status", "must be one of"),
    (
        {"redirect": {"path": {"replace_prefix": "/"}}, "matches": [{"path": {"exact": "/a"}}]},
        "routes.main[1].redirect.path.replace_prefix",
        "needs a prefix",
    ),
]


@pytest.mark.parametrize(("route", "path", "text"), ANSWERS)
def test_errors_of_answers(route: dict[str, Any], path: str, text: str) -> None:
    errors, _ = problems_of(changed((("routes", "main", 1), route)))
    assert [(error.path, text in error.message) for error in errors] == [(path, True)]


WARNINGS = [
    (
        ("routes", "main", 1),
        BASE["routes"]["main"][0] | {"name": "b"},
        "unreachable",
        "routes.main[1].matches[0]",
    ),
    ((*MATCH, "method"), "get", "method-case", f"{M}.method"),
    ((*ROUTE, "cors"), {"allow_origins": ["https://a:443"]}, "never", f"{CORS}.allow_origins[0]"),
    ((*ROUTE, "fault"), {"abort": {"status": 503}}, "always", f"{R}.fault.abort"),
    ((*ROUTE, "fault"), {"abort": {"status": 503, "percentage": 0}}, "never", f"{R}.fault.abort.percentage"),
    (
        (*ROUTE, "timeouts"),
        {"first_byte": "2s", "request": "1s"},
        "timeout-order",
        f"{R}.timeouts.first_byte",
    ),
    (
        (*ROUTE, "timeouts"),
        {"request": "1s", "per_try": "2s"},
        "timeout-order",
        f"{R}.timeouts.per_try",
    ),
    (("routes", "other"), [], "unused", "routes.other"),
    (("clusters", "v2"), BASE["clusters"]["v1"], "unused", "clusters.v2"),
    ((*CLUSTER, "endpoints"), [], "no-endpoints", "clusters.v1"),
    ((*ROUTE, "retries"), {"statuses": [503]}, "retry-unused", f"{R}.retries.statuses"),
    ((*ROUTE, "retries"), {"headers": {"a": {"present": True}}}, "retry-unused", f"{R}.retries.headers"),
    ((*ROUTE, "retries"), {"on": ["retriable-status-codes"]}, "retry-unused", f"{R}.retries.on"),
    ((*ROUTE, "retries"), {"attempts": 0}, "retry-unused", f"{R}.retries.attempts"),
    (
        (*CLUSTER, "circuit_breaker"),
        {"adaptive_concurrency": {}, "max_requests": 3},
        "limit-unused",
        ADAPTIVE_PATH,
    ),
    (
        (*ROUTE, "rate_limits"),
        [RATE_OF_KEY | {"ipv6_prefix_length": 48}],
        "limit-unused",
        f"{R}.rate_limits[0].ipv6_prefix_length",
    ),
    ((*CLUSTER, "choices"), 5, "unused-balancing", "clusters.v1.choices"),
    ((*CLUSTER, "circuit_breaker"), BOTH_LIMITS, "limit-unused", "clusters.v1.circuit_breaker.max_retries"),
    ((*CLUSTER, "outlier_detection"), {"max_ejection_percent": 0}, "no-effect", OUTLIER),
    (
        (*CLUSTER, "outlier_detection"),
        {"enforcing_consecutive_5xx": 0, "enforcing_success_rate": 0},
        "no-effect",
        OUTLIER,
    ),
]


@pytest.mark.parametrize(("where", "what", "code", "path"), WARNINGS)
def test_warnings(where: tuple[str | int, ...], what: Any, code: str, path: str) -> None:
    errors, warnings = problems_of(changed((where, what)))
    assert errors == []
    assert [(warning.code, warning.path, warning.line > 0) for warning in warnings] == [(code, path, True)]


def test_lines_of_warnings_are_found_only_when_asked_for() -> None:
    document = Document(json.dumps(changed((("routes", "other"), [])), indent=1).encode(), "json")
    assert [(one.path, one.line) for one in load_document(document, with_lines=False).warnings] == [
        ("routes.other", 0)
    ]
    assert load_document(document).warnings[0].line > 0
    document = Document(
        json.dumps(changed((("routes", "other"), []), (ROUTE, {})), indent=1).encode(), "json"
    )
    with pytest.raises(ConfigError) as caught:
        load_document(document, with_lines=False)
    assert all(problem.line > 0 for problem in caught.value.problems)


def test_unreachable_means_for_all_hosts() -> None:
    first = {"name": "a", "hostnames": ["a.com"], "response": {}}
    second = {"name": "b", "hostnames": ["A.com", "b.com"], "response": {}}
    third = {
        "name": "c",
        "hostnames": ["b.com", "a.com"],
        "matches": [{"path": {"prefix": "/"}}],
        "response": {},
    }
    _, warnings = problems_of(changed((("routes", "main"), [first, second, third])))
    assert [warning.path for warning in warnings if warning.code == "unreachable"] == [
        "routes.main[2].matches[0]"
    ]


def test_all_errors_at_once_and_none_that_follow_from_another() -> None:
    data = changed(
        (("workers",), -1),
        ((*LISTENER, "address"), DELETE),
        ((*LISTENER, "adress"), "127.0.0.1:80"),
        ((*ROUTE, "backends"), "v1"),
        (("clusters", "v1", "endpoints"), [{"address": 9001}, "127.0.0.1:9"]),
    )
    errors, _ = problems_of(data, "yaml")
    assert sorted(error.path for error in errors) == [
        "clusters.v1.endpoints[0].address",
        "clusters.v1.endpoints[1]",
        "listeners[0]",
        "listeners[0].adress",
        f"{R}.backends",
        "workers",
    ]
    assert [error.line for error in errors] == sorted(error.line for error in errors)


@pytest.mark.parametrize(
    ("name", "text", "line", "message"),
    [
        ("a.json", '{"workers": 1,\n "listeners": [}', 2, "malformed"),
        ("a.json", '{"workers": 1,\n', 2, "truncated"),
        ("a.toml", "workers = 1\nlisteners = [\n", 3, ""),
        ("a.toml", "workers = 1\nworkers = 2\n", 2, "overwrite"),
        ("a.yaml", "workers: 1\n\tlisteners: 2", 2, "tab|cannot start any token|mapping values"),
        ("a.yaml", "workers: 1\nworkers: 2", 2, "second time"),
        ("a.yaml", "hello", 0, "must be a mapping"),
        ("a.txt", "", 0, "no known ending"),
        ("a.yaml", None, 0, "cannot be read"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, name: str, text: str | None, line: int, message: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    out = io.StringIO()
    assert run_check(path, out) == 1
    first = out.getvalue().split("\n")[0]
    assert first.startswith(f"{path}:{line}: " if line else f"{path}: ")
    assert any(part in first for part in message.split("|"))


def test_check_says_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "tulle.yaml"
    path.write_text(yaml.safe_dump(changed((("clusters", "v2"), {}))))
    out = io.StringIO()
    assert run_check(path, out) == 0
    assert out.getvalue().count("warning") == 2
    assert out.getvalue().endswith("fine, 1 listener, 1 route, 2 clusters\n")


def test_check_warns_of_keys_that_are_there_twice_in_json(tmp_path: Path) -> None:
    path = tmp_path / "tulle.json"
    path.write_text(json.dumps(BASE)[:-1] + ',\n "workers": 1,\n "workers": 2}')
    out = io.StringIO()
    assert run_check(path, out) == 0
    assert f"{path}:3: workers: this key is here a second time. The last one counts." in out.getvalue()


def test_there_may_be_as_many_listeners_as_there_is_room_to_count() -> None:
    assert MOST_LISTENERS == stats.MOST_LISTENERS
    listeners = [Listener(f"l{port}", f"127.0.0.1:{port}") for port in range(1, MOST_LISTENERS + 2)]
    with pytest.raises(ConfigError, match="512 listeners at most"):
        check_model(Config(listeners=listeners))


def test_models_are_checked_too() -> None:
    assert check_model(simple_config("127.0.0.1:1", ["127.0.0.1:2"])) == []
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1"):
        check_model(simple_config("localhost:1", ["127.0.0.1:2"]))
    assert [problem.code for problem in check_model(Config())] == ["no-listeners"]


FULL: dict[str, Any] = changed(
    (("admin",), {"address": "127.0.0.1:1"}),
    (("access_log",), {"format": "text", "format_string": "%METHOD%"}),
    ((*LISTENER, "path"), {"slashes": "keep"}),
    ((*MATCH, "headers"), {"a": {"exact": "1"}}),
    ((*ROUTE, "retries"), {"on": ["503", 502], "backoff": {"base": "1ms"}}),
    ((*ROUTE, "request_headers"), {"remove": ["a"], "set": {"b": "c"}}),
    ((*ROUTE, "rewrite"), {"hostname": "a", "path": {"replace_prefix": "/"}}),
    (("routes", "main", 1), {"redirect": {"port": 1}}),
    ((*CLUSTER, "circuit_breaker"), {"max_requests": None}),
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**40) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def paths_of(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [found for key, value in items for found in [(*path, key), *paths_of(value, (*path, key))]]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(paths_of(FULL)), JUNK), min_size=1, max_size=3))
def test_anything_anywhere_is_taken_or_refused_with_its_path(changes: list[tuple[Any, Any]]) -> None:
    data = copy.deepcopy(FULL)
    for path, value in changes:
        inner: Any = data
        with contextlib.suppress(KeyError, IndexError, TypeError):  # an earlier change took the place away
            for part in path[:-1]:
                inner = inner[part]
            inner[path[-1]] = value
    errors, warnings = problems_of(data)
    assert all(problem.line > 0 or problem.path == "" for problem in errors + warnings)
