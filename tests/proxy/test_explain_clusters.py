"""What `tulle explain` prints of further tries and of what bounds them."""

import io
from pathlib import Path

import pytest

from tulle.proxy.explain import run_explain

CONFIG = """
listeners:
  - {name: web, address: "127.0.0.1:8080", routes: main}
routes:
  main:
    - {name: at, matches: [{path: {prefix: /at}}], backends: [{cluster: plain}], hedging: {delay: 50ms}}
    - name: quantile
      matches: [{path: {prefix: /quantile}}]
      backends: [{cluster: guarded, subset: {v: "1"}}, {cluster: guarded}, {cluster: plain}]
      hedging: {quantile: 0.95, min_delay: 10ms}
      retries: {attempts: 0}
clusters:
  plain:
    endpoints: [{address: "127.0.0.1:9001"}]
    circuit_breaker:
      {max_connections: null, max_pending_requests: null, max_requests: null, max_retries: null}
  guarded:
    endpoints: [{address: "127.0.0.1:9002", metadata: {v: "1"}}]
    circuit_breaker:
      max_requests: 20000
      retry_budget: {percent: 25, min_per_second: 1000}
      failure_rate: {threshold: 40, window: 20s, minimum_requests: 1000, open: 2s, max_open: 30s}
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/at", ["retries   none", "hedging   a second try after 50ms"]),
        (
            "/quantile",
            [
                "retries   none",
                "hedging   a second try after what 95 % of the answers take, at least 10ms",
                "limits    guarded: 1,024 connections, 1,024 pending requests, 20,000 requests, "
                "retries 25 % of the requests or 1,000 a second",
                "breaker   guarded, by endpoint and cluster: open for 2s to 30s "
                "when 40 % of 1,000 or more fail in 20s",
            ],
        ),
    ],
)
def test_tries_and_limits(tmp_path: Path, path: str, expected: list[str]) -> None:
    file = tmp_path / "tulle.yaml"
    file.write_text(CONFIG)
    out = io.StringIO()
    assert run_explain(file, "GET", path, ["host: any"], out=out) == 0
    told = [line for line in out.getvalue().splitlines() if not line.startswith((" ", "not by"))]
    assert told[told.index("retries   none") :] == expected
