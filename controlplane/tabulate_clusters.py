"""Clusters of the model to rows of the routing table."""

from collections.abc import Mapping

from tulle.controlplane.address import parse_address
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.subsets import pairs
from tulle.controlplane.table import ClusterRow, EndpointRow, Pairs, ZoneAwareRow
from tulle.controlplane.tabulate_balancing import (
    affinity_row,
    hash_rows,
    max_step_back,
    peak_ewma_row,
    ring_row,
    slow_start_row,
)
from tulle.controlplane.tabulate_circuit_breaker import adaptive_row, failure_rate_row, retry_budget_row
from tulle.controlplane.tabulate_health import health_check_row, outlier_row
from tulle.controlplane.tabulate_tls import TlsRows, client_row
from tulle.controlplane.units import nanoseconds, size_in_bytes

ANYWHERE = "0.0.0.0:0"  # stands for where a connection was meant for


def cluster_row(name: str, cluster: Cluster, subsets: tuple[Pairs, ...], tls: TlsRows) -> ClusterRow:
    """`subsets` are those that backends ask for; `tls` takes the row of TLS, if it has one."""
    zone_aware = cluster.zone_aware
    breaker = cluster.circuit_breaker
    pool = cluster.connection_pool
    return ClusterRow(
        name=name,
        endpoints=(EndpointRow(ANYWHERE, 1, ""),)
        if cluster.original_destination
        else tuple(
            EndpointRow(
                str(parse_address(endpoint.address)),
                endpoint.weight,
                endpoint.zone,
                endpoint.priority,
                pairs(endpoint.metadata) if endpoint.metadata else (),
            )
            for endpoint in cluster.endpoints
        ),
        balancer=cluster.load_balancer,
        choices=cluster.choices,
        connect_timeout=nanoseconds(cluster.connect_timeout),
        pending_timeout=nanoseconds(cluster.pending_timeout),
        max_connections=breaker.max_connections or 0,
        max_pending=breaker.max_pending_requests or 0,
        max_requests=breaker.max_requests or 0,
        max_retries=breaker.max_retries or 0,
        pool_idle_timeout=nanoseconds(pool.idle_timeout),
        pool_max_requests=pool.max_requests_per_connection or 0,
        pool_max_age=nanoseconds(pool.max_connection_age or "0s"),
        max_response_head=size_in_bytes(cluster.max_response_head),
        protocol=cluster.protocol,
        max_streams=pool.max_streams_per_connection,
        retry_budget=retry_budget_row(breaker.retry_budget),
        failure_rate=failure_rate_row(breaker.failure_rate),
        adaptive=adaptive_row(breaker.adaptive_concurrency),
        max_step_back=max_step_back(cluster),
        peak_ewma=peak_ewma_row(cluster),
        panic_threshold=cluster.panic_threshold,
        zone_aware=ZoneAwareRow(zone_aware.min_cluster_size) if zone_aware and zone_aware.enabled else None,
        subsets=subsets,
        subset_fallback=cluster.subset_fallback == "any",
        outlier=outlier_row(cluster.outlier_detection),
        hash_on=hash_rows(cluster),
        ring=ring_row(cluster),
        bounded_load=cluster.bounded_load or 0.0,
        affinity=affinity_row(cluster),
        slow_start=slow_start_row(cluster),
        health_check=health_check_row(cluster.health_checks, cluster.protocol == "http2"),
        tls=tls.number(client_row(cluster.tls, cluster.protocol)),
        proxy_protocol={"off": 0, "v1": 1, "v2": 2}[cluster.proxy_protocol],
        title_case=cluster.header_case == "title",
        keepalive_interval=nanoseconds(pool.keepalive.interval) if pool.keepalive else 0,
        keepalive_timeout=nanoseconds(pool.keepalive.timeout) if pool.keepalive else 0,
    )


def grpc_clusters(clusters: Mapping[str, Cluster]) -> frozenset[str]:
    """Those whose endpoints are known to be services of gRPC: they are asked by it whether they are well."""
    return frozenset(
        name
        for name, cluster in clusters.items()
        if any(check.grpc is not None for check in cluster.health_checks)
    )
