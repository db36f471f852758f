"""Model to routing table: defaults filled in, units read, references resolved. The config is valid by now."""

from tulle.controlplane.address import parse_address
from tulle.controlplane.log_format import json_items, text_items
from tulle.controlplane.model import Config, Listener
from tulle.controlplane.model_routes import Backend
from tulle.controlplane.subsets import ClusterIndex
from tulle.controlplane.table import (
    ListenerRow,
    LogItemRow,
    RoutingTable,
    TokenRow,
)
from tulle.controlplane.tabulate_clusters import cluster_row, grpc_clusters
from tulle.controlplane.tabulate_greeting import greeting_row
from tulle.controlplane.tabulate_interception import (
    PASSTHROUGH,
    clusters_in_use,
    passes_on,
    tables_in_use,
)
from tulle.controlplane.tabulate_jwt import TokenIndex
from tulle.controlplane.tabulate_policies import claims_of_policies, policy_rows
from tulle.controlplane.tabulate_routes import forwarding_table_row, table_row
from tulle.controlplane.tabulate_tls import TlsRows, server_row
from tulle.controlplane.tabulate_traffic import rate_rows
from tulle.controlplane.units import nanoseconds, size_in_bytes


def tabulate(config: Config) -> RoutingTable:
    """The routing table of a config that `validate` has found right."""
    clusters = clusters_in_use(config)
    cluster_index = ClusterIndex(clusters)
    named = tables_in_use(config)
    claims = claims_of_policies(config)
    tokens = TokenIndex(config, claims)
    called = grpc_clusters(clusters)
    tables = [table_row(name, routes, cluster_index, tokens, called) for name, routes in named.items()]
    table_index = {name: index for index, name in enumerate(named)}
    listeners = []
    tls = TlsRows()
    for listener in config.listeners:
        if listener.routes is None:
            backends = [Backend(cluster=PASSTHROUGH)] if passes_on(listener) else listener.backends
            tables.append(forwarding_table_row(listener.name, backends, cluster_index, called))
            index = len(tables) - 1
        else:
            index = table_index[listener.routes]
        asked = any(route.token is not None for route in tables[index].routes)
        listeners.append(_listener(listener, index, tls, tokens.requirement(listener.jwt, asked)))
    return RoutingTable(
        listeners=tuple(listeners),
        tables=tuple(tables),
        clusters=tuple(
            cluster_row(name, cluster, cluster_index.subsets(name), tls)
            for name, cluster in clusters.items()
        ),
        log_format=config.access_log.format,
        log_items=_log_items(config),
        overload_connections=config.overload.max_connections or 0,
        overload_memory=size_in_bytes(config.overload.max_memory or 0),
        tls=tuple(tls.rows),
        tls_library=config.tls.library,
        policies=policy_rows(config, claims),
        claims=tuple(claims),
        providers=tokens.rows,
        claim_fields=tokens.fields,
    )


def _log_items(config: Config) -> tuple[LogItemRow, ...]:
    access_log = config.access_log
    if access_log.format == "off":
        return ()
    if access_log.format == "text":
        return tuple(text_items(access_log.format_string))
    grpc = any(cluster.protocol != "http1" for cluster in config.clusters.values())
    detecting = any(listener.protocol == "auto" for listener in config.listeners)
    return tuple(json_items(bool(config.policies or config.jwt), grpc, detecting))


def _listener(listener: Listener, table: int, tls: TlsRows, token: TokenRow | None) -> ListenerRow:
    return ListenerRow(
        name=listener.name,
        address=str(parse_address(listener.address, lowest_port=0)),
        protocol=listener.protocol,
        table=table,
        trusted_hops=listener.trusted_hops,
        max_connections=listener.max_connections or 0,
        max_requests=listener.max_requests_per_connection or 0,
        max_streams=listener.max_streams_per_connection,
        grpc_web=listener.grpc_web,
        max_head=size_in_bytes(listener.max_request_head),
        max_line=size_in_bytes(listener.max_request_line),
        max_fields=listener.max_header_fields,
        max_body=size_in_bytes(listener.max_request_body or 0),
        head_timeout=nanoseconds(listener.request_head_timeout),
        idle_timeout=nanoseconds(listener.idle_timeout),
        slashes=listener.path.slashes,
        escaped_slashes=listener.path.escaped_slashes,
        forwarded_headers=listener.forwarded_headers,
        request_id=listener.request_id,
        via=listener.via or "",
        access_log=listener.access_log,
        rate_limits=rate_rows(listener.rate_limits),
        tls=tls.number(server_row(listener.tls, listener.protocol, _forwarded(listener))),
        handshake_timeout=nanoseconds(listener.tls.handshake_timeout) if listener.tls else 0,
        original_destination=listener.original_destination,
        port=getattr(parse_address(listener.address, lowest_port=0), "port", 0) or 0,
        token=token,
        client_certificate=listener.forward_client_cert_details,
        greeting=greeting_row(listener),
        title_case=listener.header_case == "title",
        keepalive_interval=nanoseconds(listener.keepalive.interval) if listener.keepalive else 0,
        keepalive_timeout=nanoseconds(listener.keepalive.timeout) if listener.keepalive else 0,
    )


def _forwarded(listener: Listener) -> tuple[str, ...] | None:
    """What upstream is told of a client's certificate, or of its being there at all."""
    if listener.forward_client_cert_details in ("sanitize", "always_forward_only"):
        return None
    parts = listener.set_current_client_cert_details
    return tuple(part for part in ("subject", "uri", "dns") if part in parts)
