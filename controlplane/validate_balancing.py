"""The checks of what algorithms are told."""

from tulle.controlplane.findings import Report
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.problems import Path
from tulle.controlplane.validate_values import check_durations


def check_balancing(cluster: Cluster, path: Path, report: Report) -> None:
    check_durations({"max_step_back": cluster.max_step_back}, path, (), report)
    settings = cluster.peak_ewma
    if settings is not None:
        check_durations(
            {
                "default_rtt": settings.default_rtt,
                "decay": settings.decay,
                "failure_penalty": settings.failure_penalty,
            },
            (*path, "peak_ewma"), ("default_rtt", "decay"), report,
        )  # fmt: skip
        _check_used(cluster, "peak_ewma", ("peak_ewma",), path, report)


def _check_used(cluster: Cluster, key: str, algorithms: tuple[str, ...], path: Path, report: Report) -> None:
    """What only some algorithms heed means nothing beside another one."""
    if cluster.load_balancer not in algorithms:
        report.warning(
            "unused-balancing", (*path, key),
            f"means nothing with load_balancer {cluster.load_balancer}",
            f"It is for {' and '.join(algorithms)}.",
        )  # fmt: skip
