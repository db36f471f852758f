"""Policies between a client and a backend: who is answered with what, and what is counted and logged."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab, Section
from tests._fast.flow.peers import Message, Peer, request
from tests._fast.flow.sidecar import until
from tulle._fast.base import figures
from tulle._fast.base.policy_figures import policies

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def ask(client: Peer, path: str = "/", *fields: bytes, method: str = "GET") -> Message:
    client.send(request(method, path, *fields))
    return client.read_response(method)


def answering(**more: Any) -> Section:
    """A route that answers by itself, so that only policies are in the way."""
    return {"route": {"backends": [], "response": {"body": "yes"}}, **more}


def deny(**target: Any) -> Section:
    return {"action": "deny", "rules": [{"to": [target]}]}


def counts(lab: Lab, outcome: str) -> int:
    return sum(counted[outcome] for counted in policies(lab.sidecar.stats).values())


def test_who_is_denied_is_told_so_and_no_more(laboratory: Laboratory) -> None:
    lab = laboratory(policies={"closed-to-all": deny(paths=["/admin*"])})
    client = lab.client()
    answer = ask(client, "/admin/secrets")
    assert answer.status == 403
    assert answer.body == b"access denied\n"
    assert answer.one(b"proxy-status") == b'tulle; error=http_request_denied; details="access denied"'
    assert b"closed-to-all" not in b"".join(value for _, value in answer.fields)
    # the connection goes on, and nothing has gone upstream
    assert ask(client, "/admin").status == 403
    assert lab.backend.accepted == 0
    until(lambda: lab.sidecar.flags() == {"RBAC": 2}, "both are counted")
    assert counts(lab, "denied") == 2
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(OK)
    assert client.read_response().status == 200


def test_what_is_compared_is_the_path_that_routing_sees(laboratory: Laboratory) -> None:
    lab = laboratory(**answering(policies={"closed": deny(paths=["/admin*"])}))
    client = lab.client()
    for path in ("/%61dmin", "/x/../admin", "//admin", "/./admin/", "/%41/../admin", "/admin?x=/"):
        assert ask(client, path).status == 403, path
    for path in ("/Admin", "/x/admin", "/?/admin", "/adm"):
        assert ask(client, path).status == 200, path


def test_no_spelling_of_a_host_goes_around(laboratory: Laboratory) -> None:
    lab = laboratory(**answering(policies={"closed": deny(hosts=["Admin.example.com"])}))
    for host in (b"admin.example.com", b"ADMIN.example.com:80", b"admin.example.com."):
        client = lab.client()
        client.send(b"GET / HTTP/1.1\r\nhost: " + host + b"\r\n\r\n")
        assert client.read_response().status == 403, host
    client = lab.client()
    client.send(b"GET http://admin.example.com/ HTTP/1.1\r\nhost: admin.example.com\r\n\r\n")
    assert client.read_response().status == 403
    client.send(b"GET / HTTP/1.1\r\nhost: a.admin.example.com\r\n\r\n")
    assert client.read_response().status == 200


def test_which_routes_there_are_is_not_told_to_who_may_not_ask(laboratory: Laboratory) -> None:
    only_cart = {"matches": [{"path": {"prefix": "/cart"}}], "backends": [], "response": {"body": "yes"}}
    lab = laboratory(route=only_cart, policies={"none": {"rules": []}})
    client = lab.client()
    assert [ask(client, path).status for path in ("/cart", "/nothing")] == [403, 403]


def test_a_body_that_is_denied_is_not_taken_for_a_request(laboratory: Laboratory) -> None:
    lab = laboratory(**answering(policies={"closed": deny(methods=["POST"])}))
    client = lab.client()
    client.send(
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 30\r\n\r\nGET /smuggled HTTP/1.1\r\nx: y\r\n"
        + b"\r\n"
    )
    assert client.read_response("POST").status == 403


def test_addresses_of_peer_and_client(laboratory: Laboratory) -> None:
    rule = {"from": [{"peer_addresses": ["127.0.0.2/31"]}, {"client_addresses": ["198.51.100.0/24"]}]}
    lab = laboratory(**answering(listener={"trusted_hops": 1}, policies={"near": {"rules": [rule]}}))
    statuses = {}
    for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        client = lab.client(source=host)
        statuses[host] = ask(client).status
    assert statuses == {"127.0.0.1": 403, "127.0.0.2": 200, "127.0.0.3": 200}
    client = lab.client()
    assert ask(client, "/", b"x-forwarded-for: 198.51.100.7").status == 200
    assert ask(client, "/", b"x-forwarded-for: 198.51.100.7, 203.0.113.1").status == 403
    assert ask(client, "/", b"x-forwarded-for: nonsense").status == 403


def test_fields_that_nobody_may_write_are_not_believed(laboratory: Laboratory) -> None:
    rule = {"from": [{"client_addresses": ["198.51.100.0/24"]}]}
    lab = laboratory(**answering(policies={"near": {"rules": [rule]}}))
    assert ask(lab.client(), "/", b"x-forwarded-for: 198.51.100.7").status == 403


def test_without_a_certificate_nobody_is_a_principal(laboratory: Laboratory) -> None:
    rule = {"from": [{"principals": ["*"]}]}
    lab = laboratory(**answering(policies={"known": {"rules": [rule]}}))
    assert ask(lab.client()).status == 403


def test_a_preflight_is_answered_before_anybody_is_asked(laboratory: Laboratory) -> None:
    cors = {"allow_origins": ["https://app.example.com"], "allow_methods": ["GET"]}
    route = {"backends": [], "response": {"body": "yes"}, "cors": cors}
    lab = laboratory(route=route, policies={"none": {"rules": []}})
    client = lab.client()
    origin = b"origin: https://app.example.com"
    preflight = ask(client, "/", origin, b"access-control-request-method: GET", method="OPTIONS")
    assert preflight.status == 204
    denied = ask(client, "/", origin)
    assert denied.status == 403
    # so that the script learns of it
    assert denied.one(b"access-control-allow-origin") == b"https://app.example.com"
    # an OPTIONS that is no preflight is asked
    assert ask(client, "/", origin, method="OPTIONS").status == 403


def test_a_reload_changes_who_may(tmp_path: Path) -> None:
    with closing(Lab(tmp_path, **answering(policies={"closed": deny(paths=["/a"])}))) as lab:
        client = lab.client()
        assert [ask(client, path).status for path in ("/a", "/b")] == [403, 200]
        lab.sidecar.reload(lab.config | {"policies": {"other": deny(paths=["/b"])}})
        assert [ask(client, path).status for path in ("/a", "/b")] == [200, 403]
        counted = policies(lab.sidecar.stats)
        assert [own["denied"] for own in counted.values()] == [1, 1]
        lab.sidecar.reload(lab.config | {"policies": {}})
        assert [ask(client, path).status for path in ("/a", "/b")] == [200, 200]
        lab.tidy()


def test_the_log_tells_which_policy_it_was(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    sections = answering(
        policies={"closed": deny(paths=["/a"]), "open": {"rules": [{"to": [{"paths": ["/b"]}]}]}},
        access_log={"path": str(log), "format": "json"},
    )
    with closing(Lab(tmp_path, **sections)) as lab:
        client = lab.client()
        assert [ask(client, path).status for path in ("/a", "/b", "/c")] == [403, 200, 403]
        until(lambda: log.exists() and log.read_text().count("\n") == 3, "three lines are logged")
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert [(line["response_flags"], line["response_code_details"]) for line in lines] == [
            ("RBAC", "rbac_access_denied_matched_policy[closed]"),
            ("-", "direct_response"),
            ("RBAC", "rbac_access_denied_matched_policy[none]"),
        ]
        assert [line["principal"] for line in lines] == [None, None, None]
        assert figures.totals(lab.sidecar.stats)["policy_unmatched"] == 1
        lab.tidy()


def test_raw_connections_are_cut_off(laboratory: Laboratory) -> None:
    near = {"rules": [{"from": [{"peer_addresses": ["127.0.0.2"]}]}]}
    by_path = {
        "action": "deny",
        "listeners": ["web"],
        "rules": [{"from": [{"peer_addresses": ["127.0.0.3"]}], "to": [{"paths": ["/x"]}]}],
    }
    lab = laboratory(listener={"protocol": "tcp"}, policies={"near": near, "by-path": by_path})
    for host in ("127.0.0.1", "127.0.0.3"):
        assert lab.turned_away(source=host), host
    assert lab.backend.accepted == 0
    until(lambda: lab.sidecar.flags() == {"RBAC": 2}, "both are counted")
    friend = lab.client(source="127.0.0.2")
    friend.send(b"hello")
    upstream = lab.accept()
    assert upstream.connection.recv(5) == b"hello"
