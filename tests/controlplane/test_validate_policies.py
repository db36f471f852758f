"""Policies that cannot be meant so: each error and warning with its code and its path."""

from typing import Any

import msgspec
import pytest

from tulle._fast.base import policy_figures
from tulle.controlplane.load import Document, load_document
from tulle.controlplane.names import MOST_POLICIES
from tulle.controlplane.problems import ConfigError, Problem
from tulle.controlplane.validate_policies import MOST_VALUES

Section = dict[str, Any]


def problems(**policies: Section) -> list[Problem]:
    """Errors, or else warnings."""
    data = {
        "listeners": [
            {"name": "web", "address": "127.0.0.1:8080", "routes": "main", "jwt": {"providers": ["i"]}},
            {"name": "inner", "address": "127.0.0.1:8081", "routes": "more"},
        ],
        "routes": {"main": [{"name": "all", "response": {}}], "more": [{"response": {}}]},
        "policies": policies,
        "jwt": {"i": {"issuer": "i", "audiences": ["a"], "keys": {"file": "/etc/jwks.json"}}},
    }
    try:
        return load_document(Document(msgspec.json.encode(data), "json")).warnings
    except ConfigError as error:
        return list(error.problems)


def rule(**parts: Any) -> Section:
    return {"rules": [parts]}


RULE = "policies.p.rules[0]"


@pytest.mark.parametrize(
    ("policy", "code", "path", "text"),
    [
        ({"listeners": ["wep"]}, "reference", "policies.p.listeners[0]", "Did you mean web?"),
        ({"routes": {"mein": []}}, "reference", "policies.p.routes.mein", "Did you mean main?"),
        ({"routes": {"main": ["al"]}}, "reference", "policies.p.routes.main[0]", "Did you mean all?"),
        ({"routes": {"main": []}, "listeners": ["inner"]}, "never", "policies.p.routes.main", "none of"),
        ({"action": "deny"}, "never", "policies.p", "denies nothing"),
        ({"action": "audit"}, "never", "policies.p", "notes nothing"),
        (
            {"action": "audit", "dry_run": True, "rules": [{}]},
            "never",
            "policies.p.dry_run",
            "decides nothing",
        ),
        (rule(to=[{}]), "combination", f"{RULE}.to[0]", "Leave it out"),
        (rule(**{"from": [{}]}), "combination", f"{RULE}.from[0]", "Leave it out"),
        (rule(to=[{"paths": ["/a*b"]}]), "pattern", f"{RULE}.to[0].paths[0]", "prefix*"),
        (rule(to=[{"hosts": ["*a*"]}]), "pattern", f"{RULE}.to[0].hosts[0]", "prefix*"),
        (rule(to=[{"hosts": ["a.b:80"]}]), "hostname", f"{RULE}.to[0].hosts[0]", "without it"),
        (rule(to=[{"paths": ["a"]}]), "path", f"{RULE}.to[0].paths[0]", "Write /a."),
        (rule(to=[{"not_paths": ["/%61/../b*"]}]), "path", f"{RULE}.to[0].not_paths[0]", "Write /b*."),
        (rule(to=[{"paths": ["/a?b"]}]), "path", f"{RULE}.to[0].paths[0]", "query"),
        (rule(to=[{"paths": ["/%"]}]), "path", f"{RULE}.to[0].paths[0]", "malformed"),
        (
            rule(**{"from": [{"peer_addresses": ["10.0.0.1/8"]}]}),
            "network",
            f"{RULE}.from[0].peer_addresses[0]",
            "Write 10.0.0.0/8.",
        ),
        (
            rule(**{"from": [{"not_client_addresses": ["ten"]}]}),
            "network",
            f"{RULE}.from[0].not_client_addresses[0]",
            "192.0.2.7",
        ),
        (rule(when=[{"values": ["a"]}]), "combination", f"{RULE}.when[0]", "header and claim"),
        (
            rule(when=[{"header": "a", "claim": "b", "values": ["a"]}]),
            "combination",
            f"{RULE}.when[0]",
            "one of",
        ),
        (rule(when=[{"header": "a"}]), "combination", f"{RULE}.when[0]", "values or not_values"),
        (rule(sources=[]), "unknown-key", f"{RULE}.sources", "unknown key"),
        (
            rule(**{"from": [{"principals": [1]}]}),
            "structure",
            f"{RULE}.from[0].principals[0]",
            "must be text",
        ),
    ],
)
def test_what_is_wrong_or_odd(policy: Section, code: str, path: str, text: str) -> None:
    found = problems(p=policy)
    assert [(problem.code, problem.path) for problem in found] == [(code, path)]
    assert text in f"{found[0].message} {found[0].hint}"


def test_what_is_right() -> None:
    whole = {
        "action": "deny",
        "listeners": ["web"],
        "routes": {"main": ["all"]},
        "rules": [
            {},
            {
                "from": [{"principals": ["*"], "not_client_addresses": ["2001:db8::/32"]}],
                "to": [{"paths": ["/", "/a*", "*.css", "/%2F"], "ports": [8080], "not_hosts": ["[::1]"]}],
                "when": [{"claim": ["https://a.b/c", "d"], "values": ["*"]}],
            },
        ],
    }
    assert problems(p=whole, empty={}) == []


def test_there_is_an_end_to_how_many() -> None:
    assert [found.path for found in problems(**{f"p{number}": {} for number in range(257)})] == ["policies"]
    assert MOST_POLICIES == policy_figures.MOST_POLICIES
    many = rule(**{"from": [{"principals": [f"p{number}" for number in range(MOST_VALUES + 1)]}]})
    assert [(found.code, found.path) for found in problems(p=many)] == [("too-many", "policies")]
