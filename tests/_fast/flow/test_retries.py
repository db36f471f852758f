"""Further tries: for which failures, how many, of which requests, and with which body."""

from threading import Thread

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Backend, Message, Peer, Unconnectable, request, response
from tests._fast.flow.sidecar import until

SOON = {"base": "1ms", "max": "2ms"}
UNAVAILABLE = response(b"no", status=b"503 Service Unavailable")


def retrying(laboratory: Laboratory, *reasons: str, **more: object) -> Lab:
    return laboratory(route={"retries": {"on": list(reasons), "attempts": 2, "backoff": SOON} | more})


def answer_next(lab: Lab, answer: bytes | None) -> Peer:
    """Read a request on a new connection and send this answer; None: break off."""
    upstream = lab.accept()
    upstream.read_request()
    if answer is None:
        upstream.close()
    else:
        upstream.send(answer)
    return upstream


FAILURES: dict[str, list[bytes | None]] = {
    "5xx": [response(status=b"500 Internal Server Error"), UNAVAILABLE, response(status=b"599 Odd"), None],
    "gateway-error": [
        response(status=b"502 Bad Gateway"),
        UNAVAILABLE,
        response(status=b"504 Gateway Timeout"),
        None,
    ],
    "503": [UNAVAILABLE],
    "409": [response(status=b"409 Conflict")],
    "retriable-4xx": [response(status=b"409 Conflict")],
    "reset": [None, b"HTTP/1.1 200 OK\r\nContent-Length: odd\r\n\r\n"],
}
KEPT = {
    "5xx": [response(b"fine"), response(status=b"404 Not Found")],
    "gateway-error": [response(status=b"500 Internal Server Error"), response(status=b"505 Odd")],
    "503": [response(status=b"500 Internal Server Error"), response(status=b"504 Gateway Timeout")],
    "409": [UNAVAILABLE, response(status=b"408 Request Timeout")],
    "retriable-4xx": [response(status=b"429 Too Many Requests"), response(status=b"404 Not Found")],
    "reset": [UNAVAILABLE, response(status=b"500 Internal Server Error")],
    "refused-stream": [UNAVAILABLE],
    "retriable-status-codes": [UNAVAILABLE],
}


@pytest.mark.parametrize(
    ("reason", "failure"),
    [(reason, failure) for reason, failures in FAILURES.items() for failure in failures],
)
def test_what_calls_for_a_retry(laboratory: Laboratory, reason: str, failure: bytes | None) -> None:
    lab = retrying(laboratory, reason)
    succeeded = lab.sidecar.cluster("retries_succeeded")
    client = lab.client()
    client.send(request())
    answer_next(lab, failure)
    answer_next(lab, failure)
    answer_next(lab, response(b"third"))
    assert client.read_response().body == b"third"
    assert lab.sidecar.cluster("retries_succeeded") == succeeded + 1


@pytest.mark.parametrize(
    ("reason", "answer"), [(reason, kept) for reason, all in KEPT.items() for kept in all]
)
def test_what_does_not(laboratory: Laboratory, reason: str, answer: bytes) -> None:
    lab = retrying(laboratory, reason)
    client = lab.client()
    client.send(request())
    answer_next(lab, answer)
    assert client.read_response().start == answer.partition(b"\r\n")[0]
    assert not lab.backend.waiting()


def test_a_reset_that_is_not_listed(laboratory: Laboratory) -> None:
    lab = retrying(laboratory, "503")
    client = lab.client()
    client.send(request())
    answer_next(lab, None)
    assert client.read_response().status == 503
    assert not lab.backend.waiting()


def test_the_last_answer_is_passed_on(laboratory: Laboratory) -> None:
    """When all tries have failed the client gets what the backend said last."""
    lab = retrying(laboratory, "5xx")
    client = lab.client()
    client.send(request())
    for index in range(3):
        answer_next(lab, response(b"failure %d" % index, status=b"500 Odd"))
    got = client.read_response()
    assert (got.start, got.body) == (b"HTTP/1.1 500 Odd", b"failure 2")
    assert not lab.backend.waiting()
    until(lambda: lab.sidecar.flags().get("URX"), "the exhausted retries are flagged")


def test_the_last_failure_is_told(laboratory: Laboratory) -> None:
    lab = retrying(laboratory, "reset", "5xx")
    before = lab.sidecar.flags()
    client = lab.client()
    client.send(request())
    answer_next(lab, UNAVAILABLE)
    answer_next(lab, None)
    answer_next(lab, None)
    assert client.read_response().status == 503
    assert not lab.backend.waiting()
    until(lambda: lab.sidecar.flags().get("UC", 0) == before.get("UC", 0) + 1, "the reset is counted")


def test_refused_connections_are_tried_again_for_any_method(laboratory: Laboratory) -> None:
    """The request has gone nowhere."""
    refusing = Unconnectable(blackhole=False)
    good = Backend()
    lab = laboratory(
        endpoints=[refusing.address, good.address],
        route={"retries": {"on": ["connect-failure"], "attempts": 1, "backoff": SOON}},
    )
    for index in range(6):
        client = lab.client()
        client.send(request("POST", "/", b"Transfer-Encoding: chunked") + b"4\r\nbody\r\n0\r\nT: 1\r\n\r\n")
        upstream = good.accept()
        seen = upstream.read_request()
        assert (seen.body, seen.trailers) == (b"body", [(b"T", b"1")])
        upstream.send(response(b"%d" % index, b"Connection: close"))
        assert client.read_response().body == b"%d" % index
        upstream.close()
    assert lab.sidecar.endpoint("connect_failures") >= 3
    refusing.close()
    good.close()


def test_another_host_is_tried_next(laboratory: Laboratory) -> None:
    others = [Backend(), Backend()]
    lab = laboratory(
        endpoints=[others[0].address, others[1].address],
        route={"retries": {"on": ["503"], "attempts": 1, "backoff": SOON}},
    )
    for _ in range(6):
        client = lab.client()
        client.send(request())
        until(lambda: any(other.waiting() for other in others), "one is tried")
        first, second = others if others[0].waiting() else others[::-1]
        for backend, answer in ((first, UNAVAILABLE), (second, response(b"ok", b"Connection: close"))):
            upstream = backend.accept()
            upstream.read_request()
            upstream.send(answer)
            upstream.expect_gone()
            upstream.close()
        assert client.read_response().body == b"ok"
    for other in others:
        other.close()


# -- which requests -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK"])
@pytest.mark.parametrize("failure", [UNAVAILABLE, None], ids=["503", "reset"])
def test_an_unsafe_request_is_not_sent_twice(
    laboratory: Laboratory, method: str, failure: bytes | None
) -> None:
    lab = retrying(laboratory, "5xx", "reset", "503")
    client = lab.client()
    client.send(request(method, body=b"body"))
    answer_next(lab, failure)
    assert client.read_response(method).status == 503
    assert not lab.backend.waiting()


@pytest.mark.parametrize("failure", [UNAVAILABLE, None], ids=["503", "reset"])
def test_an_unsafe_request_is_sent_twice_where_the_route_says_so(
    laboratory: Laboratory, failure: bytes | None
) -> None:
    lab = retrying(laboratory, "5xx", "reset", unsafe_methods=True)
    client = lab.client()
    client.send(request("POST", body=b"body"))
    answer_next(lab, failure)
    upstream = lab.accept()
    assert upstream.read_request().body == b"body"
    upstream.send(response(b"ok"))
    assert client.read_response().body == b"ok"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET", "OPTIONS"])
def test_the_body_comes_again(laboratory: Laboratory, method: str) -> None:
    lab = retrying(laboratory, "503")
    body = bytes(range(256)) * 200  # more than a buffer of the sidecar, less than max_replay_body
    client = lab.client()
    client.send(request(method, body=body))
    for _ in range(2):
        upstream = lab.accept()
        assert upstream.read_request().body == body
        upstream.send(UNAVAILABLE)
    upstream = lab.accept()
    assert upstream.read_request().body == body
    upstream.send(response(b"ok"))
    assert client.read_response().body == b"ok"


def test_a_body_that_is_still_coming(laboratory: Laboratory) -> None:
    """Refused in the middle of it: the second try gets what there was, and then the rest."""
    lab = retrying(laboratory, "503")
    client = lab.client()
    client.send(request("PUT", "/", b"Transfer-Encoding: chunked") + b"5\r\nfirst\r\n")
    upstream = lab.accept()
    upstream.read_head()
    assert upstream.read(10) == b"5\r\nfirst\r\n"
    upstream.send(UNAVAILABLE)
    upstream = lab.accept()
    head = upstream.read_head()
    assert upstream.read(10) == b"5\r\nfirst\r\n"
    client.send(b"6\r\nsecond\r\n0\r\n\r\n")
    upstream.read_body(head, until_close=False)
    assert head.body == b"second"
    upstream.send(response(b"ok"))
    assert client.read_response().body == b"ok"
    client.send(request())
    upstream.read_request()
    upstream.send(response(b"again"))
    assert client.read_response().body == b"again"


@pytest.mark.parametrize("size", [1024, 1025, 100_000])
def test_the_replay_buffer_is_bounded(laboratory: Laboratory, size: int) -> None:
    lab = retrying(laboratory, "503", max_replay_body="1KiB")
    client = lab.client()
    client.send(request("PUT", body=b"x" * size))
    answer_next(lab, UNAVAILABLE)
    if size <= 1024:
        upstream = lab.accept()
        assert upstream.read_request().body == b"x" * size
        upstream.send(response(b"ok"))
        assert client.read_response().body == b"ok"
    else:
        assert client.read_response().body == b"no"
        assert not lab.backend.waiting()


def test_trailers_are_not_replayed(laboratory: Laboratory) -> None:
    """They are not kept, so the request is not tried again rather than being sent without them."""
    lab = retrying(laboratory, "503")
    client = lab.client()
    client.send(request("PUT", "/", b"Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\nT: 1\r\n\r\n")
    answer_next(lab, UNAVAILABLE)
    assert client.read_response().status == 503
    assert not lab.backend.waiting()


def test_no_retry_once_the_answer_has_begun(laboratory: Laboratory) -> None:
    lab = retrying(laboratory, "reset", "5xx")
    client = lab.client()
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    assert client.read_head().status == 200
    upstream.close()
    assert client.expect_gone() == b"half"
    assert not lab.backend.waiting()


def test_informational_answers_do_not_count_as_begun(laboratory: Laboratory) -> None:
    lab = retrying(laboratory, "503")
    client = lab.client()
    client.send(request())
    answer_next(lab, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + UNAVAILABLE)
    answer_next(lab, response(b"ok"))
    got = client.read_response()
    assert ([early.status for early in got.informational], got.body) == ([103], b"ok")


def test_a_race_and_a_retry(laboratory: Laboratory) -> None:
    """The replay of a keep-alive race counts as no try: all retries are still there."""
    lab = retrying(laboratory, "503")
    client = lab.client()
    client.send(request())
    upstream = answer_next(lab, response())
    client.read_response()
    client.send(request())
    upstream.read_request()
    upstream.close()
    for _ in range(2):
        answer_next(lab, UNAVAILABLE)
    answer_next(lab, response(b"fourth"))
    assert client.read_response().body == b"fourth"


def test_every_try_sends_the_same_head(laboratory: Laboratory) -> None:
    lab = retrying(laboratory, "503")
    client = lab.client()
    client.send(request("GET", "/a/../b?c", b"Connection: x", b"X: 1", b"Y: 2"))
    heads = []
    for index in range(3):
        upstream = lab.accept()
        heads.append(upstream.read_request().raw)
        upstream.send(UNAVAILABLE if index < 2 else response())
    assert client.read_response().status == 200
    assert heads[0] == heads[1] == heads[2]


def test_what_comes_behind_a_replay_is_kept_for_the_next(laboratory: Laboratory) -> None:
    """A body that comes piece by piece, over a try each: the last one gets all of it."""
    quick = {"base": "1ms", "max": "1ms"}
    lab = laboratory(route={"retries": {"attempts": 2, "on": ["reset"], "backoff": quick}})
    client = lab.client()
    client.send(request("PUT", "/", b"Transfer-Encoding: chunked") + b"5\r\nfirst\r\n")
    upstream = lab.accept()
    upstream.read_head()
    upstream.read_until(b"first\r\n")
    with lab.sidecar.asleep():  # so that the next piece waits behind the replay
        upstream.reset()
        client.send(b"6\r\nsecond\r\n")
    upstream = lab.accept()
    upstream.read_head()
    upstream.read_until(b"second\r\n")
    upstream.reset()
    upstream = lab.accept()
    upstream.read_head()
    client.send(b"4\r\nlast\r\n0\r\n\r\n")
    message = Message(b"", [])
    upstream.read_chunks(message)
    assert message.body == b"firstsecondlast"
    upstream.send(response())
    assert client.read_response().status == 200


def test_an_answer_that_begins_before_the_replay_has_been_sent(laboratory: Laboratory) -> None:
    """The rest of the body goes out all the same: a hole in it would be filled with the next request."""
    lab = retrying(laboratory, "503", max_replay_body="16MiB")
    body = bytes(range(256)) * 40_000  # more than the kernel keeps for the two
    client = lab.client()
    sending = Thread(target=client.send, args=(request("PUT", body=body),))
    sending.start()
    answer_next(lab, UNAVAILABLE)
    sending.join()
    upstream = lab.accept()
    head = upstream.read_head()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
    assert client.read_head().status == 200
    upstream.read_body(head, until_close=False)
    assert head.body == body
    upstream.send(b"rest")
    assert client.read(8) == b"halfrest"
    client.send(request())
    assert upstream.read_request().start == b"GET / HTTP/1.1"
    upstream.send(response(b"next"))
    assert client.read_response().body == b"next"


def test_a_stream_that_was_tried_again_keeps_no_place_among_the_retries(laboratory: Laboratory) -> None:
    """A place is for the retrying; the answer that came of it may go on for hours."""
    lab = laboratory(
        route={"retries": {"on": ["503"], "attempts": 1, "backoff": SOON}},
        cluster={"circuit_breaker": {"max_retries": 1}},
    )
    for _ in range(3):
        client = lab.client()
        client.send(request())
        answer_next(lab, UNAVAILABLE)
        answer_next(lab, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n")
        assert client.read_head().status == 200
    assert lab.sidecar.flags() == {}
