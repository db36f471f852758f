"""What the types of a mesh cannot say: references, names that are taken, combinations.

A service's traffic, routes and policies are checked by the sidecar's own checks, as if the whole mesh were
one sidecar: what is found there is told with the paths of the mesh.
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from tulle.controlplane.findings import Finding, Report, did_you_mean
from tulle.controlplane.identity.spiffe import check_trust_domain, parse_workload
from tulle.controlplane.mesh.model import Mesh, Service, hostnames, mutual_tls, spiffe_id
from tulle.controlplane.mesh.names import CONTROL_PATH
from tulle.controlplane.model import Config
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.model_policies import Policy
from tulle.controlplane.model_routes import Route
from tulle.controlplane.problems import Path
from tulle.controlplane.validate_clusters import check_clusters
from tulle.controlplane.validate_policies import check_policies
from tulle.controlplane.validate_routes import check_table

_RESERVED = "application:"


def check_mesh(
    mesh: Mesh, report: Report, former: Mesh | None = None, odd: Iterable[Finding] = ()
) -> list[Finding]:
    """All errors of a mesh whose types are right, and what is odd about it.

    What is the very same object as in `former`, a mesh without errors, is not looked at again: what was `odd`
    about it still is.
    """
    old = former
    if former is not None and (former.trust_domain, former.defaults) != (mesh.trust_domain, mesh.defaults):
        old = None  # what services say means something else now
    try:
        check_trust_domain(mesh.trust_domain)
    except ValueError as error:
        report.error("trust-domain", ("trust_domain",), str(error))
    changed = {
        name: service
        for name, service in mesh.services.items()
        if old is None or old.services.get(name) is not service
    }
    for name, service in changed.items():
        _check_service(mesh, name, service, report)
    if old is None or old.services.keys() != mesh.services.keys() or _renamed(old, changed):
        _check_hostnames(mesh, report)
    gone = _gone(old, mesh)
    _check_calls(mesh, mesh.services if gone else changed, report)
    _check_traffic(changed, report)
    stays: dict[str, Collection[str]] = {"services": mesh.services.keys() - changed.keys()}
    for section, check in (("routes", _check_routes), ("policies", _check_policies)):
        if gone or old is None or getattr(old, section) is not getattr(mesh, section):
            check(mesh, report)
        else:
            stays[section] = getattr(mesh, section)
    still = [one for one in odd if one.path[1:] and one.path[1] in stays.get(str(one.path[0]), ())]
    return [*still, *report.findings]


def _gone(old: Mesh | None, mesh: Mesh) -> bool:
    return old is None or not old.services.keys() <= mesh.services.keys()


def _renamed(old: Mesh, changed: Mapping[str, Service]) -> bool:
    return any(
        name not in old.services or hostnames(name, old.services[name]) != hostnames(name, service)
        for name, service in changed.items()
    )


def _check_service(mesh: Mesh, name: str, service: Service, report: Report) -> None:
    path: Path = ("services", name)
    if name.startswith(_RESERVED):
        report.error("name", path, f"{name!r} begins with {_RESERVED!r}, which sidecars use themselves")
    if service.identity is not None:
        try:
            identity = parse_workload(spiffe_id(mesh, service.identity))
        except ValueError as error:
            report.error("identity", (*path, "identity"), str(error))
        else:
            if identity.path == CONTROL_PATH:
                report.error("identity", (*path, "identity"), "is that of the control plane itself")
            if identity.trust_domain != mesh.trust_domain:
                report.error(
                    "identity", (*path, "identity"),
                    f"{identity} is of another trust domain than this mesh, {mesh.trust_domain}",
                    f"Write {identity.path}.",
                )  # fmt: skip
    elif service.mtls not in (None, "off"):
        report.error(
            "combination", (*path, "mtls"), "means nothing without an identity: nobody could be verified",
            "Say who serves it, as in identity: /ns/shop/sa/cart.",
        )  # fmt: skip
    if service.identity is None and service.port is not None:
        report.error(
            "combination", (*path, "port"), "means nothing without an identity: no sidecar serves it",
            "Say who serves it, as in identity: /ns/shop/sa/cart.",
        )  # fmt: skip
    if service.cluster.endpoints:
        report.error(
            "combination", (*path, "cluster", "endpoints"), "does not belong here",
            "Write endpoints in the service itself.",
        )  # fmt: skip
    if service.cluster.tls is not None:
        report.error(
            "combination", (*path, "cluster", "tls"), "does not belong here",
            "The mesh has its own certificates; see mtls.",
        )  # fmt: skip
    if mutual_tls(mesh, service) != "off":
        for index, check in enumerate(service.cluster.health_checks):
            if check.http is not None:
                report.error(
                    "unsupported", (*path, "cluster", "health_checks", index, "http"),
                    "HTTP checks over mutual TLS are not carried yet", "Write `tcp: {}`.",
                )  # fmt: skip


def _check_hostnames(mesh: Mesh, report: Report) -> None:
    owners: dict[str, str] = {}
    for name, service in mesh.services.items():
        for index, hostname in enumerate(hostnames(name, service)):
            first = owners.setdefault(hostname.lower(), name)
            if first != name:
                path: Path = ("services", name)
                if service.hostnames:
                    path = (*path, "hostnames", index)
                report.error("duplicate", path, f"the service {first!r} is called {hostname} too")


def _check_calls(mesh: Mesh, services: Mapping[str, Service], report: Report) -> None:
    for name, service in services.items():
        for index, called in enumerate(service.calls or ()):
            if called not in mesh.services:
                _unknown(("services", name, "calls", index), called, mesh, report)


def _unknown(path: Path, name: str, mesh: Mesh, report: Report) -> None:
    if ("services",) not in report.ignored:
        report.error("reference", path, f"there is no service {name!r}", did_you_mean(name, mesh.services))


def _check_traffic(services: Mapping[str, Service], report: Report) -> None:
    """Endpoints and balancing."""
    clusters = {
        name: msgspec.structs.replace(service.cluster, endpoints=service.endpoints, tls=None)
        for name, service in services.items()
    }
    found = Report()
    check_clusters(clusters, found)
    for finding in found.findings:
        _, name, *rest = finding.path
        if rest[:1] != ["endpoints"]:
            rest = ["cluster", *rest]
        _pass_on(finding, ("services", name, *rest), report)


def _check_routes(mesh: Mesh, report: Report) -> None:
    clusters = dict.fromkeys(mesh.services, Cluster())
    for name, routes in mesh.routes.items():
        path: Path = ("routes", name)
        if name not in mesh.services:
            _unknown(path, name, mesh, report)
        found = Report()
        check_table(routes, path, clusters, found)
        for finding in found.findings:
            _pass_on(finding, finding.path, report)
        for index, route in enumerate(routes):
            if route.hostnames:
                report.error(
                    "combination", (*path, index, "hostnames"),
                    "does not belong here: the routes are for all names of the service",
                    "Write hostnames in the service, or match the header host.",
                )  # fmt: skip
        _check_names_of_routes(routes, path, report)


def _check_names_of_routes(routes: Iterable[Route], path: Path, report: Report) -> None:
    for index, route in enumerate(routes):
        if route.name is not None and route.name.isdecimal():
            report.error(
                "name", (*path, index, "name"), f"{route.name!r} is what a route without a name is called",
                "Use a word.",
            )  # fmt: skip


def _check_policies(mesh: Mesh, report: Report) -> None:
    for name, policy in mesh.policies.items():
        path: Path = ("policies", name)
        if name.startswith("mesh:"):
            report.error("name", path, f"{name!r} begins with 'mesh:', which sidecars use themselves")
        for index, service in enumerate(policy.services):
            if service not in mesh.services:
                _unknown((*path, "services", index), service, mesh, report)
        for number, rule in enumerate(policy.rules):
            for place, source in enumerate(rule.sources):
                for key in ("principals", "not_principals"):
                    for index, pattern in enumerate(getattr(source, key)):
                        if pattern.startswith("/"):
                            report.error(
                                "pattern", (*path, "rules", number, "from", place, key, index),
                                f"{pattern!r} is no whole id, and so equals none",
                                f"Write spiffe://{mesh.trust_domain}{pattern}.",
                            )  # fmt: skip
    found = Report()
    check_policies(
        Config(
            policies={
                name: Policy(action=policy.action, dry_run=policy.dry_run, rules=policy.rules)
                for name, policy in mesh.policies.items()
            }
        ),
        found,
    )
    for finding in found.findings:
        _pass_on(finding, finding.path, report)


def _pass_on(finding: Finding, path: Path, report: Report) -> None:
    """What the sidecar's checks have found, in the words of the mesh."""
    message, hint = finding.message, finding.hint
    if finding.code == "reference":
        message = message.replace("is no cluster", "is no service")
    if finding.severity == "error":
        report.error(finding.code, path, message, hint)
    elif finding.code != "no-endpoints":
        report.warning(finding.code, path, message, hint)
