"""Reasons for a retry that need a list, and how long the server wants to be left alone."""

import email.utils
import time

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Unconnectable, request, response
from tests._fast.flow.sidecar import until
from tests._fast.flow.test_retries import SOON, UNAVAILABLE, answer_next, retrying

SECOND = 1.0


@pytest.mark.parametrize(
    ("more", "answer", "again"),
    [
        ({"statuses": [404, 429]}, response(status=b"429 Odd"), True),
        ({"statuses": [404, 429]}, response(status=b"404 Odd"), True),
        ({"statuses": [404, 429]}, response(status=b"503 Odd"), False),
        ({"headers": {"X-Again": {"present": True}}}, response(b"", b"x-again:"), True),
        ({"headers": {"x-again": {"present": True}}}, response(b"", b"X-Other: 1"), False),
        ({"headers": {"x-a": {"exact": "1"}, "x-b": {"regex": "a+"}}}, response(b"", b"X-B: aaa"), True),
        ({"headers": {"x-a": {"exact": "1"}, "x-b": {"regex": "a+"}}}, response(b"", b"x-a: 1"), True),
        ({"headers": {"x-a": {"exact": "1"}, "x-b": {"regex": "a+"}}}, response(b"", b"x-a: 2"), False),
    ],
)
def test_lists(laboratory: Laboratory, more: dict[str, object], answer: bytes, again: bool) -> None:
    lab = retrying(laboratory, "retriable-status-codes", "retriable-headers", **more)
    client = lab.client()
    client.send(request())
    answer_next(lab, answer)
    if again:
        answer_next(lab, response(b"again"))
        assert client.read_response().body == b"again"
    else:
        assert client.read_response().start == answer.partition(b"\r\n")[0]
        assert not lab.backend.waiting()


def test_a_list_without_its_reason_means_nothing(laboratory: Laboratory) -> None:
    lab = retrying(laboratory, "reset", statuses=[429])
    client = lab.client()
    client.send(request())
    answer_next(lab, response(status=b"429 Odd"))
    assert client.read_response().status == 429


def test_before_the_request_only(laboratory: Laboratory) -> None:
    """Not connected: again. Broken off after the request was sent: not."""
    refusing = Unconnectable(blackhole=False)
    backend_first = retrying(laboratory, "reset-before-request")
    client = backend_first.client()
    client.send(request())
    answer_next(backend_first, None)
    assert client.read_response().status == 503
    assert not backend_first.backend.waiting()
    lab = laboratory(
        endpoints=[refusing.address],
        route={"retries": {"on": ["reset-before-request"], "attempts": 2, "backoff": SOON}},
    )
    client = lab.client()
    client.send(request("POST", body=b"x"))
    assert client.read_response().status == 503
    assert lab.sidecar.endpoint("connect_failures") == 3
    refusing.close()


# -- Retry-After --------------------------------------------------------------------------------------


def in_seconds(seconds: float) -> bytes:
    return email.utils.formatdate(time.time() + seconds, usegmt=True).encode()


def waiting(laboratory: Laboratory, max_retry_after: str = "2s", **route: object) -> Lab:
    retries = {"on": ["503"], "attempts": 1, "backoff": SOON, "max_retry_after": max_retry_after}
    return laboratory(route={"retries": retries} | route)


@pytest.mark.parametrize("as_date", [False, True])
def test_the_server_is_left_alone_for_as_long_as_it_asks(laboratory: Laboratory, as_date: bool) -> None:
    """A date has whole seconds, so that it asks for between one second and two."""
    lab = waiting(laboratory)
    client = lab.client()
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    asked = in_seconds(2) if as_date else b"1"
    begun = time.monotonic()
    upstream.send(response(b"", b"Retry-After: " + asked, status=b"503 Busy"))
    again = lab.accept()
    assert SECOND - 0.001 <= time.monotonic() - begun < 3 * SECOND
    again.read_request()
    again.send(response(b"ok"))
    assert client.read_response().body == b"ok"


@pytest.mark.parametrize(
    ("max_retry_after", "route", "asked"),
    [
        ("2s", {}, b"3"),
        ("2s", {}, b"99999999999999"),
        pytest.param("2s", {}, in_seconds(3600), id="a date"),
        ("1m", {"timeouts": {"request": "3s"}}, b"3"),
        ("1h", {}, b"60"),  # the head has to come within 15 s
    ],
)
def test_what_asks_for_more_is_passed_on(
    laboratory: Laboratory, max_retry_after: str, route: dict[str, object], asked: bytes
) -> None:
    lab = waiting(laboratory, max_retry_after, **route)
    limited = lab.sidecar.cluster("retries_limited")
    client = lab.client()
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(b"busy", b"Retry-After: " + asked, status=b"503 Busy"))
    got = client.read_response()
    assert (got.status, got.body, got.one(b"retry-after")) == (503, b"busy", asked)
    assert not lab.backend.waiting()
    until(lambda: lab.sidecar.cluster("retries_limited") == limited + 1, "it is counted")


@pytest.mark.parametrize(("max_retry_after", "asked"), [("0s", b"2"), ("2s", b"0"), ("2s", b"soon")])
def test_what_is_not_heeded(laboratory: Laboratory, max_retry_after: str, asked: bytes) -> None:
    lab = waiting(laboratory, max_retry_after)
    client = lab.client()
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    begun = time.monotonic()
    upstream.send(response(b"", b"Retry-After: " + asked, status=b"503 Busy"))
    again = lab.accept()
    assert time.monotonic() - begun < SECOND
    again.read_request()
    again.send(response(b"ok"))
    assert client.read_response().body == b"ok"


def test_no_time_for_another_try(laboratory: Laboratory) -> None:
    """The pause would outlast the request: it gets the answer that there is, not a time-out."""
    retries = {"on": ["503"], "attempts": 1, "backoff": {"base": "300d", "max": "300d"}}
    lab = laboratory(route={"retries": retries, "timeouts": {"request": "5s"}})
    client = lab.client()
    client.send(request())
    answer_next(lab, UNAVAILABLE)
    assert client.read_response().body == b"no"


# -- the budget ---------------------------------------------------------------------------------------


def budgeted(laboratory: Laboratory, percent: int, least: int) -> Lab:
    return laboratory(
        route={"retries": {"on": ["503"], "attempts": 3, "backoff": SOON}},
        cluster={
            "circuit_breaker": {
                "retry_budget": {"percent": percent, "min_per_second": least},
                "max_retries": 1,
            }
        },
    )


def test_retries_are_a_share_of_the_requests(laboratory: Laboratory) -> None:
    """Of four requests under way two may be tried again, though max_retries is 1."""
    lab = budgeted(laboratory, 50, 0)
    clients, upstreams = [lab.client() for _ in range(4)], []
    for client in clients:
        client.send(request())
        upstreams.append(lab.accept())
        upstreams[-1].read_request()
    for upstream in upstreams[:2]:
        upstream.send(UNAVAILABLE)
    again = [lab.accept(), lab.accept()]
    for upstream in again:
        upstream.read_request()
    refused = lab.sidecar.cluster("overflow_retries")
    upstreams[2].send(UNAVAILABLE)
    assert clients[2].read_response().body == b"no"
    until(lambda: lab.sidecar.cluster("overflow_retries") == refused + 1, "the refusal is counted")
    until(lambda: lab.sidecar.flags().get("UO"), "the refusal is flagged")
    for upstream in (*again, upstreams[3]):
        upstream.send(response(b"ok"))
    for client in (*clients[:2], clients[3]):
        assert client.read_response().body == b"ok"


def test_a_few_a_second_in_any_case(laboratory: Laboratory) -> None:
    """One a second, however little else there is: of requests one after the other that all fail."""
    lab = budgeted(laboratory, 0, 1)
    begun = time.monotonic()
    retries = 0
    for _ in range(6):
        client = lab.client()
        client.send(request())
        answer_next(lab, response(b"no", b"Connection: close", status=b"503 No"))
        until(lambda client=client: lab.backend.waiting() or not client.silent(), "one or the other")
        if lab.backend.waiting():
            retries += 1
            answer_next(lab, response(b"ok", b"Connection: close"))
        assert client.read_response().body in (b"ok", b"no")
    assert 1 <= retries <= 1 + (time.monotonic() - begun)
    assert retries < 6
