"""What a scenario asks of a proxy, in words that every peer can put into its own configuration.

All proxies do the same work: they add `x-forwarded-for`, `x-forwarded-proto` and `x-request-id`, keep
connections to the backend alive, stream bodies, limit what an upstream may have open, count requests, and log
only when asked.
"""

from dataclasses import dataclass

CONNECTION_LIMIT = 1024
"""Connections that a proxy may have open to one upstream."""


@dataclass(frozen=True)
class Demand:
    """A proxy on 127.0.0.1:`port` in front of the backend on `backend_port`."""

    port: int
    backend_port: int
    routes: int = 0
    """This many prefixes, see `route_path`; with none, all paths go to the one cluster."""
    clusters: int = 1
    """Routes are dealt to so many clusters in turn; each has the one backend as its endpoint."""
    access_log: bool = False
    version: int | None = None
    """When given, `VERSION_PATH` is answered by the proxy itself, with `version_body`."""
    yaml: bool = False
    """The configuration as YAML where the proxy reads several formats."""

    def cluster_of(self, route: int) -> str:
        return cluster_name(route % self.clusters)

    @property
    def version_body(self) -> str:
        return f"version {self.version}"


VERSION_PATH = "/version"


def route_path(route: int) -> str:
    """The prefix of a route; a request for it is routed by it."""
    return f"/service/{route:06d}/"


def cluster_name(cluster: int) -> str:
    return f"cluster-{cluster:04d}"
