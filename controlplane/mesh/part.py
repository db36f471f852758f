"""What of a mesh a sidecar is given: exactly the services that it may call and those that it serves.

The kinds of resources of a part, see `resources`:

    settings  ""        of the whole mesh
    service   NAME      how a service is called: names, identity, balancing; without endpoints
    endpoints NAME      where it is
    routes    NAME      which requests to it go where
    serve     NAME      a service that is served here
    policy    NAME      who may ask for what here
    trust     "bundle"  the roots of the trust domain, in PEM form; put in by who has them

Pure. Payloads are MessagePack of the structs below, and of the model's.
"""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from tulle.controlplane.mesh.access import Access
from tulle.controlplane.mesh.model import (
    Defaults,
    Mesh,
    MutualTls,
    Service,
    hostnames,
    mutual_tls,
    spiffe_id,
)
from tulle.controlplane.mesh.resources import Key, Resource, resource
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.model_policies import PolicyRule
from tulle.controlplane.model_routes import Backend, Route, Timeouts


class Settings(Struct, frozen=True):
    """What holds in the whole mesh. With `deny_all` a request that no policy allows is refused."""

    deny_all: bool


class Called(Struct, frozen=True):
    """A service as those see it that call it. `identity` is empty when it is called in plain."""

    hostnames: list[str]
    identity: str
    cluster: Cluster


class Served(Struct, frozen=True):
    """A service as its own sidecar sees it."""

    hostnames: list[str]
    port: int
    protocol: str
    mtls: MutualTls


class Guard(Struct, frozen=True):
    """A policy; `services` are those that it is for, none is all of them."""

    services: list[str]
    action: str
    dry_run: bool
    rules: list[PolicyRule]


def part_of(mesh: Mesh, identity: str) -> dict[Key, Resource]:
    """The part of the sidecar that has this SPIFFE id."""
    return Catalogue(mesh).part(identity)


class Catalogue:
    """All resources of one mesh, each made once, and whose they are.

    Made from the catalogue before it, resources of what has not changed are taken over.
    """

    def __init__(self, mesh: Mesh, former: "Catalogue | None" = None) -> None:
        self.mesh = mesh
        self.former = former if former is not None and former.mesh.defaults == mesh.defaults else None
        self.made: dict[Key, Resource] = {}
        self.keys: dict[str, tuple[Key, ...]] = {}
        self.access: Access | None = None
        if former is not None and same_but_for_endpoints(former.mesh, mesh):
            self.keys, self.access = former.keys, former.access
        self._take_over()
        self.former = None

    def part(self, identity: str) -> dict[Key, Resource]:
        return {key: self.resource(key) for key in self.keys_of(identity)}

    def digests(self, identity: str) -> dict[Key, bytes]:
        return {key: self.resource(key).digest for key in self.keys_of(identity)}

    def keys_of(self, identity: str) -> tuple[Key, ...]:
        """What a sidecar with this identity is given."""
        keys = self.keys.get(identity)
        if keys is None:
            keys = self.keys[identity] = tuple(self._keys(identity))
        return keys

    def resource(self, key: Key) -> Resource:
        made = self.made.get(key)
        if made is None:
            made = self.made[key] = resource(self._content(key))
        return made

    def _take_over(self) -> None:
        if self.former is None:
            return
        mesh, old = self.mesh, self.former.mesh
        for key, made in self.former.made.items():
            kind, name = key
            now, before = mesh.services.get(name), old.services.get(name)
            if (
                kind == "endpoints"
                and now is not None
                and before is not None
                and (now is before or now.endpoints == before.endpoints)
            ):
                self.made[key] = made
            elif kind in ("service", "serve") and now is not None and before is not None:
                if mesh.trust_domain == old.trust_domain and _same_service(now, before):
                    self.made[key] = made
            elif kind == "routes" and name in mesh.services and mesh.routes.get(name) == old.routes.get(name):
                self.made[key] = made

    def _keys(self, identity: str) -> Iterator[Key]:
        yield "settings", ""
        mesh = self.mesh
        if self.access is None:
            self.access = Access(mesh)
        own = self.access.served_by(identity)
        for name in own:
            yield "serve", name
        for name, policy in mesh.policies.items():
            if own and (not policy.services or not set(own).isdisjoint(policy.services)):
                yield "policy", name
        named: dict[str, None] = {}
        for name in self.access.callable_services(identity, [mesh.services[one] for one in own]):
            yield "routes", name
            yield "service", name
            yield "endpoints", name
            named[name] = None
        for name in list(named):
            for target in targets(mesh.routes.get(name, ())):
                if target not in named:
                    named[target] = None
                    yield "service", target
                    yield "endpoints", target

    def _content(self, key: Key) -> object:
        kind, name = key
        mesh = self.mesh
        if kind == "settings":
            return Settings(mesh.defaults.access == "deny_all")
        if kind == "policy":
            policy = mesh.policies[name]
            return Guard(policy.services, policy.action, policy.dry_run, policy.rules)
        service = mesh.services[name]
        if kind == "endpoints":
            return service.endpoints
        if kind == "routes":
            return routes_of(mesh, name)
        if kind == "service":
            mutual = mutual_tls(mesh, service)
            identity = spiffe_id(mesh, service.identity) if service.identity and mutual != "off" else ""
            return Called(hostnames(name, service), identity, cluster_of(mesh, service))
        return Served(
            hostnames(name, service), service.port or 0, service.protocol, mutual_tls(mesh, service)
        )


def same_but_for_endpoints(old: Mesh, new: Mesh) -> bool:
    """Whether who is given which resources is the same in both."""
    if old.services.keys() != new.services.keys() or old.trust_domain != new.trust_domain:
        return False
    if old.defaults != new.defaults or old.policies != new.policies or old.routes != new.routes:
        return False
    return all(
        service is old.services[name] or _same_service(service, old.services[name])
        for name, service in new.services.items()
    )


def _same_service(one: Service, other: Service) -> bool:
    return one is other or msgspec.structs.replace(one, endpoints=[]) == msgspec.structs.replace(
        other, endpoints=[]
    )


def targets(routes: Iterable[Route]) -> Iterator[str]:
    """The services that routes lead to."""
    for route in routes:
        yield from (backend.cluster for backend in route.backends)
        yield from (mirror.cluster for mirror in route.mirror)


def routes_of(mesh: Mesh, name: str) -> list[Route]:
    """The routes of a service with the mesh's defaults filled in; none when all goes to the service itself.

    A route that says nothing of time-outs or retries has the mesh's.
    """
    defaults = mesh.defaults
    routes = mesh.routes.get(name, [])
    if not routes and (defaults.timeouts or defaults.retries):
        routes = [Route(name="all", backends=[Backend(cluster=name)])]
    return [_with_defaults(route, defaults) for route in routes]


def _with_defaults(route: Route, defaults: Defaults) -> Route:
    changes: dict[str, object] = {}
    if not route.backends:
        return route
    if defaults.timeouts is not None and route.timeouts == Timeouts():
        changes["timeouts"] = defaults.timeouts
    if defaults.retries is not None and route.retries is None:
        changes["retries"] = defaults.retries
    return msgspec.structs.replace(route, **changes) if changes else route


def cluster_of(mesh: Mesh, service: Service) -> Cluster:
    """How a service is balanced, with the mesh's defaults; without endpoints."""
    cluster, defaults = service.cluster, mesh.defaults
    changes: dict[str, object] = {}
    if defaults.circuit_breaker is not None and cluster.circuit_breaker == Cluster().circuit_breaker:
        changes["circuit_breaker"] = defaults.circuit_breaker
    if defaults.outlier_detection is not None and cluster.outlier_detection is None:
        changes["outlier_detection"] = defaults.outlier_detection
    return msgspec.structs.replace(cluster, **changes) if changes else cluster
