"""A part of the mesh and a sidecar's own file to the configuration that it runs by.

Names of the mesh become these: a service is a cluster of its name; what is called goes through the listener
`outbound` and its table, by Host; what is served comes in through `inbound`, over mutual TLS, or where a
service permits it through `inbound-plain`. The file may have listeners, routes, clusters and policies beside
them. Pure; runs in the process that compiles.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

import msgspec

from tulle.controlplane.address import SocketAddress
from tulle.controlplane.client.disk_state import BUNDLE, CERTIFICATE, KEY
from tulle.controlplane.mesh.part import Called, Guard, Served, Settings
from tulle.controlplane.mesh.resources import Key
from tulle.controlplane.model import Config, Listener
from tulle.controlplane.model_clusters import Cluster, Endpoint
from tulle.controlplane.model_control import ControlPlane
from tulle.controlplane.model_policies import Policy
from tulle.controlplane.model_routes import Backend, Route, Timeouts
from tulle.controlplane.model_tls import ClusterTls, ServerTls, VerifyServer
from tulle.controlplane.problems import ConfigError, Problem

OUTBOUND, INBOUND, INBOUND_PLAIN = "outbound", "inbound", "inbound-plain"
APPLICATION = "application:"  # begins the names of clusters that are the services served here
# what is served here is limited by who calls it, and by nothing on the way in
NO_LIMITS = Timeouts(request="0s", per_try="0s", idle="0s")

_decoders: dict[str, Callable[[bytes], Any]] = {
    "settings": msgspec.msgpack.Decoder(Settings).decode,
    "service": msgspec.msgpack.Decoder(Called).decode,
    "endpoints": msgspec.msgpack.Decoder(list[Endpoint]).decode,
    "routes": msgspec.msgpack.Decoder(list[Route]).decode,
    "serve": msgspec.msgpack.Decoder(Served).decode,
    "policy": msgspec.msgpack.Decoder(Guard).decode,
    "trust": bytes,
}


def assemble(own: Config, payloads: Mapping[Key, bytes]) -> Config:
    """The whole configuration of a sidecar whose file is `own`, with this part of the mesh.

    ConfigError when a name is taken already, or the part is of a version of Tulle that this is not.
    """
    local = own.control_plane
    assert local is not None
    found: dict[str, dict[str, Any]] = {kind: {} for kind in _decoders}
    for (kind, name), payload in payloads.items():
        if kind in _decoders:  # a kind that is new changes nothing that is known
            try:
                found[kind][name] = _decoders[kind](payload)
            except msgspec.MsgspecError as error:
                raise _refused(
                    "part", f"{kind} {name}", f"of the control plane cannot be read: {error}",
                    "Is this Tulle older than the control plane? Upgrade it.",
                ) from None  # fmt: skip
    tables: dict[str, list[Route]] = {}
    listeners: list[Listener] = []
    clusters = _clusters(found, local)
    if local.outbound is not None:
        tables[OUTBOUND] = _outbound(found)
        listeners.append(
            Listener(
                name=OUTBOUND,
                address=local.outbound,
                routes=OUTBOUND,
                original_destination=local.original_destination,
                outbound=local.unknown,
            )
        )
    inbound = {name: served for name, served in found["serve"].items() if served.port}
    secure = {name: served for name, served in inbound.items() if served.mtls != "off"}
    plain = {name: served for name, served in inbound.items() if served.mtls != "strict"}
    if local.inbound is not None and secure:
        tables[INBOUND] = _inbound(secure)
        tls = ServerTls(
            certificate=_file(local, CERTIFICATE), key=_file(local, KEY), client_ca=_file(local, BUNDLE)
        )
        # those who call are sidecars: the request ids that they gave stay
        listeners.append(
            Listener(name=INBOUND, address=local.inbound, routes=INBOUND, tls=tls, trusted_hops=1)
        )
    if local.inbound_plain is not None and plain:
        tables[INBOUND_PLAIN] = _inbound(plain)
        listeners.append(Listener(name=INBOUND_PLAIN, address=local.inbound_plain, routes=INBOUND_PLAIN))
    policies = _policies(found, tables)
    _check_names("listeners", [listener.name for listener in own.listeners], [one.name for one in listeners])
    _check_names("routes", own.routes, tables)
    _check_names("clusters", own.clusters, clusters)
    _check_names("policies", own.policies, policies)
    return msgspec.structs.replace(
        own,
        listeners=[*own.listeners, *listeners],
        routes={**own.routes, **tables},
        clusters={**own.clusters, **clusters},
        policies={**own.policies, **policies},
    )


def _clusters(found: Mapping[str, dict[str, Any]], local: ControlPlane) -> dict[str, Cluster]:
    clusters = {}
    for name, called in found["service"].items():
        tls = None
        protocol = called.cluster.protocol
        if called.identity:
            # between sidecars requests of HTTP/1.1 share connections of HTTP/2
            protocol = "auto" if protocol == "http1" else protocol
            tls = ClusterTls(
                ca=_file(local, BUNDLE),
                certificate=_file(local, CERTIFICATE),
                key=_file(local, KEY),
                verify=VerifyServer(uri=[called.identity]),
            )
        endpoints = found["endpoints"].get(name, [])
        clusters[name] = msgspec.structs.replace(
            called.cluster, endpoints=endpoints, protocol=protocol, tls=tls
        )
    for name, served in found["serve"].items():
        if served.port:
            address = str(SocketAddress(local.application_host, served.port))
            clusters[APPLICATION + name] = Cluster(
                endpoints=[Endpoint(address=address)], protocol=served.protocol
            )
    return clusters


def _outbound(found: Mapping[str, dict[str, Any]]) -> list[Route]:
    table = []
    for name, called in found["service"].items():
        if name not in found["routes"]:
            continue  # only a target of others' routes
        routes = found["routes"][name] or [Route(name="all", backends=[Backend(cluster=name)])]
        for index, route in enumerate(routes):
            table.append(
                msgspec.structs.replace(
                    route, name=f"{name}/{route.name or index}", hostnames=called.hostnames
                )
            )
    return table


def _inbound(served: Mapping[str, Served]) -> list[Route]:
    """A route for each service; a single one takes whatever comes."""
    return [
        Route(
            name=name,
            hostnames=service.hostnames if len(served) > 1 else [],
            backends=[Backend(cluster=APPLICATION + name)],
            timeouts=NO_LIMITS,
        )
        for name, service in served.items()
    ]


def _policies(found: Mapping[str, dict[str, Any]], tables: Mapping[str, list[Route]]) -> dict[str, Policy]:
    """For the inbound listeners; those for some services only select their routes."""
    inbound = [name for name in (INBOUND, INBOUND_PLAIN) if name in tables]
    policies: dict[str, Policy] = {}
    if not inbound:
        return policies
    for name, guard in found["policy"].items():
        routes: dict[str, list[str]] = {}
        if guard.services:
            for table in inbound:
                here = [str(route.name) for route in tables[table] if route.name in guard.services]
                if here:
                    routes[table] = here
            if not routes:
                continue
        policies[name] = Policy(
            action=guard.action,
            dry_run=guard.dry_run,
            listeners=[] if guard.services else inbound,
            routes=routes,
            rules=guard.rules,
        )
    settings = found["settings"].get("")
    if settings is not None and settings.deny_all:
        policies["mesh:deny-all"] = Policy(action="allow", listeners=inbound)
    return policies


def _file(local: ControlPlane, name: str) -> str:
    return str(PurePosixPath(local.state_dir) / name)


def _check_names(section: str, own: Iterable[str], others: Iterable[str]) -> None:
    taken = sorted(set(own) & set(others))
    if taken:
        raise _refused(
            "duplicate", f"{section}.{taken[0]}", "is of the mesh too", "Give that of the file another name."
        )


def _refused(code: str, path: str, message: str, hint: str) -> ConfigError:
    return ConfigError([Problem(code, path, message, hint)])
