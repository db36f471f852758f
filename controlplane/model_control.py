"""The vocabulary of a sidecar that is run from a control plane: where that is, and where it takes traffic."""

from typing import Annotated, Literal

from msgspec import Meta

from tulle.controlplane.model_tls import FilePath
from tulle.controlplane.model_values import Address, Hostname, Section


class ControlPlane(Section, frozen=True):
    """Listeners, routes, clusters and policies come from there, beside those of the file."""

    addresses: Annotated[list[Address], Meta(min_length=1, max_length=16)]
    state_dir: FilePath
    token_file: FilePath | None = None
    outbound: Address | None = "127.0.0.1:15001"
    original_destination: bool = False
    unknown: Literal["allow_any", "registry_only"] = "allow_any"
    inbound: Address | None = "0.0.0.0:15006"
    inbound_plain: Address | None = None
    application_host: Hostname = "127.0.0.1"
