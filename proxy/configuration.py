"""A compiled configuration as the master holds it: settings, and descriptors of what it never reads
itself.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple

from tulle.proxy.failure import Failure
from tulle.proxy.messages import warn
from tulle.proxy.protocol import Control, ControlMessage

SECOND = 1_000_000_000  # nanoseconds


class ListenerSettings(NamedTuple):
    """A socket to listen on; `id` is what workers and figures call it."""

    id: int
    name: str
    address: str
    protocol: str
    max_connections: int  # 0: without limit


class EndpointName(NamedTuple):
    """An endpoint that is given by name."""

    cluster: str
    endpoint: int
    host: str
    port: int

    @property
    def key(self) -> str:
        """What it is called among the resolved names."""
        return f"{self.host}:{self.port}"


class AccessLogSettings(NamedTuple):
    path: str
    format: str  # json, text or off


class Settings(NamedTuple):
    """What of a configuration concerns the master. Durations are seconds; bucket bounds nanoseconds."""

    workers: int
    drain_timeout: float
    upgrade_drain_timeout: float
    runtime_dir: str | None
    admin_address: str | None
    access_log: AccessLogSettings
    histogram_buckets: tuple[int, ...]
    listeners: tuple[ListenerSettings, ...]
    endpoint_names: tuple[EndpointName, ...]
    zone: str  # where the proxy is; empty: not known
    health_checks: bool = False  # whether any cluster has them
    tokens: bool = False  # whether there are issuers of any
    certificates: tuple[dict[str, Any], ...] = ()  # `CertificateUse` as builtins
    certificate_stamps: Mapping[str, str] = MappingProxyType({})  # of their files when they were read
    control_plane: dict[str, Any] | None = None  # where it is and what is kept where
    mesh_version: str = ""  # of the part of the mesh that is in it; empty: none
    forget_at: float = 0.0  # monotonic seconds when names that have gone may be forgotten; 0: none has

    @classmethod
    def read(cls, found: dict[str, Any], workers: int | None = None) -> "Settings":
        """Settings from the answer of a compile; `workers` from the command line comes first."""
        log = found["access_log"]
        return cls(
            workers=workers or found["workers"] or len(os.sched_getaffinity(0)),
            drain_timeout=found["drain_timeout"] / SECOND,
            upgrade_drain_timeout=found["upgrade_drain_timeout"] / SECOND,
            runtime_dir=found["runtime_dir"],
            admin_address=found["admin_address"],
            access_log=AccessLogSettings(log.get("path", "/dev/stdout"), log.get("format", "json")),
            histogram_buckets=tuple(found["histogram_buckets"]),
            listeners=tuple(ListenerSettings(**listener) for listener in found["listeners"]),
            endpoint_names=tuple(EndpointName(**endpoint) for endpoint in found["endpoint_names"]),
            health_checks=found.get("health_checks", False),
            tokens=found.get("tokens", False),
            zone=found.get("zone", ""),
            certificates=tuple(found.get("certificates", ())),
            certificate_stamps=found.get("certificate_stamps", {}),
            control_plane=found.get("control_plane"),
            mesh_version=found.get("mesh_version", ""),
            forget_at=found.get("forget_at", 0.0),
        )


def read_result(result: dict[str, Any], descriptors: list[int], workers: int | None) -> "Configuration":
    """What a compile has answered; `workers` is from the command line. `Failure` with all errors."""
    for warning in result["warnings"]:
        warn(warning)
    if not result["ok"]:
        raise Failure(*result["errors"])
    return Configuration(result["version"], result["serial"], result["settings"], workers, descriptors)


class InUse(NamedTuple):
    """What of a configuration changes with its certificates."""

    serial: int
    described: dict[str, Any]
    tls: int
    names: int

    def close(self) -> None:
        os.close(self.tls)
        os.close(self.names)


class Configuration:
    """One version of the configuration. Owns its memfds."""

    def __init__(
        self,
        version: int,
        serial: int,
        described: dict[str, Any],
        workers: int | None,
        descriptors: list[int],
    ) -> None:
        """`described` are the settings as a compile gives them, `workers` is from the command line."""
        self.version = version
        self.serial = serial
        self.described = described
        self.settings = Settings.read(described, workers)
        self.routes, self.endpoints, self.names, self.table, *rest = descriptors
        self.tls = rest[0] if rest else -1  # keys and certificates, which the master never reads; -1: none
        self.resolved: dict[str, list[str]] = {}  # the addresses of names that its endpoints have
        self.sockets: dict[int, socket.socket] = {}  # by listener id; owned by `Listeners`

    def installation(self) -> tuple[ControlMessage, list[int]]:
        """What a worker is told so that it serves by this version."""
        tls = [self.tls] if self.tls >= 0 else []
        return ControlMessage(Control.INSTALL, 0, self.version, self.serial), [
            self.routes,
            self.endpoints,
            *tls,
        ]

    def descriptors(self) -> list[int]:
        """All of its memfds, in the order in which a compile gives them."""
        own = [self.routes, self.endpoints, self.names, self.table]
        return [*own, self.tls] if self.tls >= 0 else own

    def renew_endpoints(self, serial: int, endpoints: int, names: int) -> ControlMessage:
        """Take over another endpoints segment; what workers are told, beside the descriptor `endpoints`."""
        os.close(self.endpoints)
        os.close(self.names)
        self.serial, self.endpoints, self.names = serial, endpoints, names
        return ControlMessage(Control.ENDPOINTS, 0, self.version, serial)

    def use_names(self, names: int) -> None:
        """Take over others, in which some that have gone are forgotten."""
        os.close(self.names)
        self.names = names

    def certificates(self) -> "InUse":
        return InUse(self.serial, self.described, self.tls, self.names)

    def use_certificates(self, other: "InUse") -> None:
        """Serve by others. Who does so closes the descriptors of the former ones, or goes back to them."""
        self.serial, self.described, self.tls, self.names = other
        self.settings = Settings.read(self.described, self.settings.workers)

    def close(self) -> None:
        """Let go of the memory; workers that map it keep it."""
        for descriptor in self.descriptors():
            with suppress(OSError):
                os.close(descriptor)
