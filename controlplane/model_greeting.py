"""The vocabulary of how connections begin: a PROXY header, and telling what they speak."""

from typing import Literal

from tulle.controlplane.model_policies import Network
from tulle.controlplane.model_values import Duration, Port, Section


class ProxyProtocol(Section, frozen=True):
    """Whether connections begin with a header that says whom they come from."""

    mode: Literal["required", "optional", "off"] = "required"
    sources: tuple[Network, ...] = ()
    timeout: Duration = "5s"


class DetectionPort(Section, frozen=True):
    """How long silence is waited for on one port."""

    port: Port
    timeout: Duration


class Detection(Section, frozen=True):
    """How it is told what a connection speaks."""

    timeout: Duration = "1s"
    ports: list[DetectionPort] = []
    known_ports: bool = True
