"""What algorithms are told, of the model to rows of the routing table."""

from tulle.controlplane.model_balancing import HashCookie, HashOn, PeakEwma, RingHash
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.table import HashRow, PeakEwmaRow, RingRow, SlowStartRow
from tulle.controlplane.units import nanoseconds

STEP_BACK_DEFAULT = "30s"  # of peak_ewma


def peak_ewma_row(cluster: Cluster) -> PeakEwmaRow | None:
    if cluster.load_balancer != "peak_ewma":
        return None
    settings = cluster.peak_ewma or PeakEwma()
    return PeakEwmaRow(
        default_rtt=nanoseconds(settings.default_rtt),
        decay=nanoseconds(settings.decay),
        failure_penalty=nanoseconds(settings.failure_penalty),
    )


def max_step_back(cluster: Cluster) -> int:
    if cluster.max_step_back is not None:
        return nanoseconds(cluster.max_step_back)
    return nanoseconds(STEP_BACK_DEFAULT) if cluster.load_balancer == "peak_ewma" else 0


def ring_row(cluster: Cluster) -> RingRow | None:
    if cluster.load_balancer != "ring_hash":
        return None
    settings = cluster.ring_hash or RingHash()
    return RingRow(settings.minimum_ring_size, settings.maximum_ring_size)


def hash_rows(cluster: Cluster) -> tuple[HashRow, ...]:
    if cluster.load_balancer not in ("ring_hash", "maglev"):
        return ()
    return tuple(_hash_row(item) for item in cluster.hash_on)


def _hash_row(item: HashOn) -> HashRow:
    if item.header is not None:
        return HashRow("header", item.header.lower(), item.terminal)
    if item.query is not None:
        return HashRow("query", item.query, item.terminal)
    if item.cookie is None:
        return HashRow("source_address", "", item.terminal)
    made = item.cookie.ttl is not None
    return HashRow("cookie", item.cookie.name, item.terminal, made, _attributes(item.cookie) if made else "")


def affinity_row(cluster: Cluster) -> HashRow | None:
    if cluster.session_affinity is None:
        return None
    cookie = cluster.session_affinity.cookie
    return HashRow(
        "cookie", cookie.name, True, True, _attributes(HashCookie(cookie.name, cookie.ttl, cookie.path))
    )


def _attributes(cookie: HashCookie) -> str:
    """What follows name and value in Set-Cookie (RFC 6265 section 4.1)."""
    seconds = -(-nanoseconds(cookie.ttl or "0s") // 1_000_000_000)
    age = f"; Max-Age={seconds}" if seconds else ""
    path = f"; Path={cookie.path}" if cookie.path else ""
    return f"{age}{path}; HttpOnly"


def slow_start_row(cluster: Cluster) -> SlowStartRow | None:
    settings = cluster.slow_start
    if settings is None or cluster.load_balancer in ("ring_hash", "maglev"):
        return None
    return SlowStartRow(
        window=nanoseconds(settings.window),
        exponent=1 / settings.aggression,
        least=round(settings.min_weight_percent * 10),
    )
