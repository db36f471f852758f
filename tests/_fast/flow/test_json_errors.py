"""Errors as JSON: for who asks for it, and for who comes to a service of gRPC and does not speak that."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_backend import H2Backend
from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import request

CANCEL = 8
CART = {"grpc": {"service": "shop.Cart"}}
JSON = ("accept", "application/json")


def make(laboratory: Laboratory, **listener: Any) -> Lab:
    return laboratory(
        listener=listener,
        cluster={"protocol": "http2"},
        routes=[
            {"name": "dead", "matches": [{"grpc": {"service": "dead.S"}}], "backends": [{"cluster": "dead"}]},
            {"name": "cart", "matches": [CART], "backends": [{"cluster": "c"}],
             "response_headers": {"set": {"x-route": "cart"}}},
            {"name": "limited", "matches": [{"path": {"prefix": "/limited"}}], "response": {"status": 200},
             "rate_limits": [{"requests": 1, "per": "1h"}]},
            {"name": "plain", "matches": [{"path": {"prefix": "/plain"}}], "backends": [{"cluster": "c"}]},
        ],
        route={"matches": [{"path": {"exact": "/dead"}}], "backends": [{"cluster": "dead"}]},
        more_clusters={"dead": {"endpoints": [{"address": "127.0.0.1:1"}]}},
        access_log={"format": "json", "path": "/dev/stdout"},
    )  # fmt: skip


class Got:
    """An answer over either version."""

    def __init__(self, status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.fields = dict(fields)
        self.body = body

    @property
    def kind(self) -> bytes:
        return self.fields[b"content-type"]

    def object(self) -> dict[str, Any]:
        assert self.fields[b"content-length"] == b"%d" % len(self.body)
        told: dict[str, Any] = json.loads(self.body)
        return told


Ask = Callable[..., Got]


def over_http1(lab: Lab, method: str, path: str, *fields: tuple[str, str]) -> Got:
    client = lab.client()
    client.send(request(method, path, *(f"{name}: {value}".encode() for name, value in fields)))
    got = client.read_response(method)
    return Got(got.status, got.fields, got.body)


def over_http2(lab: Lab, method: str, path: str, *fields: tuple[str, str]) -> Got:
    client = H2Peer(lab.client())
    answer = client.answer(client.ask(path, method=method, fields=list(fields)))
    return Got(answer.status, answer.fields, answer.body)


VERSIONS = pytest.mark.parametrize("ask", [over_http1, over_http2])


@VERSIONS
def test_a_failure_on_the_way_to_a_service_of_grpc(laboratory: Laboratory, ask: Ask) -> None:
    lab = make(laboratory)
    got = ask(lab, "POST", "/dead.S/M", ("content-type", "application/json"))
    told = got.object()
    assert (got.status, got.kind) == (503, b"application/json")
    assert len(told.pop("request_id")) == 36
    assert told == {
        "status": 503, "message": "upstream connection failed", "flags": "UF",
        "code": 14, "name": "UNAVAILABLE",
    }  # fmt: skip
    assert got.fields[b"proxy-status"].startswith(b"tulle; error=connection_refused")


@VERSIONS
def test_a_client_that_asks_for_json_gets_it_anywhere(laboratory: Laboratory, ask: Ask) -> None:
    lab = make(laboratory)
    for path, status, message, flags in (
        ("/nowhere", 404, "no route matches this host and path", "NR"),
        ("/dead", 503, "upstream connection failed", "UF"),
    ):
        got = ask(lab, "GET", path, ("accept", "text/html;q=0.1"), JSON)
        told = got.object()
        assert (got.status, got.kind) == (status, b"application/json")
        assert told.pop("request_id")
        assert told == {"status": status, "message": message, "flags": flags}


@VERSIONS
def test_a_problem_of_rfc_9457(laboratory: Laboratory, ask: Ask) -> None:
    got = ask(make(laboratory), "GET", "/nowhere", ("accept", "application/problem+json"))
    told = got.object()
    assert got.kind == b"application/problem+json"
    assert (told["title"], told["status"], told["flags"]) == ("Not Found", 404, "NR")
    assert told["detail"] == told["message"] == "no route matches this host and path"


@VERSIONS
@pytest.mark.parametrize("path", ["/dead.S/M", "/nowhere"])
def test_head_gets_the_same_head_alone(laboratory: Laboratory, ask: Ask, path: str) -> None:
    lab = make(laboratory)
    whole, head = ask(lab, "GET", path, JSON), ask(lab, "HEAD", path, JSON)
    assert head.body == b"" and head.status == whole.status
    assert {name: head.fields[name] for name in (b"content-type", b"content-length")} == {
        b"content-type": b"application/json", b"content-length": b"%d" % len(whole.body),
    }  # fmt: skip


@VERSIONS
@pytest.mark.parametrize("accept", [None, "*/*", "text/plain, application/json;q=0.9"])
def test_others_get_text(laboratory: Laboratory, ask: Ask, accept: str | None) -> None:
    got = ask(make(laboratory), "GET", "/nowhere", *([("accept", accept)] if accept else []))
    assert got.kind == b"text/plain; charset=utf-8"
    assert got.body == b"no route matches this host and path\n"


def test_a_grpc_client_gets_its_own_kind_of_answer_whatever_it_accepts(laboratory: Laboratory) -> None:
    got = over_http2(make(laboratory), "POST", "/dead.S/M", ("content-type", "application/grpc"), JSON)
    assert (got.status, got.kind, got.body) == (200, b"application/grpc", b"")
    assert got.fields[b"grpc-status"] == b"14"


def test_what_comes_with_an_error_stays_with_it(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    over_http1(lab, "GET", "/limited", JSON)
    got = over_http1(lab, "GET", "/limited", JSON)
    assert (got.status, got.object()["flags"]) == (429, "RL")
    assert int(got.fields[b"retry-after"]) > 0


def test_a_request_id_of_the_client_cannot_break_the_object(laboratory: Laboratory) -> None:
    lab = make(laboratory, trusted_hops=1)
    client = lab.client()
    name = b'X-Request-Id: a"\\\xff","x":"\xc3\xa9'
    client.send(request("GET", "/nowhere", b"Accept: application/json", name))
    assert json.loads(client.read_response().body)["request_id"] == 'a"\\�","x":"é'


def test_a_head_that_is_not_taken_is_not_asked_either(laboratory: Laboratory) -> None:
    client = make(laboratory).client()
    client.send(b"GET / HTTP/1.1\r\naccept: application/json\r\nhost: a\r\nbad field\r\n\r\n")
    got = client.read_response()
    assert (got.status, got.one(b"content-type")) == (400, b"text/plain; charset=utf-8")


# -- a failed call's answer ----------------------------------------------------------------------------------


def fail(host: H2Backend, stream: int, code: int, **more: Any) -> None:
    fields = [
        ("content-type", "application/grpc"), ("grpc-status", str(code)),
        ("grpc-message", "50%25 of t%C3%A9"),
    ]  # fmt: skip
    host.answer(stream, fields=fields, **more)


def test_a_failed_call_is_told_by_its_status(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client = lab.client()
    host = None
    for index, (code, status, name) in enumerate(((5, 404, "NOT_FOUND"), (12, 501, "UNIMPLEMENTED"))):
        client.send(request("POST", "/shop.Cart/Get", b"content-type: application/json", body=b"{}"))
        host = host or H2Backend(lab.accept())
        fail(host, host.whole(index).stream, code)
        got = client.read_response()
        told = json.loads(got.body)
        assert (got.status, got.one(b"content-type"), told.pop("request_id") != "") == (
            status, b"application/json", True,
        )  # fmt: skip
        assert told == {"status": status, "message": "50% of té", "flags": "", "code": code, "name": name}
        assert got.one(b"x-route") == b"cart" and got.one(b"grpc-status") is None
    lab.sidecar.wait_for_line('"response_code":501')
    assert not lab.backend.waiting()


def test_a_failed_call_over_http2(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client = H2Peer(lab.client())
    streams = [client.ask("/shop.Cart/Get", method=method) for method in ("GET", "HEAD")]
    host = H2Backend(lab.accept())
    for index, stream in enumerate(streams):
        fail(host, host.whole(index).stream, 7)
        answer = client.answer(stream)
        assert (answer.status, answer.one(b"content-type")) == (403, b"application/json")
        assert (answer.body == b"") == (index == 1)


def test_the_rest_of_a_request_that_has_failed_is_not_wanted(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client = H2Peer(lab.client())
    stream = client.ask("/shop.Cart/Get", method="POST", end=False)
    host = H2Backend(lab.accept())
    seen = host.head()
    fail(host, seen.stream, 8)
    assert client.answer(stream).status == 429
    while seen.reset is None:
        host.receive()
    assert seen.reset == CANCEL


def test_what_is_left_as_it_is(laboratory: Laboratory) -> None:
    """Success, an answer with a body, one with another status, and what is on no route to gRPC."""
    lab = make(laboratory)
    client = lab.client()
    ends: list[tuple[str, Callable[[H2Backend, int], None], int, bytes]] = [
        ("/shop.Cart/Get", lambda host, stream: fail(host, stream, 0), 200, b""),
        ("/shop.Cart/Get", lambda host, stream: fail(host, stream, 5, body=b"x"), 200, b"x"),
        ("/shop.Cart/Get", lambda host, stream: fail(host, stream, 5, status=418), 418, b""),
        ("/plain", lambda host, stream: fail(host, stream, 5), 200, b""),
    ]
    host = None
    for index, (path, end, status, body) in enumerate(ends):
        client.send(request(path=path))
        host = host or H2Backend(lab.accept())
        end(host, host.whole(index).stream)
        got = client.read_response()
        assert (got.status, got.body, got.one(b"content-type")) == (status, body, b"application/grpc")
