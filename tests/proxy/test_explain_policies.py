"""What `tulle explain` tells of policies: who decides, and why the others do not."""

import io
from pathlib import Path

import pytest

from tulle.proxy.commands import run
from tulle.proxy.explain import run_explain
from tulle.proxy.explain_policies import Asker
from tulle.proxy.failure import Failure

CONFIG = """
listeners:
  - {name: web, address: "127.0.0.1:8080", routes: main, jwt: {providers: [staff]}}
routes:
  main: [{name: cart, matches: [{path: {prefix: /cart}}], response: {}}]
jwt:
  staff: {issuer: i, audiences: [a], keys: {file: /etc/jwks.json}}
policies:
  closed: {action: deny, rules: [{to: [{paths: [/cart/admin*]}], from: [{not_peer_addresses: [10.0.0.0/8]}]}]}
  friends: {rules: [{from: [{principals: ["spiffe://m/*"]}]}, {when: [{claim: realm.role, values: [staff]}]}]}
  nobody: {}
  trial: {action: deny, dry_run: true, rules: [{to: [{methods: [DELETE]}]}]}
  seen: {action: audit, rules: [{}]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tulle.yaml"
    path.write_text(CONFIG)
    return path


def explain(config: Path, method: str, path: str, **asker: object) -> tuple[int, list[str]]:
    out = io.StringIO()
    status = run_explain(config, method, f"http://a{path}", out=out, asker=Asker(**asker))  # type: ignore[arg-type]
    return status, out.getvalue().splitlines()


def test_who_is_allowed_and_why(config: Path) -> None:
    status, lines = explain(config, "DELETE", "/cart", principal="spiffe://m/a")
    assert status == 0
    assert lines[3:] == [
        "policy    allowed by friends (allow), rule 0",
        "          closed (deny): no rule matches",
        "          nobody (allow): has no rules",
        "          trial (deny, a dry run), rule 0: would deny it, were it no dry run",
        "          seen (audit), rule 0: matches, and decides nothing",
        "answer    200, by the proxy itself",
    ]


def test_who_is_denied_and_why(config: Path) -> None:
    status, lines = explain(config, "GET", "/cart/x/../admin/", principal="spiffe://m/a", source="192.0.2.1")
    assert status == 1
    assert "policy    denied by closed (deny), rule 0" in lines
    assert "          friends (allow), rule 0: matches, but comes later" in lines
    assert lines[-1] == "answer    403: access denied (RBAC)"
    status, lines = explain(config, "GET", "/cart/admin", principal="spiffe://m/a", source="10.1.1.1")
    assert status == 0
    status, lines = explain(config, "GET", "/cart")
    assert status == 1
    assert "policy    denied: there are allow policies, and none of them matches" in lines


def test_claims(config: Path) -> None:
    assert explain(config, "GET", "/cart", claims=["realm.role=staff", "other=x"])[0] == 0
    assert explain(config, "GET", "/cart", claims=["realm.role=guest"])[0] == 1


def test_who_may_not_ask_does_not_learn_which_routes_there_are(config: Path) -> None:
    status, lines = explain(config, "GET", "/nothing")
    assert status == 1
    assert "answer    403: access denied (RBAC)" in lines
    assert not any("404" in line for line in lines)


def test_what_makes_no_sense(config: Path) -> None:
    with pytest.raises(Failure, match="'here' is not an IP address"):
        explain(config, "GET", "/cart", source="here")
    with pytest.raises(Failure, match="write 'name=value'"):
        explain(config, "GET", "/cart", claims=["role"])


def test_the_command(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "explain",
        "-c",
        str(config),
        "--principal",
        "spiffe://m/a",
        "--source",
        "::1",
        "GET",
        "http://a/cart",
    ]
    assert run(words, None) == 0
    assert "allowed by friends" in capsys.readouterr().out
