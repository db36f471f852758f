"""The vocabulary of what keeps a cluster from being asked for more than it can give."""

from typing import Annotated

from msgspec import Meta

from tulle.controlplane.model_values import Count, Section


class RetryBudget(Section, frozen=True):
    """Retries as a share of the requests under way, and so many a second in any case."""

    percent: Annotated[int, Meta(ge=0, le=100)] = 20
    min_per_second: Annotated[int, Meta(ge=0, le=1_000_000)] = 10


class CircuitBreaker(Section, frozen=True):
    """Limits over all workers together; null is without limit."""

    max_connections: Count | None = 1024
    max_pending_requests: Count | None = 1024
    max_requests: Count | None = 1024
    max_retries: Count | None = 3
    retry_budget: RetryBudget | None = None
