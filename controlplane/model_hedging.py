"""The vocabulary of hedging: a second try beside one that is slow."""

from typing import Annotated

from msgspec import Meta

from tulle.controlplane.model_values import Duration, Section

Quantile = Annotated[float, Meta(ge=0.01, le=0.9999, examples=[0.95])]


class Hedging(Section, frozen=True):
    """When a request that has no answer yet is sent a second time: exactly one of `delay` and `quantile`."""

    delay: Duration | None = None
    quantile: Quantile | None = None
    min_delay: Duration = "1ms"
