"""The checks of options that are about one version of HTTP."""

from tulle.controlplane.findings import Report
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.model_http import KeepAlive
from tulle.controlplane.problems import Path
from tulle.controlplane.validate_values import check_durations


def check_keepalive(keepalive: KeepAlive | None, path: Path, report: Report) -> None:
    """`path` is that of the section itself."""
    if keepalive is not None:
        check_durations(
            {"interval": keepalive.interval, "timeout": keepalive.timeout},
            path, ("interval", "timeout"), report,
        )  # fmt: skip


def check_http_of_cluster(cluster: Cluster, path: Path, report: Report) -> None:
    """What depends on the version that its endpoints speak."""
    keepalive = cluster.connection_pool.keepalive
    check_keepalive(keepalive, (*path, "connection_pool", "keepalive"), report)
    if keepalive is not None and cluster.protocol == "http1":
        report.error(
            "combination", (*path, "connection_pool", "keepalive"),
            "means nothing with protocol: http1, which has no PING",
            "Leave it out, or write `protocol: http2` if that is what the endpoints speak.",
        )  # fmt: skip
    if cluster.header_case != "keep" and cluster.protocol == "http2":
        report.error(
            "combination", (*path, "header_case"),
            "means nothing with protocol: http2, where all names are in lower case",
            "Leave it out.",
        )  # fmt: skip
