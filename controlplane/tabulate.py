"""Model to routing table: defaults filled in, units read, references resolved. The config is valid by now."""

from tulle.controlplane.address import parse_address
from tulle.controlplane.log_format import json_items, text_items
from tulle.controlplane.model import AccessLog, Config, Listener
from tulle.controlplane.subsets import ClusterIndex
from tulle.controlplane.table import (
    ListenerRow,
    LogItemRow,
    RoutingTable,
)
from tulle.controlplane.tabulate_clusters import cluster_row
from tulle.controlplane.tabulate_routes import forwarding_table_row, table_row
from tulle.controlplane.tabulate_traffic import rate_rows
from tulle.controlplane.units import nanoseconds, size_in_bytes


def tabulate(config: Config) -> RoutingTable:
    """The routing table of a config that `validate` has found right."""
    cluster_index = ClusterIndex(config.clusters)
    tables = [table_row(name, routes, cluster_index) for name, routes in config.routes.items()]
    table_index = {name: index for index, name in enumerate(config.routes)}
    listeners = []
    for listener in config.listeners:
        if listener.routes is None:
            tables.append(forwarding_table_row(listener, cluster_index))
            index = len(tables) - 1
        else:
            index = table_index[listener.routes]
        listeners.append(_listener(listener, index))
    return RoutingTable(
        listeners=tuple(listeners),
        tables=tuple(tables),
        clusters=tuple(
            cluster_row(name, cluster, cluster_index.subsets(name))
            for name, cluster in config.clusters.items()
        ),
        log_format=config.access_log.format,
        log_items=_log_items(config.access_log),
        overload_connections=config.overload.max_connections or 0,
        overload_memory=size_in_bytes(config.overload.max_memory or 0),
    )


def _log_items(access_log: AccessLog) -> tuple[LogItemRow, ...]:
    if access_log.format == "off":
        return ()
    return tuple(json_items() if access_log.format == "json" else text_items(access_log.format_string))


def _listener(listener: Listener, table: int) -> ListenerRow:
    return ListenerRow(
        name=listener.name,
        address=str(parse_address(listener.address, lowest_port=0)),
        protocol=listener.protocol,
        table=table,
        trusted_hops=listener.trusted_hops,
        max_connections=listener.max_connections or 0,
        max_requests=listener.max_requests_per_connection or 0,
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
    )
