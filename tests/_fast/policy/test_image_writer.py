"""What is in the segments, field by field."""

import socket
import struct
from typing import Any

from msgspec.structs import replace

from tulle._fast.policy.endpoints_writer import write_endpoints
from tulle._fast.policy.image_reader import Reader
from tulle._fast.policy.image_writer import OPERATORS, write_routes
from tulle.controlplane.grouping import ClusterEndpoints, HostGroup, HostSet
from tulle.controlplane.log_format import OPERATORS as NAMES
from tulle.controlplane.log_format import OPERATORS_OF_HEADERS
from tulle.controlplane.regex import compile_pattern
from tulle.controlplane.table import (
    AdaptiveRow,
    BackendRow,
    ClusterRow,
    EditRow,
    FailureRateRow,
    ListenerRow,
    LogItemRow,
    MatchRow,
    OutlierRow,
    PathEditRow,
    PredicateRow,
    RateRow,
    ResponseRow,
    RetryBudgetRow,
    RetryRow,
    RouteRow,
    RoutingTable,
    TableRow,
    TargetRow,
)

HEADERS = (PredicateRow("x-again", "present"), PredicateRow("x-kind", "exact", "busy"))
REASONS = ("connect-failure", "reset", "5xx", "gateway-error", "retriable-headers")
FORWARD = RouteRow(
    name="forward",
    kind="forward",
    matches=(MatchRow(),),
    backends=(BackendRow(1, 10, 2), BackendRow(0, 90)),
    request_timeout=1,
    try_timeout=2,
    idle_timeout=3,
    retry=RetryRow(4, REASONS, (503, 429), 5, 6, True, 7, HEADERS, 8),
    target=TargetRow(hostname="h", path=PathEditRow("prefix", "/p")),
    request_edits=(
        EditRow("remove", "X-Debug"),
        EditRow("set", "User-Agent", "u"),
        EditRow("add", "x-a", "é"),
    ),
    response_edits=(EditRow("set", "via", "v"),),
    upgrade=True,
    connect=True,
)
REDIRECT = RouteRow(
    name="redirect",
    kind="redirect",
    matches=(MatchRow(),),
    target=TargetRow("https", "h2", 8443, PathEditRow("full", "/f")),
    status=308,
    upgrade=False,
)
RESPONSE = RouteRow(
    "response", "response", (), (MatchRow(),), status=201, response=ResponseRow("body", "text/x")
)
A_FLAGS: Any = ("merge", "refuse", True, True, "me", True)
B_FLAGS: Any = ("refuse", "decode", False, False, "", False)
C_FLAGS: Any = ("keep", "keep", True, False, "", False)
BUDGET = RetryBudgetRow(21, 22)
ADAPTIVE = AdaptiveRow(0.5, 0.25, 29, 30, 31, 32, 33, 34, 35)
RATE = FailureRateRow(23, 24, 25, 26, 27, 28, ("cluster", "endpoint"))
BREAKERS: Any = {"failure_rate": RATE, "adaptive": ADAPTIVE}
SUBSETS = ((("a", "b"),), (("c", "d"),))
TABLE = RoutingTable(
    listeners=(
        ListenerRow("a", "127.0.0.1:1", "http", 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, *A_FLAGS),
        ListenerRow("b", "127.0.0.1:2", "tcp", 1, 0, 0, 0, 5, 6, 7, 0, 9, 0, *B_FLAGS),
        ListenerRow("c", "127.0.0.1:3", "auto", 1, 0, 0, 0, 5, 6, 7, 0, 9, 0, *C_FLAGS),
    ),
    tables=(TableRow("one", (FORWARD, REDIRECT)), TableRow("two", (RESPONSE,))),
    clusters=(
        ClusterRow("c0", (), "least_request", 3, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, retry_budget=BUDGET),
        ClusterRow("c1", (), "random", 2, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, subsets=SUBSETS, **BREAKERS),
    ),
    log_format="text",
    log_items=(LogItemRow("", "lit "), LogItemRow("REQ", "", "x-a", "x-b", 5), LogItemRow("METHOD")),
)  # fmt: skip


def image(version: int = 9, table: RoutingTable = TABLE) -> bytearray:
    segment: bytearray = write_routes(
        table, [21, 22, 23], [31, 32, 33], [(5, 6), (7, 8)], version, compile_pattern
    )
    return segment


def test_listeners() -> None:
    a, b, c = Reader(image()).routes()["listeners"]
    assert (a["id"], a["name"], a["table"], a["protocol"], a["via"]) == (21, b"a", b"one", 0, b"me")
    assert (a["trusted_hops"], a["max_connections"], a["max_requests"]) == (2, 3, 4)
    assert (a["max_head"], a["max_line"], a["max_fields"], a["max_body"]) == (5, 6, 7, 8)
    assert (a["head_timeout"], a["idle_timeout"]) == (9, 10)
    assert a["flags"] == 1 | 2 | 4 | 8 | 16 | 64
    assert (b["id"], b["table"], b["protocol"], b["flags"]) == (22, b"two", 1, 32 | 128)
    assert (c["table"], c["protocol"], c["flags"]) == (b"two", 2, 1)


def test_routes_that_do_the_same_share_their_entry() -> None:
    other = replace(FORWARD, name="other", hostnames=("h",), matches=(MatchRow(path="/other"),))
    slower = replace(FORWARD, name="slower", idle_timeout=4)
    table = replace(TABLE, tables=(TableRow("one", (FORWARD, other)), TableRow("two", (slower,))))
    one, two, three = Reader(image(table=table)).routes()["routes"]
    assert [(route["id"], route["name"]) for route in (one, two, three)] == [
        (31, b"forward"),
        (32, b"other"),
        (33, b"slower"),
    ]
    assert one["entry"] == two["entry"] != three["entry"]
    assert (one["idle_timeout"], three["idle_timeout"]) == (3, 4)


def test_routes_with_rate_limits_share_nothing() -> None:
    """Their buckets are a route's own."""
    rates = (RateRow("limit", 1, 1_000_000_000, 1, "all"),)
    limited = replace(FORWARD, rate_limits=rates)
    table = replace(TABLE, tables=(TableRow("one", (limited, limited)), TableRow("two", (RESPONSE,))))
    one, two, _ = Reader(image(table=table)).routes()["routes"]
    assert one["entry"] != two["entry"]


def test_a_route_that_forwards() -> None:
    route = Reader(image()).routes()["routes"][0]
    assert (route["id"], route["kind"], route["name"], route["flags"]) == (31, 0, b"forward", 1 | 2 | 4 | 8)
    assert (route["backends"], route["total_weight"]) == ([(1, 10, 2), (0, 100, 0)], 100)
    assert (route["request_timeout"], route["try_timeout"], route["idle_timeout"]) == (1, 2, 3)
    assert (route["retry_attempts"], route["retry_on"], route["retry_statuses"]) == (4, 31 | 64, [503, 429])
    assert (route["retry_base"], route["retry_max"], route["replay_bytes"]) == (5, 6, 7)
    assert (route["retry_headers"], route["retry_after_max"]) == (
        [(b"x-again", 0, b""), (b"x-kind", 1, b"busy")],
        8,
    )
    assert (route["host_value"], route["path_edit"], route["path_value"]) == (b"h", 2, b"/p")
    assert [edit[0] for edit in route["request_edits"]] == [0, 1, 2]
    assert [edit[2:] for edit in route["request_edits"]] == [
        (b"X-Debug", b""), (b"User-Agent", b"u"), (b"x-a", "é".encode()),
    ]  # fmt: skip
    other, user_agent, _ = [edit[1] for edit in route["request_edits"]]
    via = route["response_edits"][0][1]
    assert other == 0
    assert len({other, user_agent, via}) == 3, "well-known names have ids of their own"


def test_routes_that_answer() -> None:
    _, redirect, response = Reader(image()).routes()["routes"]
    assert (redirect["id"], redirect["kind"], redirect["flags"], redirect["status"]) == (32, 1, 0, 308)
    assert (redirect["scheme_value"], redirect["host_value"], redirect["port_value"]) == (
        b"https",
        b"h2",
        8443,
    )
    assert (redirect["path_edit"], redirect["path_value"]) == (1, b"/f")
    assert (response["id"], response["kind"], response["status"]) == (33, 2, 201)
    assert (response["body"], response["content_type"], response["backends"]) == (b"body", b"text/x", [])


def test_clusters() -> None:
    first, second = Reader(image()).routes()["clusters"]
    assert first.pop("outlier")["enabled"] == 0
    assert first == {
        "slot": 5, "generation": 6, "name": b"c0", "balancer": 1, "choices": 3, "connect_timeout": 11,
        "pending_timeout": 12, "max_connections": 13, "max_pending": 14, "max_requests": 15,
        "max_retries": 16, "pool_idle_timeout": 17, "pool_max_requests": 18, "pool_max_age": 19,
        "max_response_head": 20, "protocol": 0, "max_streams": 100, "tls": 0, "proxy_protocol": 0,
        "title_case": 0, "keepalive_interval": 0, "keepalive_timeout": 0,
        "retry_budget": {"enabled": 1, "percent": 21, "least": 22, "reserved": 0},
        "max_step_back": 0,
        "ewma": {"default_rtt": 0, "decay": 0, "failure_penalty": 0},
        "hash_on": {"offset": 0, "count": 0}, "affinity": {"offset": 0, "count": 0},
        "ring": {"smallest": 0, "largest": 0}, "bounded_load": 0.0,
        "slow_start": {"window": 0, "exponent": 0.0, "least": 0},
        "breaker": {
            "scope": 0, "threshold": 0, "minimum": 0, "probes": 0, "window": 0, "open": 0, "open_max": 0,
        },
        "adaptive": {
            "enabled": 0, "min_concurrency": 0, "max_concurrency": 0, "request_count": 0, "percentile": 0.0,
            "buffer": 0.0, "update_interval": 0, "measure_interval": 0, "jitter": 0, "fixed_rtt": 0,
        },
    }  # fmt: skip
    assert second["retry_budget"]["enabled"] == 0
    assert second["breaker"] == {
        "scope": 3, "threshold": 23, "minimum": 25, "probes": 28, "window": 24, "open": 26, "open_max": 27,
    }  # fmt: skip
    assert second["adaptive"] == {
        "enabled": 1, "min_concurrency": 29, "max_concurrency": 30, "request_count": 31, "percentile": 0.5,
        "buffer": 0.25, "update_interval": 32, "measure_interval": 33, "jitter": 34, "fixed_rtt": 35,
    }  # fmt: skip
    assert (second["slot"], second["generation"], second["balancer"]) == (7, 8, 2)


def test_an_outlier_policy() -> None:
    """Every field of the row arrives, and in its own place."""
    fields = OutlierRow.__struct_fields__
    row = OutlierRow(*range(100, 100 + len(fields)))
    clusters = (replace(TABLE.clusters[0], outlier=row), TABLE.clusters[1])
    written = Reader(image(9, replace(TABLE, clusters=clusters))).routes()["clusters"][0]["outlier"]
    assert written.pop("enabled") == 1
    assert written.pop("enforcing")[:7] == [
        getattr(row, name) for name in fields if name.startswith("enforcing_")
    ]
    told = {name: getattr(row, name) for name in fields if not name.startswith("enforcing_")}
    told["split_local"] = told.pop("split_external_local_origin_errors")
    assert written == told


def test_the_log() -> None:
    written = Reader(image()).routes()
    assert written["log_format"] == 1
    assert written["log_items"] == [
        (0, 0, b"lit ", b"", b""),
        (OPERATORS["REQ"], 5, b"", b"x-a", b"x-b"),
        (OPERATORS["METHOD"], 0, b"", b"", b""),
    ]


def test_every_operator_has_a_number_of_its_own() -> None:
    # what is written as %GRPC_STATUS(SNAKE_STRING)% has a number too, but no name
    assert OPERATORS.keys() == NAMES | OPERATORS_OF_HEADERS | {"", "GRPC_STATUS_SNAKE"}
    assert sorted(OPERATORS.values()) == list(range(len(OPERATORS)))


def test_the_same_table_makes_the_same_image() -> None:
    assert image() == image()
    assert Reader(image(7)).routes()["version"] == 7
    assert image(7)[24:] == image(8)[24:]


def test_endpoints() -> None:
    address = struct.pack("=H", socket.AF_INET) + b"\x23\x29\x7f\0\0\1" + bytes(8)
    one = (1, 2, 3, "127.0.0.1:9001", "z", address, 4, 1, '{"a":"b"}')
    two = (4, 5, 1, "unix:/a", "", struct.pack("=H", socket.AF_UNIX) + b"/a\0", 0, 0, "")
    clusters = [ClusterEndpoints([one, two]), ClusterEndpoints([]), ClusterEndpoints([one])]
    written = Reader(write_endpoints(clusters, 7, 8)).endpoints()
    assert (written["version"], written["serial"]) == (7, 8)
    lists = [found for _, found in written["clusters"]]
    assert lists[0][0] == {
        "slot": 1, "generation": 2, "weight": 3, "address_text": b"127.0.0.1:9001", "zone": b"z",
        "address": address, "priority": 4, "zone_kind": 1, "metadata": b'{"a":"b"}',
    }  # fmt: skip
    assert lists[0][1]["address"] == two[5]
    assert (lists[1], lists[2]) == ([], lists[0][:1])
    assert written["sets"] == [[], [], []]


def test_sets_and_groups() -> None:
    endpoints = [(index, 1, 1, "", "", b"", 0, 0, "") for index in range(3)]
    sets = [
        HostSet((), [HostGroup(0, "a", [0]), HostGroup(0, "b", [2, 1])]),
        HostSet((("k", "v"),), [HostGroup(9, "", [1])]),
        HostSet((("k", "w"),), []),
    ]
    written = Reader(write_endpoints([ClusterEndpoints(endpoints, sets=sets)], 1, 1)).endpoints()
    assert written["sets"] == [[[(0, b"a", [0]), (0, b"b", [2, 1])], [(9, b"", [1])], []]]


def test_the_hash_of_a_list_tells_what_a_worker_would_miss() -> None:
    base = (1, 2, 3, "127.0.0.1:9001", "z", b"address", 0, 0, "")

    def hash_of(*servers: tuple[object, ...], **grouping: Any) -> int:
        clusters = [ClusterEndpoints([]), ClusterEndpoints(list(servers), **grouping)]
        found: int = Reader(write_endpoints(clusters, 1, 1)).endpoints()["clusters"][1][0]
        return found

    changed = [
        (*base[:index], value, *base[index + 1 :])
        for index, value in ((0, 9), (1, 9), (2, 9), (4, "y"), (5, b"b"), (6, 1), (7, 1))
    ]
    groupings: list[dict[str, Any]] = [
        {"panic_threshold": 0},
        {"zone_aware": True},
        {"fall_back": True},
        {"sets": [HostSet((), [HostGroup(0, "", [0])])]},
        {"sets": [HostSet((), [HostGroup(1, "", [0])])]},
        {"sets": [HostSet((), [HostGroup(0, "", [0, 0])])]},
        {"sets": [HostSet((), []), HostSet((("a", "b"),), [])]},
        {"sets": [HostSet((), []), HostSet((("b", "a"),), [])]},
    ]
    hashes = [
        hash_of(base), hash_of(), hash_of(base, base), *[hash_of(other) for other in changed],
        *[hash_of(base, **grouping) for grouping in groupings],
    ]  # fmt: skip
    assert len(set(hashes)) == len(hashes)
    assert hash_of(base) == hash_of(base)
