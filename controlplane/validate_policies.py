"""The checks of authorization policies."""

import contextlib
import ipaddress
from collections.abc import Sequence

from tulle._fast.policy.path import normalise_path
from tulle.controlplane.findings import Report
from tulle.controlplane.model import Config
from tulle.controlplane.model_policies import Policy, PolicyCondition, PolicyRule, PolicySource, PolicyTarget
from tulle.controlplane.names import MOST_POLICIES
from tulle.controlplane.problems import Path

MOST_VALUES = 10_000  # of all policies together: what a request is compared with at the very most


def check_policies(config: Config, report: Report) -> None:
    """Errors and oddities of all policies."""
    path: Path = ("policies",)
    if len(config.policies) > MOST_POLICIES:
        report.error("too-many", path, f"there may be {MOST_POLICIES} policies at most")
    values = 0
    for name, policy in config.policies.items():
        _check_selection(policy, (*path, name), config, report)
        _check_action(policy, (*path, name), report)
        for index, rule in enumerate(policy.rules):
            values += _check_rule(rule, (*path, name, "rules", index), config, report)
    if values > MOST_VALUES:
        report.error("too-many", path, f"they have {values:,} values, more than {MOST_VALUES:,}")


def _check_selection(policy: Policy, path: Path, config: Config, report: Report) -> None:
    names = [listener.name for listener in config.listeners]
    for index, name in enumerate(policy.listeners):
        if name not in names:
            report.unknown((*path, "listeners", index), "is no listener", name, "listeners", names)
    for table, routes in policy.routes.items():
        if table not in config.routes:
            report.unknown((*path, "routes", table), "are no routes", table, "routes", config.routes)
            continue
        known = [route.name for route in config.routes[table] if route.name is not None]
        for index, route in enumerate(routes):
            if route not in known:
                report.unknown(
                    (*path, "routes", table, index),
                    f"is no route in {table!r} called",
                    route,
                    "routes",
                    known,
                )
        users = [listener for listener in config.listeners if listener.routes == table]
        if policy.listeners and not any(listener.name in policy.listeners for listener in users):
            report.error(
                "never", (*path, "routes", table), "none of the policy's listeners uses these routes",
                "Name a listener that does, or leave listeners out.",
            )  # fmt: skip


def _check_action(policy: Policy, path: Path, report: Report) -> None:
    if not policy.rules and policy.action != "allow":
        report.warning(
            "never", path,
            f"a policy without rules {'denies' if policy.action == 'deny' else 'notes'} nothing",
            "A rule that holds for everything is `{}`.",
        )  # fmt: skip
    if policy.action == "audit" and policy.dry_run:
        report.warning("never", (*path, "dry_run"), "means nothing with action: audit, which decides nothing")


def _check_rule(rule: PolicyRule, path: Path, config: Config, report: Report) -> int:
    """How many values it has."""
    values = 0
    for index, source in enumerate(rule.sources):
        values += _check_source(source, (*path, "from", index), report)
    for index, target in enumerate(rule.targets):
        values += _check_target(target, (*path, "to", index), report)
    for index, condition in enumerate(rule.conditions):
        values += _check_condition(condition, (*path, "when", index), config, report)
    return values


def _check_source(source: PolicySource, path: Path, report: Report) -> int:
    if source == PolicySource():
        report.error("combination", path, "is empty", "Leave it out to mean anybody.")
    _check_patterns(source.principals, (*path, "principals"), report)
    _check_patterns(source.not_principals, (*path, "not_principals"), report)
    for key in ("peer_addresses", "not_peer_addresses", "client_addresses", "not_client_addresses"):
        for index, text in enumerate(getattr(source, key)):
            check_network(text, (*path, key, index), report)
    return sum(len(getattr(source, key)) for key in source.__struct_fields__)


def check_network(text: str, path: Path, report: Report) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        hint = 'An address is "192.0.2.7", a network "10.0.0.0/8" or "2001:db8::/32".'
        with contextlib.suppress(ValueError):
            hint = f"Write {ipaddress.ip_network(text, strict=False)}."
        report.error("network", path, str(error), hint)


def _check_target(target: PolicyTarget, path: Path, report: Report) -> int:
    if target == PolicyTarget():
        report.error("combination", path, "is empty", "Leave it out to mean anything.")
    for key in ("hosts", "paths", "methods"):
        for name in (key, f"not_{key}"):
            values = getattr(target, name)
            _check_patterns(values, (*path, name), report)
            if key == "hosts":
                _check_hosts(values, (*path, name), report)
            elif key == "paths":
                _check_paths(values, (*path, name), report)
    return sum(len(getattr(target, key)) for key in target.__struct_fields__)


def _check_patterns(values: Sequence[str], path: Path, report: Report) -> None:
    for index, text in enumerate(values):
        if "*" in text[1:-1] or (len(text) > 1 and text[0] == text[-1] == "*"):
            report.error(
                "pattern", (*path, index), f"{text!r} has a `*` elsewhere than at one end",
                "Write `prefix*` or `*suffix`; `*` alone is any that is there.",
            )  # fmt: skip


def _check_hosts(values: Sequence[str], path: Path, report: Report) -> None:
    for index, text in enumerate(values):
        port = text.rpartition(":")[2]
        if not text.endswith("]") and port.isdecimal() and ":" in text:
            report.error("hostname", (*path, index), f"{text!r} has a port", "Hosts are compared without it.")


def _check_paths(values: Sequence[str], path: Path, report: Report) -> None:
    """What is compared is the normal form: a value that has another one could never match."""
    for index, text in enumerate(values):
        if text.startswith("*"):
            continue
        if not text.startswith("/"):
            report.error("path", (*path, index), f"{text!r} does not begin with a slash", f"Write /{text}.")
            continue
        if "?" in text or "#" in text:
            report.error("path", (*path, index), f"{text!r} has a query, which is no part of the path")
            continue
        normal = normal_path(text)
        if normal is None:
            report.error("path", (*path, index), f"{text!r} is malformed")
        elif normal != text:
            report.error("path", (*path, index), f"{text!r} is not in normal form", f"Write {normal}.")


def normal_path(text: str) -> str | None:
    """A pattern with its fixed part in normal form; None when it has none."""
    star = "*" if text.endswith("*") else ""
    normal = normalise_path(text.removesuffix("*").encode(), 0)
    return None if normal is None else normal.decode() + star


def _check_condition(condition: PolicyCondition, path: Path, config: Config, report: Report) -> int:
    if (condition.header is None) == (condition.claim is None):
        report.error("combination", path, "needs one of header and claim")
    elif condition.claim is not None and not config.jwt:
        # a rule that denies by it would deny nobody
        report.error(
            "combination", (*path, "claim"), "no tokens are read, so no claim is known",
            "Say under `jwt` who issues them, and on listeners or routes that they are asked for.",
        )  # fmt: skip
    if not condition.values and not condition.not_values:
        report.error(
            "combination", path, "needs values or not_values", "`values: ['*']` is any that is there."
        )
    _check_patterns(condition.values, (*path, "values"), report)
    _check_patterns(condition.not_values, (*path, "not_values"), report)
    return len(condition.values) + len(condition.not_values)
