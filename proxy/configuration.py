"""A compiled configuration as the master holds it: settings, and descriptors of what it never reads
itself.
"""

import os
import socket
from contextlib import suppress
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
            zone=found.get("zone", ""),
        )


def read_result(result: dict[str, Any], descriptors: list[int], workers: int | None) -> "Configuration":
    """What a compile has answered; `workers` is from the command line. `Failure` with all errors."""
    for warning in result["warnings"]:
        warn(warning)
    if not result["ok"]:
        raise Failure(*result["errors"])
    return Configuration(result["version"], result["serial"], result["settings"], workers, descriptors)


class Configuration:
    """One version of the configuration. Owns its four memfds."""

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
        self.routes, self.endpoints, self.names, self.table = descriptors
        self.resolved: dict[str, list[str]] = {}  # the addresses of names that its endpoints have
        self.sockets: dict[int, socket.socket] = {}  # by listener id; owned by `Listeners`

    def installation(self) -> tuple[ControlMessage, list[int]]:
        """What a worker is told so that it serves by this version."""
        return ControlMessage(Control.INSTALL, 0, self.version, self.serial), [self.routes, self.endpoints]

    def renew_endpoints(self, serial: int, endpoints: int, names: int) -> ControlMessage:
        """Take over another endpoints segment; what workers are told, beside the descriptor `endpoints`."""
        os.close(self.endpoints)
        os.close(self.names)
        self.serial, self.endpoints, self.names = serial, endpoints, names
        return ControlMessage(Control.ENDPOINTS, 0, self.version, serial)

    def close(self) -> None:
        """Let go of the memory; workers that map it keep it."""
        for descriptor in (self.routes, self.endpoints, self.names, self.table):
            with suppress(OSError):
                os.close(descriptor)
