"""The routing table: a validated configuration with every default filled in and every reference resolved.

This is what a proxy serves by: kept on disk as the last good one, shown by `/config_dump`, sent by a control
plane. Its form on the wire is MessagePack; the structs are arrays there, so fields may only be added at the
end, with a default. It holds nothing that is private to one proxy: no ids, no slots, no resolved addresses.

Durations are nanoseconds, sizes are bytes; 0 is without limit, an empty text is absent.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct

PathKind = Literal["exact", "prefix", "regex"]
PredicateKind = Literal["present", "exact", "regex"]
EditKind = Literal["remove", "set", "add"]
Pairs = tuple[tuple[str, str], ...]  # of metadata: keys and values, sorted


class _Row(Struct, array_like=True, frozen=True, gc=False):
    """What all rows share: arrays on the wire, never changed once made."""


class PredicateRow(_Row, frozen=True):
    name: str  # of a header: in lower case
    kind: PredicateKind
    value: str = ""


class MatchRow(_Row, frozen=True):
    kind: PathKind = "prefix"
    path: str = ""  # in normal form; of a prefix: without a trailing slash, so that "" is the prefix "/"
    method: str = ""
    headers: tuple[PredicateRow, ...] = ()
    queries: tuple[PredicateRow, ...] = ()
    service: str = ""  # of gRPC calls, where the match names it
    rpc: str = ""  # likewise their method


class BackendRow(_Row, frozen=True):
    cluster: int  # index into RoutingTable.clusters
    weight: int
    subset: int = 0  # the cluster's subsets[subset - 1]; 0: all endpoints


class EditRow(_Row, frozen=True):
    kind: EditKind
    name: str
    value: str = ""


class PathEditRow(_Row, frozen=True):
    kind: Literal["full", "prefix"]
    value: str  # of a prefix: without a trailing slash


class RetryRow(_Row, frozen=True):
    attempts: int  # after the first
    on: tuple[str, ...]  # RETRY_REASONS of the model
    statuses: tuple[int, ...]
    base: int
    longest: int
    unsafe_methods: bool
    replay_bytes: int
    headers: tuple[PredicateRow, ...] = ()  # of the response
    longest_wait: int = 0  # Retry-After that is waited for


class HedgeRow(_Row, frozen=True):
    """A second try after `delay`, or where that is 0 after a quantile of the cluster's latency."""

    delay: int
    quantile: float
    min_delay: int


class TargetRow(_Row, frozen=True):
    """What a rewrite or a redirect changes."""

    scheme: str = ""
    hostname: str = ""
    port: int = 0
    path: PathEditRow | None = None


class ResponseRow(_Row, frozen=True):
    body: str
    content_type: str


class FaultRow(_Row, frozen=True):
    """Shares are parts of a million; a delay or a status of 0 is none."""

    delay: int = 0
    delay_share: int = 0
    delay_headers: tuple[PredicateRow, ...] = ()
    abort_status: int = 0
    abort_share: int = 0
    abort_headers: tuple[PredicateRow, ...] = ()


class CorsRow(_Row, frozen=True):
    """Origins in lower case; `*` alone is any."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age: int
    credentials: bool


class MirrorRow(_Row, frozen=True):
    cluster: int  # index into RoutingTable.clusters
    share: int  # of a million
    suffix: bool  # the host it names ends in "-shadow"
    subset: int = 0  # as of a backend


class RateRow(_Row, frozen=True):
    """A token bucket, or one for each client."""

    name: str
    requests: int
    per: int
    burst: int
    key: Literal["all", "client_address", "header"]
    header: str = ""  # in lower case
    always: bool = False  # answers to requests that were let through tell of it too
    ipv4_bits: int = 32  # of a client's address
    ipv6_bits: int = 64


class TokenProviderRow(_Row, frozen=True):
    """Who issues tokens; keys are in a file or at a URL."""

    name: str
    issuer: str
    audiences: tuple[str, ...]  # none: any
    leeway: int
    keys_file: str
    keys_url: str
    refresh: int
    fields: tuple[tuple[int, tuple[str, ...]], ...]  # index into RoutingTable.claim_fields, and the claim


class TokenSourceRow(_Row, frozen=True):
    """A place where a request may have its token."""

    kind: Literal["header", "cookie", "query"]
    name: str  # of a header: in lower case
    prefix: str  # of a header's value, in lower case
    providers: tuple[int, ...]  # indexes into RoutingTable.providers
    strip: bool  # it is not passed on
    asked: int  # the number of what the verifier is asked: of providers and claims together


class TokenRow(_Row, frozen=True):
    """What is asked of requests; without sources nothing."""

    sources: tuple[TokenSourceRow, ...]
    required: bool


class RouteRow(_Row, frozen=True):
    name: str
    kind: Literal["forward", "redirect", "response"]
    hostnames: tuple[str, ...] = ()  # in lower case; "" is any, and so is none at all
    matches: tuple[MatchRow, ...] = ()  # at least one
    backends: tuple[BackendRow, ...] = ()  # only those with a weight
    request_timeout: int = 0
    timeout_to_head: bool = False  # request_timeout ends with the response head
    try_timeout: int = 0
    idle_timeout: int = 0
    retry: RetryRow | None = None
    hedge: HedgeRow | None = None
    target: TargetRow | None = None
    status: int = 0
    response: ResponseRow | None = None
    request_edits: tuple[EditRow, ...] = ()
    response_edits: tuple[EditRow, ...] = ()
    upgrade: bool = True
    connect: bool = False
    rate_limits: tuple[RateRow, ...] = ()
    late_timeout: int = 0  # what request_timeout is longer, once the response has begun
    max_body: int = 0  # 0: the listener's
    fault: FaultRow | None = None
    cors: CorsRow | None = None
    mirrors: tuple[MirrorRow, ...] = ()
    token: TokenRow | None = None  # in place of the listener's
    grpc: bool = False  # leads to services of gRPC


class TableRow(_Row, frozen=True):
    name: str
    routes: tuple[RouteRow, ...]


class GreetingRow(_Row, frozen=True):
    """What a connection begins with before its own bytes, and how it is told what those speak."""

    proxy: Literal["off", "optional", "required"]
    header_timeout: int
    sources: tuple["ValueRow", ...]  # networks that may send a header; none: anybody
    silence: int  # after which the server is taken to speak first; 0: bytes are not looked at
    ports: tuple[tuple[int, int], ...] = ()  # port, and silence there


class ListenerRow(_Row, frozen=True):
    name: str
    address: str
    protocol: Literal["http", "tcp", "auto"]
    table: int  # index into RoutingTable.tables
    trusted_hops: int
    max_connections: int
    max_requests: int
    max_head: int
    max_line: int
    max_fields: int
    max_body: int
    head_timeout: int
    idle_timeout: int
    slashes: Literal["merge", "keep", "refuse"]
    escaped_slashes: Literal["refuse", "keep", "decode"]
    forwarded_headers: bool
    request_id: bool
    via: str
    access_log: bool
    rate_limits: tuple[RateRow, ...] = ()
    tls: int = 0  # index plus one into RoutingTable.tls; 0: plain
    handshake_timeout: int = 0
    port: int = 0  # 0: there is none, or it is known only when the socket is bound
    original_destination: bool = False
    max_streams: int = 256  # of one HTTP/2 connection at once
    grpc_web: bool = False
    token: TokenRow | None = None
    client_certificate: Literal[
        "sanitize", "forward_only", "append_forward", "sanitize_set", "always_forward_only"
    ] = "sanitize"
    greeting: GreetingRow | None = None
    title_case: bool = False  # names of fields in answers of HTTP/1
    keepalive_interval: int = 0  # of HTTP/2; 0: clients are not asked
    keepalive_timeout: int = 0


class EndpointRow(_Row, frozen=True):
    address: str
    weight: int
    zone: str
    priority: int = 0
    metadata: Pairs = ()


class ZoneAwareRow(_Row, frozen=True):
    min_cluster_size: int


class RetryBudgetRow(_Row, frozen=True):
    percent: int  # of the requests under way
    least: int  # retries a second that are always allowed


class PeakEwmaRow(_Row, frozen=True):
    default_rtt: int
    decay: int
    failure_penalty: int


class HealthCheckRow(_Row, frozen=True):
    """A check by HTTP or gRPC has a path, a TCP check has none."""

    interval: int
    jitter: int
    unhealthy_interval: int
    timeout: int
    healthy_threshold: int
    unhealthy_threshold: int
    initially_unhealthy: bool
    port: int  # 0: the endpoint's own
    reuse_connection: bool
    path: str = ""
    host: str = ""  # "": the endpoint's address
    method: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    statuses: tuple[tuple[int, int], ...] = ()  # first and last
    http2: bool = False
    grpc: bool = False  # then `statuses` means nothing
    service: str = ""  # of a check by gRPC


class OutlierRow(_Row, frozen=True):
    """What the fields mean is told in `model_health`."""

    consecutive_5xx: int
    consecutive_gateway_failure: int
    consecutive_local_origin_failure: int
    split_external_local_origin_errors: bool
    interval: int
    base_ejection_time: int
    max_ejection_time: int
    max_ejection_percent: int
    success_rate_minimum_hosts: int
    success_rate_request_volume: int
    success_rate_stdev_factor: int
    failure_percentage_threshold: int
    failure_percentage_minimum_hosts: int
    failure_percentage_request_volume: int
    enforcing_consecutive_5xx: int
    enforcing_consecutive_gateway_failure: int
    enforcing_consecutive_local_origin_failure: int
    enforcing_success_rate: int
    enforcing_local_origin_success_rate: int
    enforcing_failure_percentage: int
    enforcing_failure_percentage_local_origin: int


class HashRow(_Row, frozen=True):
    """A part of a request that balancing goes by."""

    kind: Literal["header", "cookie", "source_address", "query"]
    name: str  # of a header: in lower case
    terminal: bool
    made: bool = False  # a cookie that is set when it is absent
    attributes: str = ""  # what follows its name and value in Set-Cookie


class RingRow(_Row, frozen=True):
    smallest: int
    largest: int


class SlowStartRow(_Row, frozen=True):
    window: int
    exponent: float
    least: int  # thousandths of the weight


class FailureRateRow(_Row, frozen=True):
    threshold: int  # per cent
    window: int
    minimum_requests: int
    open: int
    max_open: int
    half_open_requests: int
    scope: tuple[Literal["endpoint", "cluster"], ...]


class AdaptiveRow(_Row, frozen=True):
    percentile: float  # shares, not per cent
    buffer: float
    min_concurrency: int
    max_concurrency: int
    request_count: int
    update_interval: int
    measure_interval: int
    jitter: int  # the longest, on top of measure_interval
    fixed_rtt: int  # 0: measured


class ClusterRow(_Row, frozen=True):
    name: str
    endpoints: tuple[EndpointRow, ...]
    balancer: Literal["round_robin", "least_request", "random", "peak_ewma", "ring_hash", "maglev"]
    choices: int
    connect_timeout: int
    pending_timeout: int
    max_connections: int
    max_pending: int
    max_requests: int
    max_retries: int
    pool_idle_timeout: int
    pool_max_requests: int
    pool_max_age: int
    max_response_head: int
    protocol: Literal["http1", "http2", "auto"] = "http1"
    max_streams: int = 100
    retry_budget: RetryBudgetRow | None = None
    max_step_back: int = 0
    peak_ewma: PeakEwmaRow | None = None
    panic_threshold: int = 50  # per cent
    zone_aware: ZoneAwareRow | None = None
    subsets: tuple[Pairs, ...] = ()  # that backends ask for
    subset_fallback: bool = False
    outlier: OutlierRow | None = None
    hash_on: tuple[HashRow, ...] = ()
    ring: RingRow | None = None
    bounded_load: float = 0.0
    affinity: HashRow | None = None
    slow_start: SlowStartRow | None = None
    health_check: HealthCheckRow | None = None
    failure_rate: FailureRateRow | None = None
    adaptive: AdaptiveRow | None = None
    tls: int = 0  # as in ListenerRow
    proxy_protocol: int = 0  # version of the header that its connections begin with
    title_case: bool = False  # names of fields in requests of HTTP/1
    keepalive_interval: int = 0  # as in ListenerRow; 0: the proxy's own way
    keepalive_timeout: int = 0


class CertificateRow(_Row, frozen=True):
    """Names of files: what is in them is in no table."""

    certificate: str
    key: str
    hostnames: tuple[str, ...] = ()  # that it is for; none: those that it has itself


class TlsRow(_Row, frozen=True):
    """The rules of TLS of one listener or cluster."""

    role: Literal["server", "client"]
    certificates: tuple[CertificateRow, ...]  # of a server the first is for all names that no other is for
    ca: str  # a file
    require: bool  # a certificate of clients
    min_version: Literal["1.2", "1.3"]
    ciphers: str  # of TLS 1.2, as OpenSSL wants it; empty: the usual ones
    suites: str  # of TLS 1.3
    alpn: tuple[str, ...]
    sni: str = ""
    dns: tuple[str, ...] = ()  # a server must have one of these names, or of `uri`
    uri: tuple[str, ...] = ()
    max_handshakes: int = 0
    forward: tuple[str, ...] | None = None  # parts of a client's certificate, as `Listener` names them


class ValueRow(_Row, frozen=True):
    """Something to compare with: a text, the bits of a network as if it were one of IPv6, or a number."""

    kind: Literal["exact", "prefix", "suffix", "present", "network", "number"]
    text: str = ""
    number: int = 0


class ConditionRow(_Row, frozen=True):
    """Any of the values, or with `negated` none of them."""

    attribute: Literal[
        "principal", "peer_address", "client_address", "port", "host", "path", "method", "header", "claim"
    ]
    values: tuple[ValueRow, ...]
    negated: bool = False
    name: str = ""  # of a header, in lower case; of a claim, for people
    claim: int = 0  # index into RoutingTable.claims


class PolicyRuleRow(_Row, frozen=True):
    """Any source whose conditions all hold, any such target, and all conditions; none at all holds."""

    sources: tuple[tuple[ConditionRow, ...], ...] = ()
    targets: tuple[tuple[ConditionRow, ...], ...] = ()
    conditions: tuple[ConditionRow, ...] = ()


class PolicyRow(_Row, frozen=True):
    name: str
    action: Literal["allow", "deny", "audit"]
    dry_run: bool = False
    of_routes: bool = False  # only for `routes`, however many those are
    listeners: tuple[int, ...] = ()  # indexes; none: all
    routes: tuple[tuple[int, int], ...] = ()  # table, and route in it
    rules: tuple[PolicyRuleRow, ...] = ()


class LogItemRow(_Row, frozen=True):
    """One part of a log line; the operators are those of `log_format`."""

    operator: str  # "" for a literal text
    name: str = ""  # the literal text, or the JSON key
    argument: str = ""
    alternative: str = ""
    limit: int = 0


class RoutingTable(_Row, frozen=True):
    listeners: tuple[ListenerRow, ...]
    tables: tuple[TableRow, ...]
    clusters: tuple[ClusterRow, ...]
    log_format: Literal["json", "text", "off"]
    log_items: tuple[LogItemRow, ...]
    overload_connections: int = 0  # of all workers together
    overload_memory: int = 0
    tls: tuple[TlsRow, ...] = ()
    tls_library: Literal["cryptography", "system"] = "cryptography"
    policies: tuple[PolicyRow, ...] = ()
    claims: tuple[tuple[str, ...], ...] = ()  # that are asked for: the names on the way to each
    providers: tuple[TokenProviderRow, ...] = ()
    claim_fields: tuple[str, ...] = ()  # header fields that are made of claims, in lower case


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(RoutingTable)


def encode_table(table: RoutingTable) -> bytes:
    return _ENCODER.encode(table)


def decode_table(encoded: bytes) -> RoutingTable:
    """ValueError (msgspec's) when these bytes are no routing table."""
    return _DECODER.decode(encoded)


def readable(row: Any) -> Any:
    """Rows as dicts with the names of their fields, for people and for JSON."""
    if isinstance(row, Struct):
        return {name: readable(getattr(row, name)) for name in row.__struct_fields__}
    if isinstance(row, (tuple, list)):
        return [readable(item) for item in row]
    return row
