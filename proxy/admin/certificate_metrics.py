"""Metrics of certificates in use. Made of what is no secret."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from tulle.proxy.identity.expiry import first_to_count, name


def certificate_metrics(context: dict[str, Any]) -> Iterator[Metric]:
    """`context` is what the master knows, see `pages`."""
    expiry = GaugeMetricFamily(
        "tulle_certificate_expiration_timestamp_seconds",
        "When it expires, since the epoch: of a chain the first to do so, of CAs the last.",
        labels=("listener", "cluster", "role", "name"),
    )
    found: dict[tuple[str, str, str, str], float] = {}
    for use in context["certificates"]:
        facts = first_to_count(use)
        if facts is None:
            continue
        shown = name(use["certificates"][0]) if use["role"] == "certificate" else facts["subject"]
        owners = [*((one, "") for one in use["listeners"]), *(("", one) for one in use["clusters"])]
        for listener, cluster in owners:
            labels = (listener, cluster, use["role"], shown)
            found[labels] = min(facts["not_after"], found.get(labels, facts["not_after"]))
    for labels, end in found.items():
        expiry.add_metric(list(labels), end)
    yield expiry
    reloads = CounterMetricFamily(
        "tulle_certificate_reloads",
        "Changes of certificate files that were taken, and that were refused.",
        labels=("outcome",),
    )
    for outcome, count in context["certificate_reloads"].items():
        reloads.add_metric([outcome], count)
    yield reloads
