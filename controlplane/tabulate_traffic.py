"""Traffic policies of the model to rows of the routing table."""

from collections.abc import Sequence

from tulle.controlplane.model_traffic import Cors, Fault, Mirror, RateLimit, RateLimitKey
from tulle.controlplane.subsets import ClusterIndex
from tulle.controlplane.table import CorsRow, FaultRow, MirrorRow, RateRow
from tulle.controlplane.tabulate_matches import predicate_rows
from tulle.controlplane.units import nanoseconds


def rate_rows(limits: Sequence[RateLimit]) -> tuple[RateRow, ...]:
    return tuple([_rate_row(limit) for limit in limits])


def rate_name(limit: RateLimit) -> str:
    """What RateLimit fields call it: `all:1s`, `client_address:1m`, `x-api-key:1h` when it has no name."""
    key = limit.key.header.lower() if isinstance(limit.key, RateLimitKey) else limit.key
    return limit.name or f"{key}:{limit.per}"


def _rate_row(limit: RateLimit) -> RateRow:
    header = limit.key.header.lower() if isinstance(limit.key, RateLimitKey) else ""
    return RateRow(
        name=rate_name(limit),
        requests=limit.requests,
        per=nanoseconds(limit.per),
        burst=limit.burst or limit.requests,
        key="header" if isinstance(limit.key, RateLimitKey) else limit.key,
        header=header,
        always=limit.report == "always",
        ipv4_bits=limit.ipv4_prefix_length,
        ipv6_bits=limit.ipv6_prefix_length,
    )


def cors_row(cors: Cors) -> CorsRow:
    return CorsRow(
        origins=tuple(origin.lower() for origin in cors.allow_origins),
        methods=cors.allow_methods,
        headers=cors.allow_headers,
        exposed=cors.expose_headers,
        max_age=nanoseconds(cors.max_age),
        credentials=cors.allow_credentials,
    )


def mirror_rows(mirrors: Sequence[Mirror], cluster_index: ClusterIndex) -> tuple[MirrorRow, ...]:
    return tuple(
        [
            MirrorRow(
                cluster_index[mirror.cluster],
                share_of(mirror.percentage),
                mirror.shadow_host,
                cluster_index.subset(mirror.cluster, mirror.subset),
            )
            for mirror in mirrors
        ]
    )


def share_of(percentage: float) -> int:
    """Parts of a million."""
    return round(percentage * 10_000)


def fault_row(fault: Fault) -> FaultRow:
    delay, abort = fault.delay, fault.abort
    return FaultRow(
        delay=nanoseconds(delay.duration) if delay else 0,
        delay_share=share_of(delay.percentage) if delay else 0,
        delay_headers=predicate_rows(delay.headers) if delay else (),
        abort_status=abort.status if abort else 0,
        abort_share=share_of(abort.percentage) if abort else 0,
        abort_headers=predicate_rows(abort.headers) if abort else (),
    )
