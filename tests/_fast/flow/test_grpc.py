"""gRPC calls through a sidecar, frame by frame: answered locally, retried, bounded, counted and logged."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import h2.exceptions
import pytest
from h2.settings import SettingCodes

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_backend import H2Backend, Request
from tests._fast.flow.h2_peer import Answer, H2Peer
from tests._fast.flow.lab import Lab
from tests._fast.flow.sidecar import until
from tulle._fast.base.grpc_figures import CODES, grpc_calls, grpc_number

CANCEL = 8
GRPC = [("content-type", "application/grpc"), ("te", "trailers")]
UNARY = b"\0\0\0\0\2hi"
RESPONSE = [("content-type", "application/grpc")]
PATH = "/other.S/M"
RETRY_AT_ONCE = {"attempts": 1, "backoff": {"base": "1ms", "max": "1ms"}}
CONDITIONS = {
    "cancelled": 1,
    "deadline-exceeded": 4,
    "resource-exhausted": 8,
    "internal": 13,
    "unavailable": 14,
}


def route(service: str, **sections: Any) -> dict[str, Any]:
    matches = [{"grpc": {"service": service}}]
    return {"name": service, "matches": matches, "backends": [{"cluster": "c"}]} | sections


ROUTES = [
    route("shop.Cart", matches=[{"grpc": {"service": "shop.Cart", "method": "Add"}}]),
    route("dead", backends=[{"cluster": "dead"}]),
    route("limited", rate_limits=[{"requests": 1, "per": "1h"}], backends=[], response={"status": 200}),
    route("fixed", backends=[], response={"status": 503, "body": "back at 5 %\n"}),
    route("bounded", timeouts={"request": "50ms"}),
    route("reset", retries={"attempts": 1, "on": ["unavailable", "reset"]}),
    *(route(f"fault{status}", fault={"abort": {"status": status}}) for status in (503, 400, 418)),
    *(route(name.replace("-", "_"), retries=RETRY_AT_ONCE | {"on": [name]}) for name in CONDITIONS),
]


def make(laboratory: Laboratory, **cluster: Any) -> Lab:
    """All that the tests need of routes; the one for everything takes `/other.S/M` and such."""
    return laboratory(
        cluster={"protocol": "http2"} | cluster,
        routes=ROUTES,
        route={"matches": [{"path": {"prefix": f"/{name}"}} for name in ("other.S", "a.B")]},
        more_clusters={"dead": {"endpoints": [{"address": "127.0.0.1:1"}]}},
        access_log={"format": "json", "path": "/dev/stdout"},
    )


def call(lab: Lab, path: str = PATH, *fields: tuple[str, str], end: bool = True) -> tuple[H2Peer, int]:
    """A call on a connection of its own, with one message."""
    client = H2Peer(lab.client())
    stream = client.ask(path, method="POST", fields=[*GRPC, *fields], end=False)
    client.send(stream, UNARY, end=end)
    return client, stream


def said(answer: Answer) -> tuple[int, str | None]:
    """Status and message of a trailers-only answer."""
    assert (answer.ended, answer.status) == (True, 200) and answer.reset in (None, 0)
    assert answer.one(b"content-type") == b"application/grpc" and answer.body == b"" and not answer.trailers
    assert answer.one(b"content-length") is None
    message = answer.one(b"grpc-message")
    return int(answer.one(b"grpc-status") or b"-1"), message.decode() if message else None


def calls(lab: Lab, *names: str) -> dict[str, int]:
    """How many calls ended how: all, or those of a service and method that a route names."""
    counts: dict[str, int] = {}
    for (*_, name), codes in grpc_calls(lab.sidecar.stats).items():
        if not names or name == grpc_number(*names):
            for code, count in zip(CODES, codes, strict=True):
                if count:
                    counts[code] = counts.get(code, 0) + count
    return counts


@contextmanager
def counts(lab: Lab, code: str) -> Iterator[None]:
    """One more call is counted with this status."""
    before = calls(lab).get(code, 0)
    yield
    until(lambda: calls(lab).get(code, 0) == before + 1, f"it is counted as {code}")


def reset_of(host: H2Backend, seen: Request) -> int:
    while seen.reset is None:
        host.receive()
    return seen.reset


def answer_with(host: H2Backend, seen: Request, status: int, *fields: tuple[str, str]) -> None:
    """A trailers-only answer."""
    host.answer(seen.stream, fields=[*RESPONSE, ("grpc-status", str(status)), *fields])


# -- what the proxy says itself -----------------------------------------------------------------------------

REFUSALS = [
    ("/nobody.S/M", 12, "no route matches this host and path"),
    ("/fault503/M", 14, "a fault was injected"),
    ("/fault400/M", 13, "a fault was injected"),
    ("/fault418/M", 2, "a fault was injected"),
    ("/dead/M", 14, "upstream connection failed"),
]


@pytest.mark.parametrize(("path", "status", "message"), REFUSALS)
def test_a_refusal_is_trailers_only(laboratory: Laboratory, path: str, status: int, message: str) -> None:
    lab = make(laboratory)
    with counts(lab, CODES[status]):
        client, stream = call(lab, path)
        answer = client.answer(stream)
        assert said(answer) == (status, message)
        assert (answer.one(b"proxy-status") or b"").startswith(b"tulle; error=")


def test_a_rate_limit(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    answer = Answer()
    for _ in range(2):
        client, stream = call(lab, "/limited/M")
        answer = client.answer(stream)
    assert said(answer) == (14, "too many requests: a rate limit is reached")
    assert int(answer.one(b"retry-after") or 0) > 3000


def test_a_fixed_error_is_one_to_grpc_too(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client, stream = call(lab, "/fixed/M")
    assert said(client.answer(stream)) == (14, "back at 5 %25%0A")
    plain = H2Peer(lab.client())
    fields = [("content-type", "application/grpc-web")]
    got = plain.answer(plain.ask("/fixed/M", method="POST", fields=fields))
    assert (got.status, got.body) == (503, b"back at 5 %\n")


def test_the_same_over_http_1(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client = lab.client()
    client.send(
        b"POST /dead/M HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n"
        b"Content-Type: application/grpc+proto\r\n\r\n" + UNARY
    )
    got = client.read_response()
    assert (got.status, got.one(b"grpc-status"), got.body) == (200, b"14", b"")
    assert got.one(b"grpc-message") == b"upstream connection failed"


@pytest.mark.parametrize(
    "kind", ["application/json", "application/grpcx", "application/grpc-web+proto", None]
)
def test_others_are_answered_as_ever(laboratory: Laboratory, kind: str | None) -> None:
    lab = make(laboratory)
    client = H2Peer(lab.client())
    fields = [("content-type", kind)] if kind else []
    answer = client.answer(client.ask("/dead/M", method="POST", fields=fields))
    assert answer.status == 503 and answer.one(b"grpc-status") is None


# -- what a host says ---------------------------------------------------------------------------------------


def test_the_status_in_trailers_is_the_result(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client, stream = call(lab, "/shop.Cart/Add")
    host = H2Backend(lab.accept())
    seen = host.whole()
    assert (seen.one(b":path"), seen.body, seen.one(b"te")) == (b"/shop.Cart/Add", UNARY, b"trailers")
    host.answer(seen.stream, UNARY, fields=RESPONSE, end=False)
    host.trailers(
        seen.stream, [("grpc-status", "5"), ("grpc-message", "no%20such%20item"), ("x-id-bin", "AQI")]
    )
    answer = client.answer(stream)
    assert answer.body == UNARY
    assert answer.trailers == [
        (b"grpc-status", b"5"),
        (b"grpc-message", b"no%20such%20item"),
        (b"x-id-bin", b"AQI"),
    ]
    until(lambda: calls(lab, "shop.Cart", "Add") == {"NOT_FOUND": 1}, "it is counted by its name")
    lab.sidecar.wait_for_line('"/shop.Cart/Add"')
    line = next(line for line in lab.sidecar.words().splitlines() if '"/shop.Cart/Add"' in line)
    logged = json.loads(line)
    assert (logged["response_code"], logged["grpc_status"]) == (200, "NotFound")


def test_trailers_only_is_passed_on_as_it_is(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    with counts(lab, "UNAUTHENTICATED"):
        client, stream = call(lab)
        host = H2Backend(lab.accept())
        answer_with(host, host.whole(), 16, ("grpc-message", "who%3F"))
        assert said(client.answer(stream)) == (16, "who%3F")


@pytest.mark.parametrize("status", ["99", "x", "123", None])
def test_a_status_that_is_none(laboratory: Laboratory, status: str | None) -> None:
    lab = make(laboratory)
    with counts(lab, "UNKNOWN"):
        client, stream = call(lab)
        host = H2Backend(lab.accept())
        host.answer(host.whole().stream, fields=[*RESPONSE, *([("grpc-status", status)] if status else [])])
        assert client.answer(stream).status == 200


def test_an_answer_that_breaks_off_ends_with_unavailable(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    with counts(lab, "UNAVAILABLE"):
        client, stream = call(lab, end=False)
        peer = lab.accept()
        host = H2Backend(peer)
        host.answer(host.head().stream, UNARY, fields=RESPONSE, end=False)
        client.need(lambda: client.answers[stream].body == UNARY, "the first message")
        peer.close()
        assert dict(client.answer(stream).trailers) == {
            b"grpc-status": b"14",
            b"grpc-message": b"upstream connection ended before the response",
        }


def test_a_stream_that_is_reset_ends_with_unavailable(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client, stream = call(lab)
    host = H2Backend(lab.accept())
    seen = host.whole()
    host.answer(seen.stream, UNARY, fields=RESPONSE, end=False)
    host.reset(seen.stream, 2)
    answer = client.answer(stream)
    assert (answer.body, dict(answer.trailers)[b"grpc-status"]) == (UNARY, b"14")


def test_words_wait_behind_what_the_window_holds_back(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client = H2Peer(lab.client(), acknowledge=False)
    client.http.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10})
    client.flush()
    client.need(lambda: client.http.local_settings.initial_window_size == 10, "they are acknowledged")
    stream = client.ask(PATH, method="POST", fields=GRPC)
    peer = lab.accept()
    host = H2Backend(peer)
    host.answer(host.whole().stream, b"x" * 30, fields=RESPONSE, end=False)
    client.need(lambda: len(client.answers[stream].body) == 10, "what the window allows")
    peer.close()
    lab.sidecar.wait_for("connections_active", 0)
    client.http.increment_flow_control_window(100, stream)
    client.flush()
    answer = client.answer(stream)
    assert (answer.body, dict(answer.trailers)[b"grpc-status"]) == (b"x" * 30, b"14")


# -- retries ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_call_is_tried_again_by_its_status(laboratory: Laboratory, condition: str) -> None:
    lab = make(laboratory)
    client, stream = call(lab, f"/{condition.replace('-', '_')}/M")
    host = H2Backend(lab.accept())
    answer_with(host, host.whole(), CONDITIONS[condition])
    seen = host.whole(1)
    assert seen.body == UNARY
    answer_with(host, seen, 0)
    assert client.answer(stream).one(b"grpc-status") == b"0"


def test_a_status_right_behind_the_head_is_as_good(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client, stream = call(lab, "/unavailable/M")
    host = H2Backend(lab.accept())
    seen = host.whole()
    host.http.send_headers(seen.stream, [(":status", "200"), *RESPONSE])
    host.trailers(seen.stream, [("grpc-status", "14")])  # in one write with the head
    answer_with(host, host.whole(1), 0)
    assert client.answer(stream).one(b"grpc-status") == b"0"


def test_another_status_is_not_tried_again(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client, stream = call(lab, "/unavailable/M")
    host = H2Backend(lab.accept())
    answer_with(host, host.whole(), 13)
    assert client.answer(stream).one(b"grpc-status") == b"13"
    assert len(host.requests) == 1


def test_a_status_of_grpc_repeats_nothing_that_broke_off(laboratory: Laboratory) -> None:
    """The call may have been done: naming a status says nothing of that."""
    lab = make(laboratory)
    client, stream = call(lab, "/reset/M")
    host = H2Backend(lab.accept())
    host.reset(host.whole().stream, 2)
    assert said(client.answer(stream))[0] == 14
    assert len(host.requests) == 1


# -- deadlines and cancellation -----------------------------------------------------------------------------

UNITS = {"n": 1, "u": 1_000, "m": 1_000_000, "S": 1_000_000_000, "M": 60_000_000_000, "H": 3_600_000_000_000}


def nanoseconds(text: bytes | None) -> int:
    assert text is not None
    return int(text[:-1]) * UNITS[chr(text[-1])]


@pytest.mark.parametrize("sent", ["60S", "60000m", "2M", "1H"])
def test_a_timeout_is_passed_on_less_the_time_spent(laboratory: Laboratory, sent: str) -> None:
    lab = make(laboratory)
    client, stream = call(lab, PATH, ("grpc-timeout", sent))
    host = H2Backend(lab.accept())
    seen = host.whole()
    whole = nanoseconds(sent.encode())
    assert 0.5 * whole < nanoseconds(seen.one(b"grpc-timeout")) <= whole
    assert seen.one(b"grpc-timeout") != sent.encode()  # it is written anew, in the smallest unit
    answer_with(host, seen, 0)
    client.answer(stream)


@pytest.mark.parametrize("sent", ["0", "S", "123456789S", "1x", "-1S", "99999999H"])
def test_a_timeout_that_is_none_bounds_nothing(laboratory: Laboratory, sent: str) -> None:
    lab = make(laboratory)
    client, stream = call(lab, PATH, ("grpc-timeout", sent))
    host = H2Backend(lab.accept())
    seen = host.whole()
    assert seen.one(b"grpc-timeout") == sent.encode()
    answer_with(host, seen, 0)
    client.answer(stream)


def warm(lab: Lab) -> H2Backend:
    """A host with a connection from the sidecar, which a call has used: the next is sent without waiting."""
    client, stream = call(lab)
    host = H2Backend(lab.accept())
    answer_with(host, host.whole(), 0)
    client.answer(stream)
    return host


def test_a_deadline_ends_the_call_at_both_ends(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    host = warm(lab)
    with counts(lab, "DEADLINE_EXCEEDED"):
        client, stream = call(lab, PATH, ("grpc-timeout", "50m"), end=False)
        seen = host.head(1)
        assert said(client.answer(stream)) == (4, "upstream request timed out")
        assert reset_of(host, seen) == CANCEL


def test_a_deadline_ends_a_stream_that_has_begun(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    host = warm(lab)
    for number, deadline in enumerate(("100m", "1S", "6S"), 1):
        client, stream = call(lab, PATH, ("grpc-timeout", deadline), end=False)
        seen = host.head(number)
        with suppress(h2.exceptions.StreamClosedError):
            host.answer(seen.stream, UNARY, fields=RESPONSE, end=False)
        answer = client.answer(stream)
        assert reset_of(host, seen) == CANCEL
        if answer.body:
            break  # on a busy machine the host may be too late for the shorter ones
    assert (answer.body, dict(answer.trailers)[b"grpc-status"]) == (UNARY, b"4")


def test_the_routes_own_time_bounds_a_call_too(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client, stream = call(lab, "/bounded/M", ("grpc-timeout", "1H"))
    assert said(client.answer(stream)) == (14, "upstream request timed out")


def test_a_cancelled_call_is_cancelled_at_the_host(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    with counts(lab, "CANCELLED"):
        client, stream = call(lab, end=False)
        host = H2Backend(lab.accept())
        seen = host.head()
        host.answer(seen.stream, UNARY, fields=RESPONSE, end=False)
        client.need(lambda: client.answers[stream].body == UNARY, "the first message")
        client.cancel(stream)
        assert reset_of(host, seen) == CANCEL


# -- judging hosts ------------------------------------------------------------------------------------------


def test_a_breaker_counts_trailers(laboratory: Laboratory) -> None:
    rate = {"threshold": 50, "window": "60s", "minimum_requests": 4, "open": "1h", "max_open": "1h"}
    lab = make(laboratory, circuit_breaker={"failure_rate": rate | {"scope": ["cluster"]}})
    client = H2Peer(lab.client())
    host = None
    for number in range(4):
        stream = client.ask(PATH, method="POST", fields=GRPC)
        host = host or H2Backend(lab.accept())
        seen = host.whole(number)
        host.answer(seen.stream, UNARY, fields=RESPONSE, end=False)
        host.trailers(seen.stream, [("grpc-status", "13")])
        assert dict(client.answer(stream).trailers)[b"grpc-status"] == b"13"
    answer = client.answer(client.ask(PATH, method="POST", fields=GRPC))
    assert said(answer) == (14, "upstream overflow: the circuit breaker is open")
    assert int(answer.one(b"retry-after") or 0) > 3000


@pytest.mark.parametrize(("status", "ejected"), [(14, 1), (2, 1), (5, 0), (8, 0)])
def test_outlier_detection_goes_by_the_status(laboratory: Laboratory, status: int, ejected: int) -> None:
    detection = {"consecutive_5xx": 2, "interval": "1h", "success_rate_minimum_hosts": 5 + status}
    lab = make(laboratory, outlier_detection=detection)
    client = H2Peer(lab.client())
    host = None
    for number in range(2):
        stream = client.ask(PATH, method="POST", fields=GRPC)
        host = host or H2Backend(lab.accept())
        answer_with(host, host.whole(number), status)
        client.answer(stream)
    # the last host that is left is never taken out, but it would have been
    until(lambda: lab.sidecar.cluster("ejections_prevented") == ejected, "it is judged")
