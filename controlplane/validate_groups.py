"""The checks of how endpoints are cut into groups: zones, and the subsets that backends and mirrors ask for.

What is found is odd and never wrong: endpoints with other metadata, or in another zone, may come with the
next version.
"""

from collections.abc import Iterator

from tulle.controlplane.address import is_name, parse_address
from tulle.controlplane.findings import Report, did_you_mean
from tulle.controlplane.model import Config
from tulle.controlplane.model_clusters import Cluster, ZoneAware
from tulle.controlplane.model_routes import Backend
from tulle.controlplane.model_traffic import Mirror
from tulle.controlplane.problems import Path
from tulle.controlplane.subsets import pairs
from tulle.controlplane.table import Pairs


def check_groups(config: Config, report: Report) -> None:
    for name, cluster in config.clusters.items():
        if cluster.zone_aware is not None and cluster.zone_aware.enabled and cluster.endpoints:
            _check_zone(cluster, cluster.zone_aware, config.zone, ("clusters", name, "zone_aware"), report)
    seen: set[tuple[str, Pairs]] = set()
    for backend, path in _backends(config):
        cluster_of = config.clusters.get(backend.cluster)
        asked = (backend.cluster, pairs(backend.subset))
        if cluster_of is not None and cluster_of.endpoints and asked not in seen:
            seen.add(asked)
            _check_subset(backend, cluster_of, (*path, "subset"), report)


def _backends(config: Config) -> Iterator[tuple[Backend | Mirror, Path]]:
    """Those that ask for a subset."""
    for number, listener in enumerate(config.listeners):
        for index, backend in enumerate(listener.backends):
            if backend.subset:
                yield backend, ("listeners", number, "backends", index)
    for name, routes in config.routes.items():
        for number, route in enumerate(routes):
            for index, backend in enumerate(route.backends):
                if backend.subset:
                    yield backend, ("routes", name, number, "backends", index)
            for index, mirror in enumerate(route.mirror):
                if mirror.subset:
                    yield mirror, ("routes", name, number, "mirror", index)


def _check_zone(
    cluster: Cluster, zone_aware: ZoneAware, own_zone: str | None, path: Path, report: Report
) -> None:
    if own_zone is None:
        report.warning(
            "no-zone", path, "has no effect: it is not known in which zone the proxy is",
            "Set zone at the top, --zone or TULLE_ZONE.",
        )  # fmt: skip
        return
    zones = sorted({endpoint.zone for endpoint in cluster.endpoints if endpoint.zone})
    if own_zone not in zones:
        known = f"There are {', '.join(zones[:10])}." if zones else "None of them has a zone."
        report.warning(
            "unknown-zone", path, f"no endpoint is in {own_zone!r}, the zone of the proxy",
            did_you_mean(own_zone, zones, known),
        )  # fmt: skip
    elif len(cluster.endpoints) < zone_aware.min_cluster_size and not _has_names(cluster):
        report.warning(
            "zone-size", path,
            f"has no effect: there are {len(cluster.endpoints)} endpoints, "
            f"and min_cluster_size is {zone_aware.min_cluster_size}",
        )  # fmt: skip


def _has_names(cluster: Cluster) -> bool:
    """Whether there is an endpoint that may become several."""
    for endpoint in cluster.endpoints:
        try:
            if is_name(parse_address(endpoint.address)):
                return True
        except ValueError:
            return True
    return False


def _check_subset(backend: Backend | Mirror, cluster: Cluster, path: Path, report: Report) -> None:
    for key in backend.subset:
        if not any(key in endpoint.metadata for endpoint in cluster.endpoints):
            known = sorted({known for endpoint in cluster.endpoints for known in endpoint.metadata})
            report.warning(
                "unknown-metadata", (*path, key),
                f"no endpoint of {backend.cluster!r} has {key!r} in its metadata", did_you_mean(key, known),
            )  # fmt: skip
            return
    wanted = backend.subset.items()
    if not any(wanted <= endpoint.metadata.items() for endpoint in cluster.endpoints):
        outcome = (
            "any endpoint will serve" if cluster.subset_fallback == "any" else "every request gets a 503"
        )
        text = ", ".join(f"{key}: {value}" for key, value in wanted)
        report.warning("empty-subset", path, f"no endpoint of {backend.cluster!r} has {{{text}}}: {outcome}")
