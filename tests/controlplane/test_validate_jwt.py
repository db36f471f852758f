"""Tokens that cannot be meant so: each error and warning with its code and its path."""

from typing import Any

import msgspec
import pytest

from tulle.controlplane.load import Document, load_document
from tulle.controlplane.problems import ConfigError, Problem
from tulle.controlplane.validate_jwt import MOST_FIELDS, MOST_PROVIDERS

Section = dict[str, Any]
KEYS = {"file": "/etc/jwks.json"}
RIGHT: Section = {"issuer": "https://id.example", "audiences": ["shop"], "keys": KEYS}


def problems(jwt: dict[str, Section], *names: str, **sections: Any) -> list[Problem]:
    """Errors, or else warnings; the listener asks for tokens of these providers."""
    listener = {
        "name": "web",
        "address": "127.0.0.1:8080",
        "routes": "main",
        "jwt": {"providers": names or list(jwt)},
    }
    data = {
        "listeners": [listener | sections.pop("listener", {})],
        "routes": {"main": [{"name": "all", "response": {}} | sections.pop("route", {})]},
        "jwt": jwt,
        **sections,
    }
    try:
        return load_document(Document(msgspec.json.encode(data), "json")).warnings
    except ConfigError as error:
        return list(error.problems)


def test_a_right_one() -> None:
    assert problems({"p": RIGHT}) == []


PLACE = "jwt.p.from[0]"


@pytest.mark.parametrize(
    ("provider", "code", "path", "text"),
    [
        ({"keys": {}}, "combination", "jwt.p.keys", "one of file and url"),
        ({"keys": KEYS | {"url": "https://a.example/"}}, "combination", "jwt.p.keys", "one of file and url"),
        ({"keys": KEYS | {"refresh": "soon"}}, "structure", "jwt.p.keys.refresh", "duration"),
        ({"keys": KEYS | {"refresh": "0s"}}, "duration", "jwt.p.keys.refresh", ""),
        ({"keys": KEYS | {"refresh": "10ms"}}, "duration", "jwt.p.keys.refresh", "1s at least"),
        ({"keys": {"url": "ftp://a.example/"}}, "url", "jwt.p.keys.url", "is no URL"),
        ({"keys": {"url": "https:///keys"}}, "url", "jwt.p.keys.url", "is no URL"),
        ({"keys": {"url": "https://u:p@a.example/"}}, "url", "jwt.p.keys.url", "has a password"),
        ({"keys": {"url": "http://a.example/"}}, "plain", "jwt.p.keys.url", "keys of their own"),
        ({"leeway": "2h"}, "duration", "jwt.p.leeway", "1h at most"),
        ({"audiences": []}, "audience", "jwt.p", "issued for anybody"),
        ({"from": []}, "size", "jwt.p.from", "1 to 8 places"),
        ({"from": [{}]}, "combination", PLACE, "one of header, cookie and query"),
        ({"from": [{"header": "a", "query": "b"}]}, "combination", PLACE, "one of header"),
        (
            {"from": [{"query": "a", "prefix": "b"}], "forward": True},
            "combination",
            f"{PLACE}.prefix",
            "header",
        ),
        ({"from": [{"cookie": "a"}]}, "combination", PLACE, "Set forward: true."),
        (
            {"claims_to_headers": {"Authorization": "sub"}},
            "combination",
            "jwt.p.claims_to_headers.Authorization",
            "the token is looked for",
        ),
        (
            {"claims_to_headers": {f"x-{number}": "sub" for number in range(MOST_FIELDS + 1)}},
            "too-many",
            "jwt",
            "64 names",
        ),
    ],
)
def test_a_provider(provider: Section, code: str, path: str, text: str) -> None:
    found = problems({"p": RIGHT | provider})
    assert [(one.code, one.path) for one in found] == [(code, path)], found
    assert text in str(found[0])


def test_who_asks_for_whom() -> None:
    assert [(one.code, one.path) for one in problems({"p": RIGHT}, "q")] == [
        ("reference", "listeners[0].jwt.providers[0]")
    ]
    assert [(one.code, one.path) for one in problems({"p": RIGHT, "q": RIGHT}, "p")] == [("unused", "jwt.q")]
    found = problems({"p": RIGHT}, route={"jwt": {"providers": ["r"]}})
    assert [(one.code, one.path) for one in found] == [("reference", "routes.main[0].jwt.providers[0]")]
    many = {f"p{number}": RIGHT for number in range(MOST_PROVIDERS + 1)}
    assert [(one.code, one.path) for one in problems(many)] == [("too-many", "jwt")]


def test_raw_connections_have_no_tokens() -> None:
    listener = {"protocol": "tcp", "routes": None, "backends": [{"cluster": "c"}]}
    clusters = {"c": {"endpoints": [{"address": "127.0.0.1:1"}]}}
    found = problems({"p": RIGHT}, listener=listener, clusters=clusters)
    assert ("combination", "listeners[0].jwt") in [(one.code, one.path) for one in found]


def test_claims_are_known_of_tokens_alone() -> None:
    """A rule that denies by a claim would deny nobody."""
    policy = {"action": "deny", "rules": [{"when": [{"claim": "sub", "values": ["eve"]}]}]}
    assert problems({"p": RIGHT}, policies={"p": policy}) == []
    found = problems({}, policies={"p": policy})
    assert ("combination", "policies.p.rules[0].when[0].claim") in [(one.code, one.path) for one in found]
