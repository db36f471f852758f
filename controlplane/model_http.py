"""The vocabulary of how connections of HTTP are kept alive, and of what suits old implementations."""

from typing import Literal

from tulle.controlplane.model_values import Duration, Section

HeaderCase = Literal["keep", "title"]


class KeepAlive(Section, frozen=True):
    """When a peer that speaks HTTP/2 is asked by PING whether it is still there."""

    interval: Duration = "30s"
    timeout: Duration = "15s"
