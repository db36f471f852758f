"""The checks of clusters."""

from collections.abc import Mapping

from tulle.controlplane.address import parse_address
from tulle.controlplane.findings import Report
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.problems import Path
from tulle.controlplane.validate_balancing import check_balancing
from tulle.controlplane.validate_circuit_breaker import check_circuit_breaker
from tulle.controlplane.validate_greeting import check_introduction
from tulle.controlplane.validate_health import check_health_checks, check_outlier_detection
from tulle.controlplane.validate_http import check_http_of_cluster
from tulle.controlplane.validate_interception import check_anywhere
from tulle.controlplane.validate_tls import check_cluster_tls
from tulle.controlplane.validate_values import LEAST_HEAD, MOST_HEAD, check_durations, check_size


def check_clusters(clusters: Mapping[str, Cluster], report: Report) -> None:
    for name, cluster in clusters.items():
        path: Path = ("clusters", name)
        pool = cluster.connection_pool
        check_durations(
            {"connect_timeout": cluster.connect_timeout, "pending_timeout": cluster.pending_timeout},
            path, ("connect_timeout", "pending_timeout"), report,
        )  # fmt: skip
        check_durations(
            {"idle_timeout": pool.idle_timeout, "max_connection_age": pool.max_connection_age},
            (*path, "connection_pool"), ("idle_timeout", "max_connection_age"), report,
        )  # fmt: skip
        check_size(cluster.max_response_head, (*path, "max_response_head"), LEAST_HEAD, MOST_HEAD, report)
        check_circuit_breaker(cluster.circuit_breaker, (*path, "circuit_breaker"), report)
        check_http_of_cluster(cluster, path, report)
        if cluster.original_destination:
            check_anywhere(cluster, path, report)
            continue
        _check_endpoints(cluster, path, report)
        check_balancing(cluster, path, report)
        if cluster.tls is None and cluster.protocol == "auto":
            report.error(
                "combination", (*path, "protocol"), "is auto, but without TLS an endpoint cannot choose",
                "Write what the endpoints speak, `http1` or `http2`, or add `tls`.",
            )  # fmt: skip
        if cluster.tls is not None:
            check_cluster_tls(cluster.tls, cluster.protocol, (*path, "tls"), report)
        check_introduction(cluster, path, report)
        check_health_checks(cluster.health_checks, cluster.endpoints, (*path, "health_checks"), report)
        if cluster.outlier_detection is not None:
            check_outlier_detection(
                cluster.outlier_detection, cluster.endpoints, (*path, "outlier_detection"), report
            )


def _check_endpoints(cluster: Cluster, path: Path, report: Report) -> None:
    if not cluster.endpoints:
        report.warning(
            "no-endpoints", path, "has no endpoints: every request to it will be answered with 503"
        )
    seen: dict[str, int] = {}
    for index, endpoint in enumerate(cluster.endpoints):
        try:
            address = str(parse_address(endpoint.address))
        except ValueError as error:
            report.error("address", (*path, "endpoints", index, "address"), str(error))
            continue
        if seen.setdefault(address, index) != index:
            report.error(
                "duplicate", (*path, "endpoints", index, "address"),
                f"endpoints[{seen[address]}] is {address} too", "Give one of them the weight of both.",
            )  # fmt: skip
