"""Metrics of how it stands between this sidecar and its control plane."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric


def control_metrics(standing: dict[str, Any] | None) -> Iterator[Metric]:
    """`standing` is as `ControlFollower.figures` gives it; None, and no metrics, without a control plane."""
    if standing is None:
        return
    yield GaugeMetricFamily(
        "tulle_control_connected",
        "1 while the control plane is followed; else the last good part of the mesh serves on.",
        value=int(standing.get("connected", False)),
    )
    yield GaugeMetricFamily(
        "tulle_control_since_timestamp_seconds",
        "Since when it is followed, or away, since the epoch.",
        value=standing.get("since", 0.0),
    )
    yield InfoMetricFamily(
        "tulle_control_mesh", "The part of the mesh in use.", {"version": standing["version"]}
    )
    updates = CounterMetricFamily(
        "tulle_control_updates",
        "Updates of the control plane that were taken and refused.",
        labels=("outcome",),
    )
    updates.add_metric(["success"], standing.get("updates", 0))
    updates.add_metric(["refused"], standing.get("refusals", 0))
    yield updates
    yield CounterMetricFamily(
        "tulle_control_reconnects",
        "How often the control plane was lost.",
        value=standing.get("reconnects", 0),
    )
    yield GaugeMetricFamily(
        "tulle_control_certificate_expiration_timestamp_seconds",
        "When the certificate of this sidecar expires, since the epoch.",
        value=standing.get("certificate_expires", 0.0),
    )
