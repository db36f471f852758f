"""From a file to sealed segments, settings and names."""

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tulle._fast.policy.explain import Explainer
from tulle.controlplane.compile import (
    Compiled,
    ConfigSource,
    compile_config,
    compile_endpoints,
    decode_result,
    encode_result,
    release_names,
)
from tulle.controlplane.model import Config, simple_config
from tulle.controlplane.names import decode_names
from tulle.controlplane.table import decode_table

SAMPLE = """
workers: 2
drain_timeout: 30s
admin: {address: 127.0.0.1:15000}
access_log: {path: /dev/stdout, format: json}
listeners:
  - {name: web, address: "127.0.0.1:8080", protocol: http, routes: main}
routes:
  main:
    - name: canary
      hostnames: [shop.example.com, "*.shop.example.com"]
      matches:
        - path: {prefix: /api}
          method: GET
          headers: {x-canary: {exact: "1"}}
          query: {v: {exact: "2"}}
      backends: [{cluster: v2, weight: 10}, {cluster: v1, weight: 90}]
      timeouts: {request: 15s, per_try: 2s, idle: 60s}
      retries: {attempts: 2, on: [connect-failure, reset, "503"]}
      request_headers: {set: {x-env: prod}, add: {x-seen: tulle}, remove: [x-debug]}
      rewrite: {hostname: v2.internal, path: {replace_prefix: /}}
    - name: moved
      matches: [{path: {exact: /old}}]
      redirect: {scheme: https, hostname: shop.example.com, path: {replace_full: /new}, status: 301}
    - {name: alive, matches: [{path: {exact: /alive}}], response: {status: 200, body: "yes"}}
clusters:
  v1:
    endpoints: [{address: 127.0.0.1:9001, weight: 1, zone: a}]
    load_balancer: least_request
    connect_timeout: 1s
    circuit_breaker: {max_connections: 1024, max_pending_requests: 1024, max_requests: 1024, max_retries: 3}
  v2:
    endpoints: [{address: "v2.internal:9002"}]
"""


@contextmanager
def compiled(
    source: ConfigSource, previous: bytes | None = None, version: int = 1
) -> Iterator[tuple[Compiled, mmap.mmap, mmap.mmap]]:
    """A compiled config and its mapped segments."""
    outcome = compile_config(source, previous, version)
    assert outcome.result.ok, outcome.result.errors
    routes = mmap.mmap(outcome.routes_fd, 0, prot=mmap.PROT_READ)
    endpoints = mmap.mmap(outcome.endpoints_fd, 0, prot=mmap.PROT_READ)
    try:
        yield outcome, routes, endpoints
    finally:
        os.close(outcome.routes_fd)
        os.close(outcome.endpoints_fd)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "tulle.yaml"
    path.write_text(SAMPLE)
    return path


def test_the_sample_of_the_design_routes(sample: Path) -> None:
    with compiled(sample) as (_, routes, _):
        explainer = Explainer(routes)
        headers = [(b"X-Canary", b"1")]
        taken = explainer.match("web", b"GET", b"a.shop.example.com", b"/%61pi/x", b"v=2", headers)
        assert taken == (b"/api/x", 0, 0, 4, [(0, 0, "taken")])
        refused = explainer.match("web", b"GET", b"shop.example.com", b"/api/x", b"v=3", headers)
        assert refused == (b"/api/x", None, None, 0, [(0, 0, "query")])
        assert explainer.match("web", b"GET", b"any", b"/old")[1] == 1
        assert explainer.match("web", b"GET", b"any", b"/alive")[1] == 2
        assert explainer.match("web", b"GET", b"any", b"/alive/")[1] is None


def test_settings_tell_the_master_what_it_needs(sample: Path) -> None:
    with compiled(sample) as (outcome, _, _):
        settings = outcome.result.settings
        assert settings is not None
        assert (settings.workers, settings.drain_timeout, settings.admin_address) == (
            2,
            30 * 10**9,
            "127.0.0.1:15000",
        )
        assert [(one.id, one.name, one.address) for one in settings.listeners] == [
            (1, "web", "127.0.0.1:8080")
        ]
        assert [(one.cluster, one.endpoint, one.key) for one in settings.endpoint_names] == [
            ("v2", 0, "v2.internal:9002")
        ]
        assert decode_result(encode_result(outcome.result)) == outcome.result


def test_segments_are_sealed_and_of_their_exact_size(sample: Path) -> None:
    with compiled(sample) as (outcome, routes, endpoints):
        for fd, segment in ((outcome.routes_fd, routes), (outcome.endpoints_fd, endpoints)):
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
            assert seals == fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            assert int.from_bytes(segment[8:16], "little") == os.fstat(fd).st_size == len(segment)
            with pytest.raises(OSError, match=r"not permitted"):
                os.pwrite(fd, b"x", 0)


def test_a_map_may_lie_anywhere(sample: Path) -> None:
    """The same segment mapped twice, and copied, answers alike: it holds no pointers."""
    with compiled(sample) as (outcome, routes, _):
        other = mmap.mmap(outcome.routes_fd, 0, prot=mmap.PROT_READ)
        answers = {
            str(Explainer(where).match("web", b"GET", b"x", path))
            for where in (routes, other, bytes(routes), bytearray(routes))
            for path in (b"/alive",)
        }
        assert len(answers) == 1


def test_names_keep_their_numbers() -> None:
    first = simple_config("127.0.0.1:80", ["127.0.0.1:1", "127.0.0.1:2"])
    second = simple_config("127.0.0.1:80", ["127.0.0.1:2", "127.0.0.1:3"])
    with compiled(first) as (one, _, _), compiled(second, one.result.names, 2) as (two, _, _):
        before, after = decode_names(one.result.names), decode_names(two.result.names)
        assert before.routes.live == after.routes.live == {"default default": 1}
        assert after.endpoints.live["default 127.0.0.1:2"] == before.endpoints.live["default 127.0.0.1:2"]
        assert after.endpoints.live["default 127.0.0.1:3"].slot == 2
        assert after.endpoints.retiring["default 127.0.0.1:1"].slot == 0
        third = simple_config("127.0.0.1:80", ["127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"])
        with compiled(third, release_names(two.result.names, two.result.serial), 3) as (three, _, _):
            reused = decode_names(three.result.names).endpoints.live["default 127.0.0.1:4"]
            assert (reused.slot, reused.generation) == (0, 4)


def test_resolved_names_become_endpoints(sample: Path) -> None:
    with compiled(sample) as (outcome, _, endpoints):
        assert b"127.0.0.1:9001" in endpoints[:]
        again = compile_endpoints(
            outcome.result.table, outcome.result.names, 1, {"v2.internal:9002": ["127.0.0.7", "::1"]}, ""
        )
        try:
            content = os.pread(again.endpoints_fd, 1 << 20, 0)
        finally:
            os.close(again.endpoints_fd)
        assert again.serial == outcome.result.serial + 1
        assert b"127.0.0.7:9002" in content
        assert b"[::1]:9002" in content
        assert "v2 127.0.0.7:9002" in decode_names(again.names).endpoints.live


def test_the_table_survives_the_wire(sample: Path) -> None:
    with compiled(sample) as (outcome, _, _):
        table = decode_table(outcome.result.table)
        route = table.tables[0].routes[0]
        assert route.name == "canary"
        assert [(table.clusters[backend.cluster].name, backend.weight) for backend in route.backends] == [
            ("v2", 10),
            ("v1", 90),
        ]
        assert route.retry is not None
        assert (route.retry.on, route.retry.statuses) == (("connect-failure", "reset"), (503,))


def test_a_broken_file_is_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "tulle.yaml"
    path.write_text("workers: 1\nlisteners: ]\n")
    outcome = compile_config(path, None, 1)
    assert not outcome.result.ok
    assert outcome.routes_fd == outcome.endpoints_fd == -1
    assert outcome.result.errors[0].line == 2


def test_an_empty_config_compiles() -> None:
    with compiled(Config()) as (outcome, routes, _):
        assert outcome.result.settings is not None
        with pytest.raises(LookupError, match="web"):
            Explainer(routes).match("web", b"GET", b"", b"/")
