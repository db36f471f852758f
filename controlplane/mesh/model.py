"""The vocabulary of a mesh: what may be written in `mesh.yaml` and in the files beside it.

Routes, policies and what is said of a service's traffic are the sidecar's own vocabulary (`model_routes`,
`model_policies`, `model_clusters`); what is here is what only a mesh has. References are checked in `check`.
"""

from typing import Annotated, Literal

from msgspec import Meta

from tulle.controlplane.model_circuit_breaker import CircuitBreaker
from tulle.controlplane.model_clusters import Cluster, Endpoint
from tulle.controlplane.model_health import OutlierDetection
from tulle.controlplane.model_policies import Pattern, PolicyRule
from tulle.controlplane.model_routes import Retries, Route, Timeouts
from tulle.controlplane.model_tls import FilePath
from tulle.controlplane.model_traffic import PolicyName
from tulle.controlplane.model_values import Address, Duration, Hostname, Name, Port, Section
from tulle.controlplane.units import END

MutualTls = Literal["strict", "permissive", "off"]
Workload = Annotated[
    str,
    Meta(
        min_length=2,
        max_length=2048,
        pattern=r"^(spiffe:/)?/[\x21-\x7e]+" + END,
        description="A workload's identity: from /ns on, or whole.",
        examples=["/ns/shop/sa/cart", "spiffe://shop.example/ns/shop/sa/cart"],
    ),
]
Url = Annotated[str, Meta(min_length=8, max_length=512, pattern=r"^https?://[\x21-\x7e]+" + END)]
TrustDomain = Annotated[str, Meta(min_length=1, max_length=255)]


class Defaults(Section, frozen=True):
    """What holds for services and routes that say nothing else."""

    mtls: MutualTls = "strict"
    access: Literal["allow_all", "deny_all"] = "allow_all"
    timeouts: Timeouts | None = None
    retries: Retries | None = None
    circuit_breaker: CircuitBreaker | None = None
    outlier_detection: OutlierDetection | None = None


class DnsName(Section, frozen=True):
    """A name whose records are endpoints: addresses with a port given, else SRV records."""

    name: Hostname
    port: Port | None = None


class Service(Section, frozen=True):
    """Something that is called by name. Without an identity it is outside of the mesh, called in plain."""

    identity: Workload | None = None
    hostnames: list[Hostname] = []
    port: Port | None = None
    protocol: Literal["http1", "http2"] = "http1"
    mtls: MutualTls | None = None
    calls: list[Name] | None = None
    endpoints: list[Endpoint] = []
    dns: Annotated[list[DnsName], Meta(max_length=16)] = []
    cluster: Cluster = Cluster()


class MeshPolicy(Section, frozen=True):
    """An authorization policy for what comes to services, enforced where these are served."""

    services: list[Name] = []
    action: Literal["allow", "deny", "audit"] = "allow"
    dry_run: bool = False
    rules: list[PolicyRule] = []


class EtcdSource(Section, frozen=True):
    """An etcd cluster that holds services, routes, policies and defaults."""

    endpoints: Annotated[list[Url], Meta(min_length=1, max_length=16)]
    prefix: Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^/[\x21-\x7e]*" + END)] = "/tulle/"
    ca: FilePath | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None


class Control(Section, frozen=True):
    """The control plane itself. Paths are relative to the file."""

    address: Address = "127.0.0.1:15010"
    ca: FilePath = "ca"
    operators: list[Pattern] = []
    certificate_life: Duration = "24h"
    directories: Annotated[list[FilePath], Meta(max_length=64)] = []
    etcd: EtcdSource | None = None
    dns_servers: Annotated[list[Address], Meta(max_length=3)] = []
    socket: FilePath | None = None
    admin: Address | None = None
    max_sidecars: Annotated[int, Meta(ge=1, le=100_000)] = 10_000


class MeshDocument(Section, frozen=True):
    """One file of a mesh, or all of it. `trust_domain` and `control` are the first file's to say."""

    trust_domain: TrustDomain | None = None
    control: Control | None = None
    defaults: Defaults | None = None
    services: dict[Name, Service] = {}
    routes: dict[Name, list[Route]] = {}
    policies: dict[PolicyName, MeshPolicy] = {}


class Mesh(Section, frozen=True):
    """A whole mesh, put together from its documents."""

    trust_domain: str
    defaults: Defaults = Defaults()
    services: dict[str, Service] = {}
    routes: dict[str, list[Route]] = {}
    policies: dict[str, MeshPolicy] = {}


def spiffe_id(mesh: Mesh, workload: str) -> str:
    """A workload's whole id, whichever way it is written."""
    return workload if workload.startswith("spiffe://") else f"spiffe://{mesh.trust_domain}{workload}"


def hostnames(name: str, service: Service) -> list[str]:
    """By what a service is called: its name unless it says otherwise."""
    return service.hostnames or [name]


def mutual_tls(mesh: Mesh, service: Service) -> MutualTls:
    """What a service asks of those who call it; one outside of the mesh can ask for nothing."""
    if service.identity is None:
        return "off"
    return service.mtls or mesh.defaults.mtls
