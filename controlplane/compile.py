"""A configuration to what a proxy runs by: settings for the master, a table image for the workers.

Text -> model -> validation -> routing table -> two segments of a table image, each in a sealed memfd. It is
taken whole or refused whole. Meant for a process that leaves when it is done: it needs memory.
"""

import gc
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from tulle._fast.policy.image_writer import write_routes
from tulle.controlplane.compile_tls import Secured, secure
from tulle.controlplane.identity.facts import CertificateUse
from tulle.controlplane.load import check_model, in_zone, load_config
from tulle.controlplane.model import AccessLog, Config
from tulle.controlplane.model_control import ControlPlane
from tulle.controlplane.names import MOST_LISTENERS, MOST_POLICIES, NameTable, decode_names, encode_names
from tulle.controlplane.problems import ConfigError, Problem
from tulle.controlplane.resolve import Resolved, endpoints_segment, names_to_resolve
from tulle.controlplane.sealed import sealed_memfd
from tulle.controlplane.table import RoutingTable, decode_table, encode_table
from tulle.controlplane.tabulate import tabulate
from tulle.controlplane.units import nanoseconds

ConfigSource = Path | Config


class ListenerSettings(Struct, frozen=True):
    """A socket that the master has to listen on. `max_connections` 0 is without limit."""

    id: int
    name: str
    address: str
    protocol: str
    max_connections: int


class EndpointName(Struct, frozen=True):
    """An endpoint given by name: what the master resolves, and refreshes."""

    cluster: str
    endpoint: int  # index in the cluster, in the order of the file
    host: str
    port: int

    @property
    def key(self) -> str:
        """What the `resolved` argument calls it."""
        return f"{self.host}:{self.port}"


class Settings(Struct, frozen=True):
    """What the master needs to know. Durations are nanoseconds."""

    workers: int | None
    drain_timeout: int
    upgrade_drain_timeout: int
    runtime_dir: str | None
    admin_address: str | None
    access_log: AccessLog
    histogram_buckets: tuple[int, ...]
    listeners: tuple[ListenerSettings, ...]
    endpoint_names: tuple[EndpointName, ...]
    zone: str = ""  # where the proxy is; empty: not known
    health_checks: bool = False  # whether any cluster has them
    tokens: bool = False  # whether there are issuers of any
    certificates: tuple[CertificateUse, ...] = ()
    certificate_stamps: dict[str, str] = {}  # of their files when they were read, see `identity.stamps`
    control_plane: ControlPlane | None = None
    mesh_version: str = ""  # of the part of the mesh that is in it
    forget_at: float = 0.0  # monotonic seconds when names that have gone may be forgotten; 0: none has


class CompileResult(Struct, frozen=True):
    """What came of a compile; without errors all of it is there. Can be sent as MessagePack."""

    ok: bool
    version: int
    serial: int = 0
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    names: bytes = b""  # a NameTable, for the next compile
    table: bytes = b""  # a RoutingTable
    settings: Settings | None = None


class Compiled(NamedTuple):
    """A result and its memfds, -1 when it is not ok. The caller closes them."""

    result: CompileResult
    routes_fd: int
    endpoints_fd: int
    tls_fd: int = -1  # with private keys; -1: nothing in it needs TLS


class EndpointsResult(NamedTuple):
    """A new endpoints segment and the names that go with it."""

    names: bytes
    serial: int
    endpoints_fd: int


def compile_config(
    source: ConfigSource,
    previous: bytes | None,
    version: int,
    resolved: Resolved | None = None,
    zone: str | None = None,
    part: Path | None = None,
) -> Compiled:
    """Compile a file (`.yaml`, `.yml`, `.toml`, `.json`) or a model.

    `previous` is `names` of the last result that is in use; `version` goes into the image; `resolved` gives
    the IP addresses of endpoint names ("host:port"), and names that are not in it have no endpoint yet;
    `zone` is where the proxy is, whatever the configuration says; `part` is a part of the mesh that is tried
    in place of the last good one.
    Errors of the config are in the result; OSError is left for what goes wrong with memory.
    """
    with _without_collector():
        return _compile(source, previous, version, resolved or {}, zone, part)


def _compile(
    source: ConfigSource,
    previous: bytes | None,
    version: int,
    resolved: Resolved,
    zone: str | None,
    part: Path | None,
) -> Compiled:
    try:
        if isinstance(source, Config):
            config = in_zone(source, zone)
            warnings = check_model(config)
        else:
            config, warnings = load_config(source, with_lines=False, zone=zone)
        mesh_version = ""
        if config.control_plane is not None:
            config, mesh_version = _with_part(config, part, previous is None, warnings)
        table = tabulate(config)
        secured = secure(table)
    except ConfigError as error:
        return Compiled(CompileResult(ok=False, version=version, errors=tuple(error.problems)), -1, -1)
    names = decode_names(previous)
    names.serial += 1
    shown_until = time.monotonic() + nanoseconds(config.stats.removed_after) / 1e9
    listener_ids = names.listeners.assign(
        (listener.name for listener in table.listeners), MOST_LISTENERS, names.serial, shown_until
    )
    routes = _routes_segment(table, names, listener_ids, version, shown_until)
    endpoints = endpoints_segment(table, names, resolved, version, config.zone or "")
    result = CompileResult(
        ok=True,
        version=version,
        serial=names.serial,
        warnings=tuple(warnings),
        names=encode_names(names),
        table=encode_table(table),
        settings=_settings(config, table, listener_ids, secured, mesh_version, names.next_sweep()),
    )
    made: list[int] = []
    try:
        made.append(sealed_memfd("tulle-routes", routes))
        made.append(sealed_memfd("tulle-endpoints", endpoints))
        if secured.material:
            made.append(sealed_memfd("tulle-tls", secured.material))
    except OSError:
        for descriptor in made:
            os.close(descriptor)
        raise
    return Compiled(result, *made)


def compile_endpoints(
    table: bytes, previous: bytes, version: int, resolved: Resolved, zone: str
) -> EndpointsResult:
    """Only the endpoints segment again, for new addresses.

    `table` and `version` are those of the routes segment in use, `previous` the `names` of the last result,
    `zone` that of its settings.
    """
    names = decode_names(previous)
    names.serial += 1
    segment = endpoints_segment(decode_table(table), names, resolved, version, zone)
    return EndpointsResult(encode_names(names), names.serial, sealed_memfd("tulle-endpoints", segment))


def routes_image(table: RoutingTable) -> bytearray:
    """The routes segment of a table by itself, with ids that mean nothing elsewhere: for `explain`."""
    names = NameTable(serial=1)
    return _routes_segment(table, names, names.listeners.assign(row.name for row in table.listeners), 1)


def release_names(names: bytes, serial: int, now: float | None = None) -> bytes:
    """The name table after every worker has let go of what was compiled before `serial`.

    `now` is in monotonic seconds.
    """
    decoded = decode_names(names)
    decoded.release(serial, time.monotonic() if now is None else now)
    return encode_names(decoded)


@contextmanager
def _without_collector() -> Iterator[None]:
    """A compile makes very many objects and not one cycle: collecting would take half its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _routes_segment(
    table: RoutingTable,
    names: NameTable,
    listener_ids: list[int],
    version: int,
    shown_until: float | None = None,
) -> bytearray:
    route_ids = names.routes.assign(
        (f"{group.name} {route.name}" for group in table.tables for route in group.routes),
        serial=names.serial,
        shown_until=shown_until,
    )
    slots = names.clusters.assign((cluster.name for cluster in table.clusters), names.serial, shown_until)
    policy_ids = names.policies.assign((policy.name for policy in table.policies), MOST_POLICIES)
    segment: bytearray = write_routes(
        table, listener_ids, route_ids, slots, version, _automaton, policy_ids
    )
    return segment


def _automaton(pattern: str) -> Any:
    """The automaton of a pattern; its compiler is loaded only for a config that has one."""
    from tulle.controlplane.regex import compile_pattern

    return compile_pattern(pattern)


def _with_part(
    own: Config, candidate: Path | None, is_first: bool, warnings: list[Problem]
) -> tuple[Config, str]:
    """A configuration with its part of the mesh, and that one's version.

    At the start the last good one may not be good any more: then there is none until the control plane sends
    another.
    """
    from tulle.controlplane.mesh.saved import with_part

    try:
        return with_part(own, candidate)
    except ConfigError as error:
        if candidate is not None or not is_first:
            raise
        warnings += error.problems
        warnings.append(
            Problem("part", "control_plane", "the part of the mesh that was kept is not used, see above")
        )
        return own, ""


def _settings(
    config: Config,
    table: RoutingTable,
    listener_ids: Iterable[int],
    secured: Secured,
    mesh_version: str,
    forget_at: float,
) -> Settings:
    return Settings(
        workers=config.workers,
        drain_timeout=nanoseconds(config.drain_timeout),
        upgrade_drain_timeout=nanoseconds(config.upgrade_drain_timeout),
        runtime_dir=config.runtime_dir,
        admin_address=config.admin.address if config.admin else None,
        access_log=config.access_log,
        histogram_buckets=tuple(nanoseconds(bound) for bound in config.stats.histogram_buckets),
        listeners=tuple(
            ListenerSettings(identity, row.name, row.address, row.protocol, row.max_connections)
            for identity, row in zip(listener_ids, table.listeners, strict=True)
        ),
        endpoint_names=tuple(EndpointName(*found) for found in names_to_resolve(table)),
        health_checks=any(row.health_check is not None for row in table.clusters),
        zone=config.zone or "",
        tokens=bool(config.jwt),
        certificates=secured.uses,
        certificate_stamps=dict(secured.stamps),
        control_plane=config.control_plane,
        mesh_version=mesh_version,
        forget_at=forget_at,
    )


def encode_result(result: CompileResult) -> bytes:
    return msgspec.msgpack.encode(result)


def decode_result(encoded: bytes) -> CompileResult:
    return msgspec.msgpack.decode(encoded, type=CompileResult)
