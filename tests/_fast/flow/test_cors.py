"""CORS as browsers meet it: preflights answered here, fields on every answer, none of the upstream."""

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab, Section
from tests._fast.flow.peers import Message, request, response
from tests._fast.flow.sidecar import until

APP = b"https://app.example.com"
POLICY: Section = {
    "allow_origins": ["https://app.example.com", "http://*.Example.com:8080"],
    "allow_methods": ["PUT", "DELETE"],
    "allow_headers": ["X-Api-Key", "content-type"],
    "expose_headers": ["x-total"],
    "max_age": "10m",
    "allow_credentials": True,
}


def preflight(lab: Lab, origin: bytes, *more: bytes) -> Message:
    client = lab.client()
    client.send(request("OPTIONS", "/", b"Origin: " + origin, b"Access-Control-Request-Method: PUT", *more))
    return client.read_response()


def cors_fields(message: Message) -> dict[bytes, bytes]:
    return {name: value for name, value in message.fields if name.startswith(b"access-control-")}


def test_a_preflight_is_answered_here(laboratory: Laboratory) -> None:
    lab = laboratory(route={"cors": POLICY, "rate_limits": [{"requests": 1, "per": "1h"}]})
    for _ in range(3):  # and costs nothing of the limits
        answer = preflight(lab, APP, b"Access-Control-Request-Headers: x-api-key")
        assert answer.status == 204
        assert answer.all(b"vary") == [b"Origin"]
        assert cors_fields(answer) == {
            b"access-control-allow-origin": APP,
            b"access-control-allow-credentials": b"true",
            b"access-control-allow-methods": b"PUT, DELETE",
            b"access-control-allow-headers": b"X-Api-Key, content-type",
            b"access-control-max-age": b"600",
        }
    assert lab.backend.accepted == 0


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (APP, True),
        (b"http://a.example.com:8080", True),
        (b"http://b.a.example.com:8080", True),
        (b"http://example.com:8080", False),
        (b"http://.example.com:8080", False),
        (b"http://evil.com/.example.com:8080", False),
        (b"http://u:p@a.example.com:8080", False),
        (b"https://a.example.com:8080", False),
        (b"http://a.example.com", False),
        (b"https://app.example.com.evil.com", False),
        (b"https://app.example.co", False),
        (b"HTTPS://APP.EXAMPLE.COM", False),  # no browser writes it so
        (b"null", False),
        (b"", False),
    ],
)
def test_origins(laboratory: Laboratory, origin: bytes, allowed: bool) -> None:
    lab = laboratory(route={"cors": POLICY})
    answer = preflight(lab, origin)
    assert answer.status == (204 if allowed else 403)
    assert answer.one(b"access-control-allow-origin") == (origin if allowed else None)
    assert answer.all(b"vary") == [b"Origin"]
    _, got = lab.exchange(request("GET", "/", b"Origin: " + origin), response(b"yes"))
    assert (got.status, got.body) == (200, b"yes")
    assert got.one(b"access-control-allow-origin") == (origin if allowed else None)


def test_what_the_upstream_says_of_origins_is_replaced(laboratory: Laboratory) -> None:
    lab = laboratory(route={"cors": POLICY})
    own = (b"Access-Control-Allow-Origin: *", b"access-control-max-age: 1", b"Vary: Accept", b"X-Total: 3")
    _, got = lab.exchange(request("GET", "/", b"Origin: " + APP), response(b"", *own))
    assert cors_fields(Message(got.start, [(name.lower(), value) for name, value in got.fields])) == {
        b"access-control-allow-origin": APP,
        b"access-control-allow-credentials": b"true",
        b"access-control-expose-headers": b"x-total",
    }
    assert got.all(b"vary") == [b"Accept", b"Origin"]
    _, got = lab.exchange(request(), response(b"", *own))
    assert got.one(b"access-control-allow-origin") is None
    assert got.all(b"vary") == [b"Accept", b"Origin"]


def test_our_own_answers_can_be_read_too(laboratory: Laboratory) -> None:
    rate = [{"requests": 1, "per": "1h"}]
    lab = laboratory(route={"backends": [], "response": {"body": "yes"}, "cors": POLICY, "rate_limits": rate})
    client = lab.client()
    for status in (200, 429):
        client.send(request("GET", "/", b"Origin: " + APP))
        answer = client.read_response()
        assert answer.status == status
        assert answer.one(b"access-control-allow-origin") == APP
        assert answer.one(b"access-control-expose-headers") == b"x-total"
    until(lambda: lab.sidecar.flags() == {"RL": 1}, "one was refused")


def test_any_origin(laboratory: Laboratory) -> None:
    lab = laboratory(route={"cors": {"allow_origins": ["*"], "allow_methods": ["*"], "allow_headers": ["*"]}})
    answer = preflight(lab, b"https://any.where")
    assert answer.all(b"vary") == []
    assert cors_fields(answer) == {
        b"access-control-allow-origin": b"*",
        b"access-control-allow-methods": b"*",
        b"access-control-allow-headers": b"*",
        b"access-control-max-age": b"5",
    }


def test_an_options_that_is_no_preflight_goes_its_way(laboratory: Laboratory) -> None:
    lab = laboratory(route={"cors": POLICY})
    for fields in ([b"Origin: " + APP], [b"Access-Control-Request-Method: PUT"], []):
        seen, got = lab.exchange(request("OPTIONS", "/", *fields), response())
        assert seen.start.startswith(b"OPTIONS")
        assert got.status == 200
