"""A control plane's metrics for Prometheus. Labels are bounded: nothing that a peer sends is one."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

import tulle
from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.plane.credentials import Credentials
from tulle.controlplane.plane.figures import BOUNDS, Figures
from tulle.controlplane.plane.sources.base import Store
from tulle.controlplane.plane.state import Plane

if TYPE_CHECKING:
    from tulle.controlplane.plane.server import Server

CONTENT_TYPE = CONTENT_TYPE_LATEST
STATES = ("synced", "pending", "refused", "stale")


class Known(NamedTuple):
    """All that there is to be told of one control plane."""

    plane: Plane
    store: Store
    credentials: Credentials
    server: "Server"

    @property
    def figures(self) -> Figures:
        return self.plane.figures


def exposition(known: Known) -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reading(known))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Reading(Collector):
    def __init__(self, known: Known) -> None:
        self.known = known

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from _sidecars(self.known)
        yield from _mesh(self.known)
        yield from _updates(self.known.figures)
        yield from _certificates(self.known)
        yield from _sources(self.known)
        yield GaugeMetricFamily(
            "tulle_plane_start_timestamp_seconds", "When it began, since the epoch.", self.known.figures.began
        )
        build = GaugeMetricFamily("tulle_plane_build_info", "1.", labels=("version",))
        build.add_metric([tulle.__version__], 1)
        yield build


def _sidecars(known: Known) -> Iterator[Metric]:
    sidecars = GaugeMetricFamily(
        "tulle_plane_sidecars",
        "Sidecars by how they follow the mesh; those that have gone are `stale` for an hour.",
        labels=("state",),
    )
    states, versions = known.plane.standing()
    for state in STATES:
        sidecars.add_metric([state], states[state])
    yield sidecars
    yield GaugeMetricFamily(
        "tulle_plane_sidecar_versions", "Different versions that connected sidecars have in use.", versions
    )
    connections = GaugeMetricFamily(
        "tulle_plane_connections", "Open connections, by whether a certificate was shown.", labels=("peer",)
    )
    unknown = known.server.unknown
    connections.add_metric(["known"], len(known.server.connections) - unknown)
    connections.add_metric(["unknown"], unknown)
    yield connections
    yield _counter(
        "tulle_plane_turned_away",
        "Those that came and found no room: without a certificate (`unknown`), or by `max_sidecars`.",
        ("reason",),
        {(reason,): known.figures.turned_away[reason] for reason in ("unknown", "max_sidecars")},
    )


def _mesh(known: Known) -> Iterator[Metric]:
    plane, mesh = known.plane, known.plane.mesh
    yield GaugeMetricFamily(
        "tulle_plane_mesh_serial", "Of the mesh in force; 0: there is none yet.", plane.serial
    )
    services = mesh.services.values() if mesh is not None else ()
    yield GaugeMetricFamily("tulle_plane_services", "Services of the mesh in force.", len(services))
    yield GaugeMetricFamily(
        "tulle_plane_endpoints", "Their endpoints.", sum(len(service.endpoints) for service in services)
    )
    yield GaugeMetricFamily(
        "tulle_plane_leases",
        "Endpoints that have registered themselves, or that DNS has told.",
        plane.leased.count,
    )
    yield GaugeMetricFamily(
        "tulle_plane_mesh_refused", "1 while what the sources have is refused.", int(bool(plane.refused))
    )


def _updates(figures: Figures) -> Iterator[Metric]:
    yield _counter(
        "tulle_plane_updates",
        "Updates that were sent to sidecars, and those that they have taken (`success`) and refused.",
        ("outcome",),
        {(outcome,): figures.updates[outcome] for outcome in ("sent", "success", "refused")},
    )
    active = HistogramMetricFamily(
        "tulle_plane_active_seconds",
        "From a change in a source until it is active in all workers of a sidecar, for each sidecar.",
    )
    seen, buckets = 0, []
    for bound, count in zip((*map(repr, BOUNDS), "+Inf"), figures.active, strict=True):
        seen += count
        buckets.append((bound, seen))
    active.add_metric([], buckets, figures.active_seconds)
    yield active


def _certificates(known: Known) -> Iterator[Metric]:
    figures = known.figures
    yield _counter(
        "tulle_plane_certificates_issued",
        "Certificates issued to sidecars: for a join token (`enrol`) or for the present one (`renew`).",
        ("kind",),
        {(kind,): figures.issued[kind] for kind in ("enrol", "renew")},
    )
    yield _counter(
        "tulle_plane_certificates_refused",
        "Certificates that were asked for and not issued, by why.",
        ("kind", "reason"),
        figures.refused,
    )
    expiry = GaugeMetricFamily(
        "tulle_plane_certificate_expiration_timestamp_seconds",
        "When certificates of the CA expire, and the control plane's own (`own`), since the epoch.",
        labels=("name", "role"),
    )
    expiry.add_metric(["own", "own"], known.credentials.expires)
    try:
        for shown in known.credentials.store.shown():
            expiry.add_metric([shown.file.removesuffix(".pem"), shown.role], shown.facts.not_after)
    except IdentityError:
        pass  # it is told in the log, and what is not known is left out
    yield expiry


def _sources(known: Known) -> Iterator[Metric]:
    figures = known.figures
    yield _counter(
        "tulle_plane_loads",
        "Looks at what the sources have: taken (`success`), nothing new (`unchanged`), refused.",
        ("outcome",),
        {(outcome,): figures.loads[outcome] for outcome in ("success", "unchanged", "refused")},
    )
    yield GaugeMetricFamily(
        "tulle_plane_load_timestamp_seconds",
        "When what the sources have was last found right, since the epoch.",
        figures.loaded_at,
    )
    yield GaugeMetricFamily(
        "tulle_plane_source_known", "1 once all sources have been read.", int(known.store.known)
    )
    yield GaugeMetricFamily(
        "tulle_plane_source_trouble", "1 while a source cannot be followed.", int(bool(known.store.trouble))
    )


def _counter(
    name: str,
    help_text: str,
    labels: tuple[str, ...],
    counts: "dict[tuple[str, ...], int] | Counter[tuple[str, str]]",
) -> Metric:
    metric = CounterMetricFamily(name, help_text, labels=labels)
    for values, count in sorted(counts.items()):
        metric.add_metric(list(values), count)
    return metric
