"""The configuration that an injected sidecar begins with."""

from typing import Any

import yaml

from tulle.proxy.injection.probes import GRPC_PATH, READY_PATH, Rewritten, Target
from tulle.proxy.injection.settings import (
    ADMIN_ADDRESS,
    INBOUND_PORT,
    OUTBOUND_PORT,
    PROBE_PORT,
    Settings,
)

STATE_DIRECTORY = "/var/lib/tulle/state"  # made by the sidecar, for itself alone
PROBES = "tulle-probes"
ADMIN = "tulle-admin"


def sidecar_config(settings: Settings, probes: Rewritten, token: str = "") -> str:
    """As YAML: what the settings give, or listeners that pass all on, and what the probes need besides.

    With a control plane all comes from there but for the probes; `token` is where the join tokens are.
    """
    config: dict[str, Any] = dict(settings.config or {})
    if settings.control:
        config["control_plane"] = {**_followed(settings, token), **config.get("control_plane", {})}
    elif settings.config is None:
        config = _default(settings)
    admin = dict(config.get("admin") or {"address": ADMIN_ADDRESS})
    config["admin"] = admin
    config["listeners"] = [*config.get("listeners", []), *_probe_listeners(settings, probes)]
    config["routes"] = {**config.get("routes", {}), **_probe_routes(probes)}
    config["clusters"] = {
        **config.get("clusters", {}),
        ADMIN: _local(str(admin["address"])),
        **_probe_clusters(probes),
    }
    return yaml.safe_dump(config, sort_keys=False, default_flow_style=None, width=1 << 30, allow_unicode=True)


def probe_ports(probes: Rewritten) -> int:
    """How many ports, from PROBE_PORT on, the sidecar takes probes at."""
    return max(1, len(probes.grpc_ports))


def _followed(settings: Settings, token: str) -> dict[str, Any]:
    """Where the control plane is, and what the pod's traffic finds where it is sent to."""
    return {
        "addresses": list(settings.control),
        "state_dir": STATE_DIRECTORY,
        "token_file": token,
        "outbound": f"127.0.0.1:{OUTBOUND_PORT}",
        "original_destination": settings.redirect,
        "inbound": f"0.0.0.0:{INBOUND_PORT}",
    }


def _default(settings: Settings) -> dict[str, Any]:
    """Whatever comes in goes to the application, whatever it sends goes to where it was meant for."""
    listeners = []
    # Of IPv6 any address: pods of a cluster without it often have none, not even ::1
    for family, inbound, outbound in (("", "0.0.0.0", "127.0.0.1"), ("-ipv6", "[::]", "[::]")):
        if family and not settings.ipv6:
            continue
        for name, host, port in (
            ("inbound", inbound, INBOUND_PORT),
            ("outbound", outbound, OUTBOUND_PORT),
        ):
            listeners.append(
                {
                    "name": f"{name}{family}",
                    "address": f"{host}:{port}",
                    "protocol": "tcp",
                    "original_destination": True,
                }
            )
    return {"listeners": listeners}


def _hosts(settings: Settings) -> list[tuple[str, str]]:
    return [("", "0.0.0.0"), ("-ipv6", "[::]")] if settings.ipv6 else [("", "0.0.0.0")]


def _probe_listeners(settings: Settings, probes: Rewritten) -> list[dict[str, Any]]:
    return [
        {"name": f"{_grpc(index)}{family}", "address": f"{host}:{PROBE_PORT + index}", "routes": _grpc(index)}
        for index in range(probe_ports(probes))
        for family, host in _hosts(settings)
    ]


def _grpc(index: int) -> str:
    """What belongs to the port for probes of that number, of which the first has those of HTTP too."""
    return PROBES if index == 0 else f"{PROBES}-{index + 1}"


def _probe_routes(probes: Rewritten) -> dict[str, Any]:
    routes: dict[str, list[dict[str, Any]]] = {
        PROBES: [_route("ready", {"path": {"exact": READY_PATH}}, "/ready", ADMIN)]
    }
    for path, target in probes.targets.items():
        match: dict[str, Any] = {"path": {"exact": path}, "method": "GET"}
        name = path.removeprefix("/tulle/probes/").replace("/", "-").lower()
        if target.kind == "tcpSocket":
            match["query"] = {"port": {"exact": str(target.port)}}
            routes[PROBES].append(_route(name, match, "/reach", ADMIN))
        else:
            routes[PROBES].append(_route(name, match, target.path, _cluster(target)))
    for index, port in enumerate(probes.grpc_ports):
        match = {"path": {"exact": GRPC_PATH}, "method": "POST"}
        route = {"name": "grpc", "matches": [match], "backends": [{"cluster": f"tulle-probe-grpc-{port}"}]}
        routes.setdefault(_grpc(index), []).append(route)
    return routes


def _route(name: str, match: dict[str, Any], path: str, cluster: str) -> dict[str, Any]:
    return {
        "name": name,
        "matches": [match],
        "rewrite": {"path": {"replace_full": path}},
        "backends": [{"cluster": cluster}],
    }


def _cluster(target: Target) -> str:
    return f"tulle-probe-{target.port}"


def _probe_clusters(probes: Rewritten) -> dict[str, Any]:
    clusters = {
        _cluster(target): _local(f"127.0.0.1:{target.port}")
        for target in probes.targets.values()
        if target.kind == "httpGet"
    }
    for port in probes.grpc_ports:
        clusters[f"tulle-probe-grpc-{port}"] = {**_local(f"127.0.0.1:{port}"), "protocol": "http2"}
    return clusters


def _local(address: str) -> dict[str, Any]:
    return {"endpoints": [{"address": address}], "connect_timeout": "1s"}
