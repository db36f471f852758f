"""Injected faults: the right requests, the right share, and nothing held while they wait."""

import time

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab, Section
from tests._fast.flow.peers import request, response
from tests._fast.flow.sidecar import until
from tests.chance import chi_square_limit, deviation

CHAOS = {"headers": {"x-chaos": {"exact": "yes"}}}
BY_ITSELF: Section = {"backends": [], "response": {"body": "yes"}}


def held_back(lab: Lab) -> None:
    until(lambda: lab.sidecar.total("requests_active") == 1, "the request is held back")


def test_an_abort_is_answered_here_and_says_so(laboratory: Laboratory) -> None:
    lab = laboratory(route={"fault": {"abort": {"status": 418, **CHAOS}}})
    client = lab.client()
    client.send(request("GET", "/", b"X-Chaos: yes"))
    answer = client.read_response()
    assert answer.status == 418
    assert b"fault" in (answer.one(b"proxy-status") or b"")
    assert lab.backend.accepted == 0
    # the connection goes on, and others are not hit
    client.send(request("GET", "/", b"X-Chaos: no"))
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response())
    assert client.read_response().status == 200
    until(lambda: lab.sidecar.flags() == {"FI": 1}, "one fault")


def test_a_delay_holds_a_request_back_and_nothing_else(laboratory: Laboratory) -> None:
    lab = laboratory(route={"fault": {"delay": {"duration": "300ms"}}})
    client = lab.client()
    began = time.monotonic()
    client.send(request("POST", "/", body=b"some bytes"))
    held_back(lab)
    assert not any(lab.sidecar.limits().values())
    upstream = lab.accept()
    assert upstream.read_request().body == b"some bytes"
    assert time.monotonic() - began >= 0.3
    upstream.send(response(b"late"))
    assert client.read_response().body == b"late"
    until(lambda: lab.sidecar.flags() == {"DI": 1}, "one delay")


def test_a_delay_and_then_an_abort(laboratory: Laboratory) -> None:
    fault = {"delay": {"duration": "200ms"}, "abort": {"status": 500}}
    lab = laboratory(route=BY_ITSELF | {"fault": fault})
    client = lab.client()
    began = time.monotonic()
    for _ in range(2):
        client.send(request())
        assert client.read_response().status == 500
    assert time.monotonic() - began >= 0.4
    until(lambda: lab.sidecar.flags() == {"DI": 2, "FI": 2}, "both, twice")


def test_a_client_that_leaves_ends_its_delay(laboratory: Laboratory) -> None:
    lab = laboratory(route={"fault": {"delay": {"duration": "1h"}}})
    for sent in (request(), request("POST", body=b"whole"), request("POST", body=b"part")[:-2]):
        for leave in ("close", "reset"):
            client = lab.client()
            client.send(sent)
            held_back(lab)
            getattr(client, leave)()
            until(lambda: lab.sidecar.total("requests_active") == 0, "the request has ended")
    assert lab.backend.accepted == 0
    until(lambda: lab.sidecar.flags() == {"DI": 6, "DC": 6}, "all left")


def test_a_reload_in_the_meantime_changes_nothing(laboratory: Laboratory) -> None:
    lab = laboratory(route={"fault": {"delay": {"duration": "500ms"}, "abort": {"status": 599, **CHAOS}}})
    client = lab.client()
    client.send(request("GET", "/", b"x-chaos: yes"))
    held_back(lab)
    lab.sidecar.reload(lab.config | {"drain_timeout": "29s"})
    assert client.read_response().status == 599
    lab.sidecar.reload(lab.config)


def test_the_share_is_as_it_was_asked_for(laboratory: Laboratory) -> None:
    lab = laboratory(route=BY_ITSELF | {"fault": {"abort": {"status": 503, "percentage": 25}}})
    client = lab.client()
    hits, count = 0, 4000
    for _ in range(count // 100):
        client.send(request() * 100)
        hits += sum(client.read_response().status == 503 for _ in range(100))
    assert deviation([hits, count - hits], [count / 4, count * 3 / 4]) < chi_square_limit(1)
