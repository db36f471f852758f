"""What `tulle explain` prints."""

import io
from pathlib import Path

import pytest

from tulle.proxy.commands import run
from tulle.proxy.explain import parse_request, run_explain
from tulle.proxy.failure import Failure

CONFIG = """
listeners:
  - {name: web, address: "127.0.0.1:8080", routes: main}
  - {name: strict, address: "127.0.0.1:8081", routes: main, path: {slashes: refuse}}
  - {name: raw, address: "127.0.0.1:1", backends: [{cluster: v1}]}
routes:
  unused:
    - {name: x, response: {}}
  main:
    - name: canary
      hostnames: ["*.example.com"]
      matches:
        - {path: {prefix: /api}, method: POST}
        - {path: {prefix: /api}, headers: {x-canary: {exact: "1"}}, query: {v: {regex: "[0-9]+"}}}
      backends: [{cluster: v2, weight: 1}, {cluster: v1, weight: 3}]
      timeouts: {request: 0s}
      retries: {attempts: 2, on: [reset, "503"]}
      rewrite: {hostname: inner, path: {replace_prefix: /v2}}
      response_headers: {remove: [server]}
    - name: stable
      hostnames: ["*.example.com"]
      matches: [{path: {prefix: /api}}]
      backends: [{cluster: v1}]
    - {name: other-host, hostnames: [other.org], matches: [{path: {prefix: /api}}], backends: [{cluster: v1}]}
    - name: moved
      matches: [{path: {prefix: /old}}]
      redirect: {scheme: https, port: 8443, path: {replace_prefix: /}, status: 308}
clusters:
  v1: {endpoints: [{address: "127.0.0.1:9001"}, {address: "v1.internal:80"}]}
  v2: {load_balancer: least_request}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tulle.yaml"
    path.write_text(CONFIG)
    return path


def explain(
    config: Path, method: str, url: str, *headers: str, listener: str | None = None
) -> tuple[int, list[str]]:
    out = io.StringIO()
    status = run_explain(config, method, url, headers, listener, out)
    return status, out.getvalue().splitlines()


def test_a_route_that_forwards(config: Path) -> None:
    status, lines = explain(config, "GET", "http://a.example.com:8080/x/../api//y?v=7", "X-Canary: 1")
    assert status == 0
    assert lines == [
        "request   GET /x/../api//y for a.example.com, on the listener web",
        "path      /api/y, the normal form",
        "route     canary (routes.main[0])",
        "because   prefix /api, header x-canary = '1', query v ~ '[0-9]+'; for *.example.com",
        "cluster   v2: 25 %, least_request over no endpoints",
        "cluster   v1: 75 %, round_robin over 127.0.0.1:9001, v1.internal:80",
        "rewrite   /v2/y for inner",
        "timeouts  idle 5m",
        "retries   2 after reset, 503; pauses up to 25ms, doubling to 250ms",
        "limits    v2: 1,024 connections, 1,024 pending requests, 1,024 requests, 3 retries",
        "limits    v1: 1,024 connections, 1,024 pending requests, 1,024 requests, 3 retries",
        "headers   of the response: remove server",
        "not by",
        "          stable (prefix /api): would take it, but comes later in the order of precedence",
        "          other-host (prefix /api): only for other.org",
        "          moved (prefix /old): the path differs",
    ]


def test_what_a_near_miss_lacks(config: Path) -> None:
    _, lines = explain(config, "GET", "http://a.example.com/api?v=x", "x-canary: 1")
    assert "route     stable (routes.main[1])" in lines
    assert "          canary (prefix /api, method POST): the method differs" in lines


def test_a_redirect(config: Path) -> None:
    status, lines = explain(config, "GET", "/old/a", "host: any")
    assert status == 0
    assert "answer    308, a redirect to https://<host>:8443/a" in lines


def test_no_route(config: Path) -> None:
    status, lines = explain(config, "GET", "nowhere.org/api")
    assert status == 1
    assert lines[:2] == [
        "request   GET /api for nowhere.org, on the listener web",
        "answer    404: no route takes it (NR)",
    ]
    assert "          other-host (prefix /api): only for other.org" in lines


def test_a_path_that_is_refused(config: Path) -> None:
    status, lines = explain(config, "GET", "/a//b", listener="strict")
    assert status == 1
    assert lines[1].startswith("answer    400:")
    assert explain(config, "GET", "/old//b", listener="web")[0] == 0


@pytest.mark.parametrize(
    ("listener", "headers", "reason"),
    [("nope", [], "web, strict, raw"), (None, ["nonsense"], "name: value")],
)
def test_what_cannot_be_explained(
    config: Path, listener: str | None, headers: list[str], reason: str
) -> None:
    with pytest.raises(Failure, match=reason):
        run_explain(config, "GET", "/", headers, listener, io.StringIO())


def test_a_config_with_errors(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"workers": 0}')
    with pytest.raises(Failure, match=r"a\.json:1: workers"):
        run_explain(path, "GET", "/")


def test_the_command(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", "-c", str(config), "-H", "host: a.example.com", "--listener", "web", "GET", "/api"]
    assert run(words, None) == 0
    assert "route     stable (routes.main[1])" in capsys.readouterr().out
    assert run([*words[:-1], "/nowhere"]) == 1


@pytest.mark.parametrize(
    ("url", "host", "path", "query"),
    [
        ("http://a.com:80/b?c=d", b"a.com", b"/b", b"c=d"),
        ("a.com/b", b"a.com", b"/b", b""),
        ("//a.com", b"a.com", b"/", b""),
        ("/b//c%2F?x=/y", b"", b"/b//c%2F", b"x=/y"),
        ("http://[::1]:80/ä", b"[::1]", b"/%C3%A4", b""),
        ("http://[::1]/", b"[::1]", b"/", b""),
    ],
)
def test_requests_from_what_was_typed(url: str, host: bytes, path: bytes, query: bytes) -> None:
    assert parse_request("GET", url, [])[1:4] == (host, path, query)


def test_a_route_to_subsets(tmp_path: Path) -> None:
    path = tmp_path / "tulle.yaml"
    path.write_text("""
listeners: [{name: web, address: "127.0.0.1:8080", routes: main}]
routes:
  main:
    - name: canary
      backends:
        - {cluster: v1, weight: 9, subset: {version: v1, tier: x}}
        - {cluster: v1, subset: {version: v3}}
clusters:
  v1:
    subset_fallback: any
    endpoints:
      - {address: "127.0.0.1:9001", metadata: {version: v1, tier: x}}
      - {address: "127.0.0.1:9002", metadata: {version: v1}}
""")
    _, lines = explain(path, "GET", "/")
    assert [line for line in lines if line.startswith(("cluster", "          when"))] == [
        "cluster   v1 {tier: x, version: v1}: 90 %, round_robin over 127.0.0.1:9001",
        "          when none of these may be used, any endpoint serves",
        "cluster   v1 {version: v3}: 10 %, round_robin over no endpoints",
        "          when none of these may be used, any endpoint serves",
    ]


def test_policies_on_the_way(tmp_path: Path) -> None:
    path = tmp_path / "tulle.yaml"
    path.write_text("""
listeners:
  - {name: web, address: "127.0.0.1:1", routes: r, rate_limits: [{requests: 1000, burst: 50}]}
routes:
  r:
    - backends: [{cluster: c}]
      timeouts: {first_byte: 1s, request: 10s}
      max_request_body: 1MiB
      rate_limits: [{requests: 5, per: 1m, key: client_address}, {requests: 2, key: {header: X-Key}}]
      cors: {allow_origins: ["https://a.example.com"]}
      fault:
        delay: {duration: 2s, percentage: 0.5}
        abort: {status: 503, headers: {x-chaos: {present: true}}}
      mirror: [{cluster: d, percentage: 10}]
clusters: {c: {}, d: {}}
""")
    status, lines = explain(path, "GET", "http://a/")
    assert status == 0
    assert [line for line in lines if line.split()[0] in ("limit", "cors", "body", "fault", "mirror")] == [
        "limit     of the listener: 1,000 in 1s, 50 at once, all together",
        "cors      for https://a.example.com",
        "body      of the request at most 1,048,576 bytes",
        "limit     5 in 1m, each client address",
        "limit     2 in 1s, each value of x-key",
        "fault     2s of delay for 0.5 %",
        "fault     503 for all with x-chaos",
        "mirror    d: 10 %",
    ]
    assert "timeouts  first byte 1s, request 10s, idle 5m" in lines
