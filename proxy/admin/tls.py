"""Handshakes of TLS, by what came of them."""

from prometheus_client.metrics_core import CounterMetricFamily

SIDES = ("downstream", "upstream")
FAILURES = (
    "certificate", "no_certificate", "name", "protocol", "alert", "closed", "timeout", "plain", "displaced",
)  # fmt: skip


def handshakes(totals: dict[str, int], side: str) -> dict[str, int]:
    """How many were full, how many resumed a session, and how many failed, by the reason."""
    resumed = totals.get(f"tls_{side}_resumed", 0)
    found = {"full": totals.get(f"tls_{side}_handshakes", 0) - resumed, "resumed": resumed}
    return found | {reason: totals.get(f"tls_{side}_failed_{reason}", 0) for reason in FAILURES}


def handshakes_metric(totals: dict[str, int]) -> CounterMetricFamily:
    metric = CounterMetricFamily(
        "tulle_tls_handshakes",
        "Handshakes of TLS: full and resumed ones, and why others failed.",
        labels=("side", "outcome"),
    )
    for side in SIDES:
        for outcome, count in handshakes(totals, side).items():
            metric.add_metric([side, outcome], count)
    return metric
