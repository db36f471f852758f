"""The vocabulary of what keeps a cluster from being asked for more than it can give."""

from typing import Annotated, Literal

from msgspec import Meta

from tulle.controlplane.model_values import Count, Duration, Section


class RetryBudget(Section, frozen=True):
    """Retries as a share of the requests under way, and so many a second in any case."""

    percent: Annotated[int, Meta(ge=0, le=100)] = 20
    min_per_second: Annotated[int, Meta(ge=0, le=1_000_000)] = 10


class FailureRate(Section, frozen=True):
    """Endpoints, and the cluster as a whole, are not asked for a while after too many requests failed."""

    threshold: Annotated[int, Meta(ge=1, le=100)] = 50
    window: Duration = "10s"
    minimum_requests: Annotated[int, Meta(ge=1, le=1_000_000)] = 20
    open: Duration = "5s"
    max_open: Duration = "60s"
    half_open_requests: Annotated[int, Meta(ge=1, le=255)] = 1
    scope: tuple[Literal["endpoint", "cluster"], ...] = ("endpoint", "cluster")


class ConcurrencyLimitParams(Section, frozen=True):
    """The limit that adaptive concurrency moves."""

    max_concurrency_limit: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000
    concurrency_update_interval: Duration = "100ms"


class MinRttCalcParams(Section, frozen=True):
    """How it is measured what answers take when hardly anything is under way."""

    interval: Duration = "60s"
    jitter: Annotated[float, Meta(ge=0, le=100)] = 15.0
    request_count: Annotated[int, Meta(ge=1, le=1_000_000)] = 50
    min_concurrency: Annotated[int, Meta(ge=1, le=1_000_000)] = 3
    buffer: Annotated[float, Meta(ge=0, le=1000)] = 25.0
    fixed_value: Duration | None = None


class AdaptiveConcurrency(Section, frozen=True):
    """A limit of the requests under way that finds itself, by the gradient of how long answers take."""

    sample_aggregate_percentile: Annotated[float, Meta(ge=1, le=100)] = 50.0
    concurrency_limit_params: ConcurrencyLimitParams = ConcurrencyLimitParams()
    min_rtt_calc_params: MinRttCalcParams = MinRttCalcParams()


class CircuitBreaker(Section, frozen=True):
    """Limits over all workers together; null is without limit."""

    max_connections: Count | None = 1024
    max_pending_requests: Count | None = 1024
    max_requests: Count | None = 1024
    max_retries: Count | None = 3
    retry_budget: RetryBudget | None = None
    failure_rate: FailureRate | None = None
    adaptive_concurrency: AdaptiveConcurrency | None = None
