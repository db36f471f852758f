"""What algorithms are told, of the model to rows of the routing table."""

from tulle.controlplane.model_balancing import PeakEwma
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.table import PeakEwmaRow
from tulle.controlplane.units import nanoseconds

STEP_BACK_DEFAULT = "30s"  # of peak_ewma


def peak_ewma_row(cluster: Cluster) -> PeakEwmaRow | None:
    if cluster.load_balancer != "peak_ewma":
        return None
    settings = cluster.peak_ewma or PeakEwma()
    return PeakEwmaRow(
        default_rtt=nanoseconds(settings.default_rtt),
        decay=nanoseconds(settings.decay),
        failure_penalty=nanoseconds(settings.failure_penalty),
    )


def max_step_back(cluster: Cluster) -> int:
    if cluster.max_step_back is not None:
        return nanoseconds(cluster.max_step_back)
    return nanoseconds(STEP_BACK_DEFAULT) if cluster.load_balancer == "peak_ewma" else 0
