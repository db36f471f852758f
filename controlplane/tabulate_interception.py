"""Redirected connections as rows: what no route takes goes on to where it was meant for, unless that is
refused."""

from collections.abc import Iterable

from tulle.controlplane.model import Config, Listener
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.model_routes import Backend, Route

PASSTHROUGH = "passthrough"  # the cluster, and the route to it


def passes_on(listener: Listener) -> bool:
    """Whether what none of its routes takes is let through."""
    return listener.original_destination and listener.outbound == "allow_any" and not listener.backends


def clusters_in_use(config: Config) -> dict[str, Cluster]:
    """Those of the configuration, and the one that lets through."""
    clusters = dict(config.clusters)
    if any(map(passes_on, config.listeners)):
        clusters.setdefault(PASSTHROUGH, Cluster(original_destination=True))
    return clusters


def passing_tables(config: Config) -> set[str]:
    """The names of the routes behind which all else is let through."""
    return {
        listener.routes
        for listener in config.listeners
        if listener.routes is not None and passes_on(listener)
    }


def tables_in_use(config: Config) -> dict[str, list[Route]]:
    """All routes by their name, with that for all else behind them."""
    passing = passing_tables(config)
    return {
        name: [*routes, *passthrough_routes(routes)] if name in passing else routes
        for name, routes in config.routes.items()
    }


def passthrough_routes(routes: Iterable[Route]) -> list[Route]:
    """The route after all others, under a name that they have left free."""
    taken = {route.name for route in routes}
    name = PASSTHROUGH
    while name in taken:
        name += "-"
    return [Route(name=name, backends=[Backend(cluster=PASSTHROUGH)], connect=True)]
