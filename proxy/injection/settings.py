"""What is injected: the command's options, and what a pod's annotations say otherwise."""

import ipaddress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import tulle
from tulle.proxy.failure import Failure

PREFIX = "tulle.mesh/"
INJECT = f"{PREFIX}inject"
STATUS = f"{PREFIX}status"
CONFIG = f"{PREFIX}config"
IMAGE = f"{PREFIX}image"
REWRITE_PROBES = f"{PREFIX}rewrite-probes"
EXCLUDE_INBOUND_PORTS = f"{PREFIX}exclude-inbound-ports"
EXCLUDE_OUTBOUND_PORTS = f"{PREFIX}exclude-outbound-ports"
EXCLUDE_OUTBOUND_RANGES = f"{PREFIX}exclude-outbound-ranges"
TOKEN_SECRET = f"{PREFIX}token-secret"

SIDECAR = "tulle"
SETUP = "tulle-redirect"
CONFIG_VOLUME = "tulle-config"
RUN_VOLUME = "tulle-run"
STATE_VOLUME = "tulle-state"  # these two only with a control plane
TOKEN_VOLUME = "tulle-token"
USER = 1337  # of the sidecar: what this user sends is not redirected
PROBE_PORT = 15021
INBOUND_PORT = 15006
OUTBOUND_PORT = 15001
ADMIN_ADDRESS = "127.0.0.1:15000"


@dataclass(frozen=True)
class Settings:
    """`config`: the sidecar's configuration in place of the default, as read.

    `control`: addresses of the control plane that it has the rest from. `token_secret`: where its join tokens
    are; by default a Secret that is called after the service account.
    """

    image: str = f"tulle:{tulle.__version__}"
    sidecar: Literal["native", "ordinary"] = "native"
    redirect: bool = True
    rewrite_probes: bool = True
    ipv6: bool = True
    cpu: str = "10m"
    memory: str = "40Mi"
    exclude_inbound_ports: tuple[int, ...] = ()
    exclude_outbound_ports: tuple[int, ...] = ()
    exclude_outbound_ranges: tuple[str, ...] = ()
    config: dict[str, Any] | None = field(default=None, hash=False)
    control: tuple[str, ...] = ()
    token_secret: str = ""

    def of_pod(self, annotations: dict[str, Any], where: str) -> "Settings":
        """With what the annotations of a pod say; `Failure` when one of them cannot be."""
        changes: dict[str, Any] = {}
        if IMAGE in annotations:
            changes["image"] = str(annotations[IMAGE])
        if TOKEN_SECRET in annotations:
            changes["token_secret"] = str(annotations[TOKEN_SECRET])
        if REWRITE_PROBES in annotations:
            changes["rewrite_probes"] = switch(annotations, REWRITE_PROBES, where)
        for name, key in (
            ("exclude_inbound_ports", EXCLUDE_INBOUND_PORTS),
            ("exclude_outbound_ports", EXCLUDE_OUTBOUND_PORTS),
        ):
            if key in annotations:
                changes[name] = getattr(self, name) + _ports(str(annotations[key]), f"{where}: {key}")
        if EXCLUDE_OUTBOUND_RANGES in annotations:
            ranges = _ranges(str(annotations[EXCLUDE_OUTBOUND_RANGES]), f"{where}: {EXCLUDE_OUTBOUND_RANGES}")
            changes["exclude_outbound_ranges"] = self.exclude_outbound_ranges + ranges
        return replace(self, **changes)

    def redirect_words(self, probe_ports: int) -> list[str]:
        """The command that sets up the redirection, as words; `probe_ports`: how many there are for
        probes."""
        words = ["redirect", "--user", str(USER)]
        for port in (*range(PROBE_PORT, PROBE_PORT + probe_ports), *self.exclude_inbound_ports):
            words += ["--exclude-inbound-port", str(port)]
        for port in self.exclude_outbound_ports:
            words += ["--exclude-outbound-port", str(port)]
        for block in self.exclude_outbound_ranges:
            words += ["--exclude-outbound-range", block]
        if not self.ipv6:
            words.append("--ipv4-only")
        return words


def switch(annotations: dict[str, Any], key: str, where: str) -> bool:
    """An annotation that is true or false; text, as Kubernetes wants it."""
    value = str(annotations[key]).lower()
    if value in ("true", "enabled", "false", "disabled"):
        return value in ("true", "enabled")
    raise Failure(f'{where}: {key} is {annotations[key]!r}; write "true" or "false"')


def _ports(text: str, where: str) -> tuple[int, ...]:
    ports = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        if not part.isascii() or not part.isdigit() or not 1 <= int(part) <= 65535:
            raise Failure(
                f"{where}: {part!r} is not a port; write numbers from 1 to 65535 with commas between"
            )
        ports.append(int(part))
    return tuple(ports)


def _ranges(text: str, where: str) -> tuple[str, ...]:
    ranges = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            ranges.append(str(ipaddress.ip_network(part)))
        except ValueError as error:
            raise Failure(f"{where}: {error}; write ranges as 10.0.0.0/8 with commas between") from None
    return tuple(ranges)
