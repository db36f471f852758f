"""The vocabulary of balancing: what the algorithms of a cluster can be told."""

from tulle.controlplane.model_values import Duration, Section


class PeakEwma(Section, frozen=True):
    """How latency is learnt and judged by `load_balancer: peak_ewma`."""

    default_rtt: Duration = "30ms"
    decay: Duration = "10s"
    failure_penalty: Duration = "1s"
