"""Whom a workload may call, as far as that can be told before there is a request.

Policies decide at the called side, by request. What is told here is who can never be let through, so that
their sidecars need not know of the service at all: an error is only made towards telling too much.
"""

from collections.abc import Iterable, Iterator

from tulle.controlplane.mesh.model import Mesh, MeshPolicy, Service, mutual_tls, spiffe_id
from tulle.controlplane.model_policies import PolicyRule, PolicySource


class Access:
    """The policies of one mesh, by the service that they are for."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.of_all: list[MeshPolicy] = []
        self.by_service: dict[str, list[MeshPolicy]] = {}
        self.served: dict[str, list[str]] = {}
        for name, service in mesh.services.items():
            if service.identity is not None:
                self.served.setdefault(spiffe_id(mesh, service.identity), []).append(name)
        for policy in mesh.policies.values():
            if policy.dry_run or policy.action == "audit":
                continue
            if not policy.services:
                self.of_all.append(policy)
            for name in policy.services:
                self.by_service.setdefault(name, []).append(policy)

    def may_call(self, caller: str, name: str) -> bool:
        """Whether a request of this SPIFFE id to this service can be let through."""
        service = self.mesh.services[name]
        if service.identity is None:
            return True
        policies = [*self.of_all, *self.by_service.get(name, ())]
        allowing = [policy for policy in policies if policy.action == "allow"]
        for policy in policies:
            # a service that is called in plain does not learn who asks
            denies = policy.action == "deny" and mutual_tls(self.mesh, service) != "off"
            if denies and any(_always_holds(rule, caller) for rule in policy.rules):
                return False
        if not allowing:
            return self.mesh.defaults.access == "allow_all"
        return any(_can_hold(rule, caller) for policy in allowing for rule in policy.rules)

    def callable_services(self, caller: str, own: Iterable[Service]) -> Iterator[str]:
        """The services that a workload may call, which serves `own`: those that they call, if they say so."""
        said = [service.calls for service in own]
        named: Iterable[str] = dict.fromkeys(name for calls in said for name in calls or ())
        if not said or any(calls is None for calls in said):
            named = self.mesh.services
        for name in named:
            if self.may_call(caller, name):
                yield name

    def served_by(self, identity: str) -> list[str]:
        """The services of a SPIFFE id."""
        return self.served.get(identity, [])


def _always_holds(rule: PolicyRule, caller: str) -> bool:
    """Whether a rule is about nothing but who asks, and this one does."""
    if rule.targets or rule.conditions:
        return False
    return not rule.sources or any(
        _principal_fits(source, caller) and _is_only_of_principals(source) for source in rule.sources
    )


def _can_hold(rule: PolicyRule, caller: str) -> bool:
    return not rule.sources or any(_principal_fits(source, caller) for source in rule.sources)


def _is_only_of_principals(source: PolicySource) -> bool:
    return source == PolicySource(principals=source.principals, not_principals=source.not_principals)


def _principal_fits(source: PolicySource, caller: str) -> bool:
    if source.principals and not any(matches(pattern, caller) for pattern in source.principals):
        return False
    return not any(matches(pattern, caller) for pattern in source.not_principals)


def matches(pattern: str, text: str) -> bool:
    """The patterns of policies: exact, with `*` at one end a prefix or suffix, alone anything there is."""
    if pattern == "*":
        return bool(text)
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    return text == pattern
