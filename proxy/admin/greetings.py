"""How connections began, for Prometheus: what came of PROXY headers, and what was detected."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

HEADERS = ("accepted", "absent", "missing", "malformed", "untrusted", "timeout")
PROTOCOLS = ("http1", "http2", "tls", "tcp", "silent", "port")


def greeting_metrics(totals: dict[str, int]) -> Iterator[Metric]:
    headers = CounterMetricFamily(
        "tulle_proxy_protocol", "Connections by what came of their PROXY header.", labels=("outcome",)
    )
    for outcome in HEADERS:
        headers.add_metric([outcome], totals.get(f"proxy_header_{outcome}", 0))
    yield headers
    detected = CounterMetricFamily(
        "tulle_detected_connections",
        "Connections by what they were found to speak, in the open and within TLS.",
        labels=("layer", "protocol"),
    )
    for layer in ("plain", "tls"):
        for protocol in PROTOCOLS:
            detected.add_metric([layer, protocol], totals.get(f"detected_{layer}_{protocol}", 0))
    yield detected
    yield CounterMetricFamily(
        "tulle_websocket_farewells",
        "WebSockets that a drain has told to go.",
        value=totals.get("websocket_farewells", 0),
    )
