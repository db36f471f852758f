"""Authorization policies of the model to rows of the routing table."""

import ipaddress
from collections.abc import Sequence

from tulle.controlplane.model import Config
from tulle.controlplane.model_policies import Policy, PolicyCondition, PolicyRule, PolicySource, PolicyTarget
from tulle.controlplane.table import ConditionRow, PolicyRow, PolicyRuleRow, ValueRow

ClaimPath = tuple[str, ...]
Conditions = tuple[ConditionRow, ...]


def policy_rows(config: Config, claims: Sequence[ClaimPath]) -> tuple[PolicyRow, ...]:
    """In the order of the file; a claim is told by its place in `claims`."""
    return tuple([_policy(name, policy, config, claims) for name, policy in config.policies.items()])


def claims_of_policies(config: Config) -> list[ClaimPath]:
    """All that conditions ask for, each once."""
    found = {
        claim_path(condition.claim): None
        for policy in config.policies.values()
        for rule in policy.rules
        for condition in rule.conditions
        if condition.claim is not None
    }
    return list(found)


def claim_path(claim: str | ClaimPath) -> ClaimPath:
    """The names on the way to a claim: a text has dots between them, a list may have dots in them."""
    return tuple(claim.split(".")) if isinstance(claim, str) else claim


def _policy(name: str, policy: Policy, config: Config, claims: Sequence[ClaimPath]) -> PolicyRow:
    listeners = [listener.name for listener in config.listeners]
    tables = list(config.routes)
    routes: list[tuple[int, int]] = []
    for table, names in policy.routes.items():
        wanted = set(names)
        routes += [
            (tables.index(table), index)
            for index, route in enumerate(config.routes[table])
            if not wanted or route.name in wanted
        ]
    return PolicyRow(
        name=name,
        action=policy.action,
        dry_run=policy.dry_run,
        of_routes=bool(policy.routes),
        listeners=tuple([listeners.index(listener) for listener in policy.listeners]),
        routes=tuple(routes),
        rules=tuple([_rule(rule, claims) for rule in policy.rules]),
    )


def _rule(rule: PolicyRule, claims: Sequence[ClaimPath]) -> PolicyRuleRow:
    return PolicyRuleRow(
        sources=tuple([_source(source) for source in rule.sources]),
        targets=tuple([_target(target) for target in rule.targets]),
        conditions=tuple([row for condition in rule.conditions for row in _condition(condition, claims)]),
    )


def _source(source: PolicySource) -> Conditions:
    return (
        *_both("principal", source.principals, source.not_principals),
        *_networks("peer_address", source.peer_addresses, negated=False),
        *_networks("peer_address", source.not_peer_addresses, negated=True),
        *_networks("client_address", source.client_addresses, negated=False),
        *_networks("client_address", source.not_client_addresses, negated=True),
    )


def _target(target: PolicyTarget) -> Conditions:
    return (
        *_ports(target.ports, negated=False),
        *_ports(target.not_ports, negated=True),
        *_both("host", _hosts(target.hosts), _hosts(target.not_hosts)),
        *_both("path", target.paths, target.not_paths),
        *_both("method", target.methods, target.not_methods),
    )


def _condition(condition: PolicyCondition, claims: Sequence[ClaimPath]) -> Conditions:
    if condition.header is not None:
        return _both("header", condition.values, condition.not_values, condition.header.lower())
    assert condition.claim is not None
    path = claim_path(condition.claim)
    return _both("claim", condition.values, condition.not_values, ".".join(path), list(claims).index(path))


def _both(
    attribute: str, values: Sequence[str], others: Sequence[str], name: str = "", claim: int = 0
) -> Conditions:
    return tuple(
        [
            ConditionRow(attribute, tuple([_value(text) for text in texts]), negated, name, claim)  # type: ignore[arg-type]
            for texts, negated in ((values, False), (others, True))
            if texts
        ]
    )


def _value(text: str) -> ValueRow:
    if text == "*":
        return ValueRow("present")
    if text.endswith("*"):
        return ValueRow("prefix", text[:-1])
    if text.startswith("*"):
        return ValueRow("suffix", text[1:])
    return ValueRow("exact", text)


def _hosts(values: Sequence[str]) -> list[str]:
    """In lower case and without the dot at the end, which changes nothing (RFC 1034 section 3.1)."""
    return [text.lower().removesuffix(".") for text in values]


def _ports(values: Sequence[int], negated: bool) -> Conditions:
    rows = tuple([ValueRow("number", number=port) for port in values])
    return (ConditionRow("port", rows, negated),) if rows else ()


def _networks(attribute: str, values: Sequence[str], negated: bool) -> Conditions:
    rows = tuple([network_row(text) for text in values])
    return (ConditionRow(attribute, rows, negated),) if rows else ()  # type: ignore[arg-type]


def network_row(text: str) -> ValueRow:
    network = ipaddress.ip_network(text)
    bits = network.prefixlen + (96 if network.version == 4 else 0)
    return ValueRow("network", str(network), bits)
