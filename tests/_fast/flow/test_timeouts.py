"""Whatever takes too long ends, with the status and flag that say what it was; nothing ends too early."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Peer, Unconnectable, request, response
from tests._fast.flow.sidecar import until

CHUNKED = b"Transfer-Encoding: chunked"


@contextmanager
def takes(least: float, most: float = 8.0) -> Iterator[None]:
    """The block takes at least so long: no time-out is early. The upper bound only tells it from never."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert least <= took < most, f"took {took:.3f} s"


def flags_are(lab: Lab, flags: dict[str, int]) -> None:
    until(lambda: lab.sidecar.flags() == flags, f"the flags are {flags}")


def begin(lab: Lab, sent: bytes) -> tuple[Peer, Peer]:
    client = lab.client()
    client.send(sent)
    upstream = lab.accept()
    upstream.read_head()
    return client, upstream


# -- connecting -------------------------------------------------------------------------------------------


def test_connect(laboratory: Laboratory) -> None:
    hole = Unconnectable(blackhole=True)
    lab = laboratory(endpoints=[hole.address], cluster={"connect_timeout": "200ms"})
    client = lab.client()
    with takes(0.2):
        client.send(request("POST", body=b"x"))
        assert client.read_response().status == 503
    flags_are(lab, {"UF": 1})
    assert lab.sidecar.cluster("connect_timeouts") == 1
    hole.close()


def test_connect_and_try_elsewhere(laboratory: Laboratory) -> None:
    hole = Unconnectable(blackhole=True)
    backend = Unconnectable(blackhole=False)
    backend.sockets[0].listen()
    lab = laboratory(
        endpoints=[hole.address, backend.address],
        cluster={"connect_timeout": "100ms"},
        route={"retries": {"on": ["connect-failure"], "backoff": {"base": "1ms", "max": "1ms"}}},
    )
    for _ in range(4):
        client = lab.client()
        client.send(request("POST", body=b"x"))
        upstream = Peer(backend.sockets[0].accept()[0])
        assert upstream.read_request().body == b"x"
        upstream.send(response(b"ok", b"Connection: close"))
        assert client.read_response().body == b"ok"
        upstream.close()
    hole.close()
    backend.close()


@pytest.mark.parametrize("timeouts", [{}, {"per_try": "8s"}], ids=["none", "per try"])
def test_the_wait_for_a_place_ends_with_the_wait(laboratory: Laboratory, timeouts: dict[str, str]) -> None:
    """Its timeout does not run on while the connection is made, which takes more than a second here."""
    hole = Unconnectable(blackhole=True)
    lab = laboratory(
        endpoints=[hole.address],
        cluster={
            "circuit_breaker": {"max_connections": 1},
            "pending_timeout": "500ms",
            "connect_timeout": "8s",
        },
        route={"timeouts": timeouts},
    )
    first, second = lab.client(), lab.client()
    first.send(request())
    upstream = hole.accept_late()
    hole.fill_queue()
    second.send(request())
    until(lambda: lab.sidecar.limits()["pending"] == 1, "the second waits")
    upstream.read_request()
    upstream.send(response(b"first", b"Connection: close"))
    assert first.read_response().body == b"first"
    until(lambda: lab.sidecar.limits()["pending"] == 0, "it waits no longer")
    with takes(0.5):
        upstream = hole.accept_late()
        upstream.read_request()
    upstream.send(response(b"second"))
    assert second.read_response().body == b"second"
    upstream.close()
    hole.close()


# -- the request ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_a_slow_head(laboratory: Laboratory, part: bytes) -> None:
    lab = laboratory(listener={"request_head_timeout": "200ms"})
    before = lab.sidecar.flags().get("DT", 0)
    with takes(0.2):
        client = lab.client()
        client.send(part)
        assert client.read_response().status == 408
    client.expect_end()
    flags_are(lab, {"DT": before + 1})


def test_a_head_that_drips(laboratory: Laboratory) -> None:
    """Slow loris: every byte comes in time, the head does not."""
    lab = laboratory(listener={"request_head_timeout": "300ms"})
    with takes(0.3):
        client = lab.client()
        for byte in request("GET", "/", b"X: " + b"x" * 10_000):
            if not client.silent():
                break
            lab.deliver(client, bytes([byte]))
        assert client.read_response().status == 408


def test_a_client_that_says_nothing(laboratory: Laboratory) -> None:
    """It gets nothing either: there is no request that an answer would belong to."""
    lab = laboratory(listener={"request_head_timeout": "200ms"})
    before = lab.sidecar.flags()
    with takes(0.2):
        assert lab.client().expect_gone() == b""
    assert lab.sidecar.flags() == before


def test_the_time_of_a_head_begins_with_its_first_byte(laboratory: Laboratory) -> None:
    """On a kept connection the wait before it does not count."""
    lab = laboratory(listener={"request_head_timeout": "250ms", "idle_timeout": "10s"})
    client, upstream = begin(lab, request())
    upstream.send(response())
    client.read_response()
    time.sleep(0.4)  # what is tried is that nothing happens meanwhile
    assert client.silent()
    with takes(0.25):
        client.send(b"GET")
        assert client.read_response().status == 408


def test_an_idle_time_that_is_for_ever(laboratory: Laboratory) -> None:
    """Connections of either version outlive many turns of the loop without a request."""
    lab = laboratory(listener={"idle_timeout": "0s"}, routes=[{"name": "here", "response": {"body": "x"}}])
    idle, other = lab.client(), lab.client()
    shared = H2Peer(lab.client())
    idle.send(request())
    assert idle.read_response().body == b"x"
    assert shared.answer(shared.ask()).body == b"x"
    for _ in range(30):
        other.send(request())
        assert other.read_response().body == b"x"
    idle.send(request())
    assert idle.read_response().body == b"x"
    assert shared.answer(shared.ask()).body == b"x" and shared.goaways == []


def test_keep_alive_idle(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"idle_timeout": "200ms"})
    client, upstream = begin(lab, request())
    with takes(0.2):
        upstream.send(response())
        client.read_response()
        client.expect_end()
    assert lab.sidecar.flags() == {}


def test_an_upload_that_stalls(laboratory: Laboratory) -> None:
    lab = laboratory(route={"timeouts": {"idle": "200ms"}})
    client = lab.client()
    client.send(request("POST", "/", b"Content-Length: 10") + b"half")
    upstream = lab.accept()
    upstream.read_head()
    with takes(0.15):
        assert client.read_response().status == 504
    upstream.expect_gone()
    flags_are(lab, {"SI": 1})


def test_a_slow_upload_that_goes_on(laboratory: Laboratory) -> None:
    """Neither the idle nor the request time-out cuts it: the latter begins when the request is complete."""
    lab = laboratory(route={"timeouts": {"idle": "250ms", "request": "250ms"}})
    client, upstream = begin(lab, request("POST", "/", CHUNKED))
    with takes(0.5):
        for _ in range(10):
            time.sleep(0.06)  # a slow client
            client.send(b"1\r\nx\r\n")
            assert upstream.read(6) == b"1\r\nx\r\n"
    client.send(b"0\r\n\r\n")
    assert upstream.read(5) == b"0\r\n\r\n"
    with takes(0.24):
        assert client.read_response().status == 504


# -- the answer -------------------------------------------------------------------------------------------


def test_a_request_that_is_not_answered(laboratory: Laboratory) -> None:
    lab = laboratory(route={"timeouts": {"request": "200ms"}})
    client = lab.client()
    with takes(0.2):
        client.send(request())
        upstream = lab.accept()
        got = client.read_response()
    assert got.status == 504
    assert b"error=http_response_timeout" in (got.one(b"proxy-status") or b"")
    upstream.read_head()
    upstream.expect_gone()
    flags_are(lab, {"UT": 1})
    assert lab.sidecar.cluster("request_timeouts") == 1


def test_the_request_timeout_runs_until_the_answer_is_complete(laboratory: Laboratory) -> None:
    lab = laboratory(route={"timeouts": {"request": "200ms"}})
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    client.read_head()
    with takes(0.1):
        assert client.expect_gone() == b"half"
    upstream.expect_gone()


def test_an_answer_that_stalls(laboratory: Laboratory) -> None:
    lab = laboratory(route={"timeouts": {"idle": "200ms", "request": "0s"}})
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n4\r\nhalf\r\n")
    head = client.read_head()
    with takes(0.1), pytest.raises(AssertionError):
        client.read_chunks(head)
    assert head.body == b"half"
    flags_are(lab, {"SI": 1})


def test_an_event_stream_lives_as_long_as_it_speaks(laboratory: Laboratory) -> None:
    lab = laboratory(route={"timeouts": {"idle": "250ms", "request": "0s"}})
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n")
    client.read_head()
    with takes(0.5):
        for _ in range(10):
            time.sleep(0.06)  # a slow backend
            upstream.send(b"1\r\nx\r\n")
            assert client.read(6) == b"1\r\nx\r\n"
    upstream.send(b"0\r\n\r\n")
    assert client.read(5) == b"0\r\n\r\n"


def test_a_client_that_does_not_read(laboratory: Laboratory) -> None:
    """The answer stalls at the client: it is cut off, and the backend let go."""
    lab = laboratory(route={"timeouts": {"idle": "300ms", "request": "0s"}})
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        while True:
            upstream.send(b"x" * 65536)
    client.expect_gone()
    assert len(client.received) < 100_000_000


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_answer_that_is_cut_off_at_its_end_never_seems_whole(
    laboratory: Laboratory, version: bytes
) -> None:
    """All of it has come from the backend, but the client reads so slowly that the rest is dropped."""
    lab = laboratory(route={"timeouts": {"idle": "300ms", "request": "0s"}})
    client, upstream = begin(lab, b"GET / HTTP/" + version + b"\r\nHost: a\r\n\r\n")
    upstream.send(b"HTTP/1.0 200 OK\r\n\r\n")
    upstream.connection.setblocking(False)
    size = 0
    stalled = time.monotonic() + 0.2
    while time.monotonic() < stalled:
        try:
            size += upstream.connection.send(b"x" * 65536)
            stalled = time.monotonic() + 0.1
        except BlockingIOError:
            time.sleep(0.001)
        except ConnectionError:
            break
    upstream.close()
    lab.sidecar.wait_for("connections_active", 0)
    head = client.read_head()
    try:
        client.read_body(head, until_close=True)
    except (AssertionError, ConnectionResetError):
        return
    assert len(head.body) == size, "it ends as if it were whole"


def test_a_fixed_answer_to_a_client_that_does_not_read(laboratory: Laboratory) -> None:
    """Pipelined without end and never read: the connection does not stay for ever."""
    lab = laboratory(
        listener={"idle_timeout": "300ms", "request_head_timeout": "300ms"},
        routes=[{"matches": [{"path": {"exact": "/big"}}], "response": {"body": "x" * 100_000}}],
    )
    client = lab.client()
    client.connection.settimeout(0.2)
    with pytest.raises((TimeoutError, ConnectionError)):
        for _ in range(1_000):
            client.send(request("GET", "/big") * 100)
    until(lambda: lab.sidecar.total("downstream_active") == 0, "it is closed")


# -- tries ------------------------------------------------------------------------------------------------


def test_a_try_that_takes_too_long_is_given_up_for_another(laboratory: Laboratory) -> None:
    lab = laboratory(
        route={
            "timeouts": {"per_try": "200ms", "request": "10s"},
            "retries": {"on": ["reset"], "attempts": 2, "backoff": {"base": "1ms", "max": "1ms"}},
        }
    )
    client, first = begin(lab, request())
    second = lab.accept()
    first.expect_gone()
    second.read_request()
    second.send(response(b"second"))
    assert client.read_response().body == b"second"


def test_a_try_that_has_begun_to_answer_may_take_its_time(laboratory: Laboratory) -> None:
    lab = laboratory(route={"timeouts": {"per_try": "150ms", "request": "10s"}})
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
    assert client.read_head().status == 200
    time.sleep(0.3)  # what is tried is that nothing happens meanwhile
    upstream.send(b"lf")
    assert client.read(4) == b"half"


def test_a_try_has_its_time_from_the_end_of_the_request(laboratory: Laboratory) -> None:
    """How slowly a client sends is nothing that another host would do better."""
    lab = laboratory(route={"timeouts": {"per_try": "150ms", "request": "10s"}})
    client, upstream = begin(lab, request("PUT", "/", CHUNKED) + b"5\r\nfirst\r\n")
    upstream.read_until(b"first\r\n")
    time.sleep(0.3)  # what is tried is that nothing happens meanwhile
    client.send(b"4\r\nlast\r\n0\r\n\r\n")
    upstream.read_until(b"0\r\n\r\n")
    upstream.send(response(b"in time"))
    assert client.read_response().body == b"in time"
    client.send(request("PUT", "/", CHUNKED) + b"5\r\nagain\r\n")
    upstream.read_until(b"again\r\n")
    with takes(0.15):
        client.send(b"0\r\n\r\n")
        assert client.read_response().status == 504


def test_the_last_try_that_takes_too_long(laboratory: Laboratory) -> None:
    lab = laboratory(route={"timeouts": {"per_try": "100ms", "request": "10s"}})
    client = lab.client()
    with takes(0.1):
        client.send(request())
        assert client.read_response().status == 504
    flags_are(lab, {"UT": 1})


def test_the_request_timeout_includes_all_tries(laboratory: Laboratory) -> None:
    lab = laboratory(
        route={
            "timeouts": {"per_try": "100ms", "request": "450ms"},
            "retries": {"on": ["reset"], "attempts": 50, "backoff": {"base": "1ms", "max": "1ms"}},
        }
    )
    client = lab.client()
    with takes(0.45):
        client.send(request())
        assert client.read_response().status == 504
    assert 3 <= lab.sidecar.endpoint("requests_total") <= 5


def test_a_place_in_the_queue_does_not_count_against_connecting(laboratory: Laboratory) -> None:
    """Its time-out is that of waiting; once it is served, connecting and answering have their own."""
    lab = laboratory(
        cluster={
            "circuit_breaker": {"max_connections": 1},
            "pending_timeout": "300ms",
            "connect_timeout": "5s",
        }
    )
    first, upstream = begin(lab, request())
    second = lab.client()
    second.send(request())
    until(lambda: lab.sidecar.limits()["pending"] == 1, "it waits")
    upstream.send(response(b"first", b"Connection: close"))
    assert first.read_response().body == b"first"
    another = lab.accept()
    another.read_request()
    time.sleep(0.4)  # what is tried is that nothing happens meanwhile
    another.send(response(b"second"))
    assert second.read_response().body == b"second"


# -- the first byte --------------------------------------------------------------------------------------


def test_first_byte(laboratory: Laboratory) -> None:
    """Over all tries, from the end of the request."""
    retries = {"on": ["reset"], "attempts": 100, "backoff": {"base": "1ms", "max": "1ms"}}
    lab = laboratory(route={"timeouts": {"first_byte": "300ms", "per_try": "100ms"}, "retries": retries})
    client = lab.client()
    with takes(0.3):
        client.send(request())
        assert client.read_response().status == 504
    assert lab.sidecar.cluster("request_timeouts") == 1
    assert lab.sidecar.cluster("retries") >= 1


def test_first_byte_does_not_hurry_a_slow_request(laboratory: Laboratory) -> None:
    lab = laboratory(route={"timeouts": {"first_byte": "200ms"}})
    client, upstream = begin(lab, request("PUT", "/", CHUNKED))
    time.sleep(0.4)
    client.send(b"1\r\nx\r\n0\r\n\r\n")
    upstream.send(response())
    assert client.read_response().status == 200


def test_event_streams_are_not_cut_when_only_their_beginning_is_limited(laboratory: Laboratory) -> None:
    lab = laboratory(route={"timeouts": {"first_byte": "200ms"}})
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    assert client.read_head().status == 200
    time.sleep(0.4)
    upstream.send(b"9\r\ndata: 1\n\n\r\n")
    assert client.read_line() == b"9"
    upstream.close()


def test_first_byte_and_then_the_rest_of_the_request_timeout(laboratory: Laboratory) -> None:
    lab = laboratory(route={"timeouts": {"first_byte": "200ms", "request": "600ms"}})
    client = lab.client()
    with takes(0.2, 0.6):
        client.send(request())
        assert client.read_response().status == 504
    lab.accept().close()
    with takes(0.6):
        client, upstream = begin(lab, request())
        upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345")
        assert client.read_head().status == 200
        client.expect_gone()
