"""The checks of how connections begin: the PROXY protocol on both sides, and detection."""

from tulle.controlplane.findings import Report
from tulle.controlplane.model import Listener
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.model_greeting import Detection
from tulle.controlplane.problems import Path
from tulle.controlplane.validate_policies import check_network
from tulle.controlplane.validate_values import check_durations


def check_greeting(listener: Listener, path: Path, report: Report) -> None:
    """The sections `proxy_protocol` and `detection` of a listener."""
    proxy = listener.proxy_protocol
    if proxy is not None:
        check_durations({"timeout": proxy.timeout}, (*path, "proxy_protocol"), ("timeout",), report)
        for index, text in enumerate(proxy.sources):
            check_network(text, (*path, "proxy_protocol", "sources", index), report)
    if listener.protocol != "auto":
        if listener.detection != Detection():
            report.error(
                "combination", (*path, "detection"), f"means nothing with protocol: {listener.protocol}",
                "Write `protocol: auto`, or leave it out.",
            )  # fmt: skip
        return
    _check_detection(listener.detection, (*path, "detection"), report)


def _check_detection(detection: Detection, path: Path, report: Report) -> None:
    check_durations({"timeout": detection.timeout}, path, (), report)
    seen: dict[int, int] = {}
    for index, each in enumerate(detection.ports):
        place: Path = (*path, "ports", index)
        check_durations({"timeout": each.timeout}, place, (), report)
        if seen.setdefault(each.port, index) != index:
            report.error("duplicate", (*place, "port"), f"ports[{seen[each.port]}] is about {each.port} too")


def check_introduction(cluster: Cluster, path: Path, report: Report) -> None:
    """The option `proxy_protocol` of a cluster."""
    if cluster.proxy_protocol != "off" and cluster.protocol != "http1":
        report.error(
            "combination", (*path, "proxy_protocol"),
            f"cannot go with protocol: {cluster.protocol}: connections of HTTP/2 are many clients' at once",
            "Write `protocol: http1`, or have the endpoints read x-forwarded-for.",
        )  # fmt: skip
