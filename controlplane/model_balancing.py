"""The vocabulary of balancing: what the algorithms of a cluster can be told."""

from typing import Annotated

from msgspec import Meta

from tulle.controlplane.model_values import Duration, FieldName, Section
from tulle.controlplane.units import END

CookieName = Annotated[
    str, Meta(min_length=1, max_length=128, pattern=r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+" + END)
]
CookiePath = Annotated[str, Meta(max_length=256, pattern=r"^(/[^\x00-\x20\x7f;]*)?" + END)]
RingSize = Annotated[int, Meta(ge=1, le=8_388_608)]


class PeakEwma(Section, frozen=True):
    """How latency is learnt and judged by `load_balancer: peak_ewma`."""

    default_rtt: Duration = "30ms"
    decay: Duration = "10s"
    failure_penalty: Duration = "1s"


class HashCookie(Section, frozen=True):
    """A cookie that requests are hashed on; with a ttl it is made when absent, `0s`: for the session."""

    name: CookieName
    ttl: Duration | None = None
    path: CookiePath = ""


class HashOn(Section, frozen=True):
    """One part of what requests are hashed on: exactly one of header, cookie, source_address and query."""

    header: FieldName | None = None
    cookie: HashCookie | None = None
    source_address: bool = False
    query: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    terminal: bool = False


class RingHash(Section, frozen=True):
    """How many points the ring of `load_balancer: ring_hash` has."""

    minimum_ring_size: RingSize = 1024
    maximum_ring_size: RingSize = 8_388_608


class AffinityCookie(Section, frozen=True):
    """The cookie that names an endpoint; `0s`: for the session."""

    name: CookieName
    ttl: Duration = "0s"
    path: CookiePath = "/"


class SessionAffinity(Section, frozen=True):
    """Whoever comes back gets the endpoint that it had."""

    cookie: AffinityCookie


class SlowStart(Section, frozen=True):
    """How endpoints that join get their share by and by."""

    window: Duration
    aggression: Annotated[float, Meta(ge=0.01, le=100)] = 1.0
    min_weight_percent: Annotated[float, Meta(ge=0.1, le=100)] = 10.0
