"""Connections to backends: kept, shared, closed in time, never handed out once they have closed or spoken."""

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Peer, request, response
from tests._fast.flow.sidecar import until


def serve(upstream: Peer, answer: bytes = b"") -> bytes:
    """Answer the next request; its start line."""
    start = upstream.read_request().start
    upstream.send(response(answer))
    return start


def warm(lab: Lab, count: int = 1) -> tuple[list[Peer], list[Peer]]:
    """As many idle connections to the backend, the most recently used last, and their clients."""
    clients = [lab.client() for _ in range(count)]
    for client in clients:
        client.send(request())
    upstreams = [lab.accept() for _ in range(count)]
    for upstream in upstreams:
        upstream.read_request()
    idle = lab.sidecar.endpoint("connections_idle")
    for upstream in upstreams:
        upstream.send(response())
        idle += 1
        lab.sidecar.wait_for("connections_idle", idle)
    for client in clients:
        client.read_response()
    return clients, upstreams


def test_clients_share_connections(lab: Lab) -> None:
    _, [upstream] = warm(lab)
    for index in range(20):
        client = lab.client()
        client.send(request("GET", f"/{index}"))
        assert serve(upstream, b"%d" % index) == b"GET /%d HTTP/1.1" % index
        assert client.read_response().body == b"%d" % index
        client.close()
    assert not lab.backend.waiting()


def test_the_most_recently_used_goes_first(lab: Lab) -> None:
    [client, *_], upstreams = warm(lab, 5)
    client.send(request())
    serve(upstreams[-1])
    assert client.read_response().status == 200


def test_idle_connections_end_after_the_idle_timeout(laboratory: Laboratory) -> None:
    lab = laboratory(cluster={"connection_pool": {"idle_timeout": "150ms"}})
    [client], [upstream] = warm(lab)
    for _ in range(3):
        client.send(request())
        serve(upstream)
        client.read_response()
    upstream.expect_end()
    client.send(request())
    serve(lab.accept())
    assert client.read_response().status == 200


def test_the_most_requests_of_a_connection(laboratory: Laboratory) -> None:
    lab = laboratory(cluster={"connection_pool": {"max_requests_per_connection": 3}})
    client = lab.client()
    for _ in range(3):
        client.send(request())
        upstream = lab.accept()
        for index in range(3):
            serve(upstream)
            assert client.read_response().status == 200
            if index < 2:
                client.send(request())
        upstream.expect_end()


def test_the_greatest_age_of_a_connection(laboratory: Laboratory) -> None:
    """A connection that is too old ends with its next answer, and takes no new request."""
    lab = laboratory(cluster={"connection_pool": {"max_connection_age": "200ms"}})
    [client], [upstream] = warm(lab)
    requests = 0
    client.send(request())
    while upstream.fill():
        requests += 1
        serve(upstream)
        client.read_response()
        client.send(request())
    assert requests > 1
    serve(lab.accept())
    assert client.read_response().status == 200


# -- what must not be handed out -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("what", ["close", "reset", "stray bytes", "stray answer", "stray and close"])
def test_an_idle_connection_that_has_closed_or_spoken(lab: Lab, method: str, what: str) -> None:
    [client], [upstream] = warm(lab)
    if what == "stray bytes":
        upstream.send(b"x")
    if what in ("stray answer", "stray and close"):
        upstream.send(response(b"evil"))
    if what in ("close", "stray and close"):
        upstream.close()
    if what == "reset":
        upstream.reset()
    until(lambda: lab.sidecar.total("upstream_active") == 0, "the connection is given up")
    client.send(request(method))
    fresh = lab.accept()
    serve(fresh, b"good")
    assert client.read_response().body == b"good"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("first", ["client", "upstream"])
@pytest.mark.parametrize("what", ["close", "reset", "stray bytes", "stray answer"])
def test_the_same_at_the_very_moment_of_a_request(lab: Lab, method: str, what: str, first: str) -> None:
    """Both are there when the worker wakes, whichever came first: a stray answer answers nothing."""
    [client], [upstream] = warm(lab)

    def speak() -> None:
        if what == "close":
            upstream.close()
        elif what == "reset":
            upstream.reset()
        else:
            upstream.send(b"x" if what == "stray bytes" else response(b"evil"))

    with lab.sidecar.asleep():
        if first == "upstream":
            speak()
        client.send(request(method))
        if first == "client":
            speak()
    fresh = lab.accept()
    assert serve(fresh, b"good").startswith(method.encode())
    assert client.read_response().body == b"good"
    if what.startswith("stray"):
        assert upstream.expect_gone() == b"", "the request went out on the connection too"


# -- the keep-alive race -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_an_idempotent_request_on_a_dying_connection_is_replayed(lab: Lab, method: str, end: str) -> None:
    """The backend read it, or not, and closed: nobody can tell, and nobody has to."""
    [client], [upstream] = warm(lab)
    body = b"body" if method == "PUT" else None
    client.send(request(method, body=body))
    upstream.read_request()
    upstream.close() if end == "close" else upstream.reset()
    fresh = lab.accept()
    seen = fresh.read_request()
    assert seen.start.startswith(method.encode()) and seen.body == (body or b"")
    fresh.send(response(status=b"204 No Content").replace(b"content-length: 0\r\n", b""))
    assert client.read_response(method).status == 204
    assert lab.sidecar.total("replays") >= 1


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("method", ["POST", "PATCH", "X"])
def test_any_other_request_is_never_sent_twice(lab: Lab, method: str, end: str) -> None:
    [client], [upstream] = warm(lab)
    client.send(request(method, body=b"body"))
    upstream.read_request()
    upstream.close() if end == "close" else upstream.reset()
    assert client.read_response().status == 503
    assert not lab.backend.waiting()


def test_a_request_is_replayed_once(lab: Lab) -> None:
    """The fresh connection dies too: that is no race any more."""
    [client], [upstream] = warm(lab)
    client.send(request())
    upstream.read_request()
    upstream.close()
    fresh = lab.accept()
    fresh.read_request()
    fresh.close()
    assert client.read_response().status == 503
    assert not lab.backend.waiting()


def test_a_replay_goes_out_on_a_fresh_connection(lab: Lab) -> None:
    """Not on another idle one, which may be dying as well."""
    [client, *_], upstreams = warm(lab, 3)
    client.send(request())
    upstreams[-1].read_request()
    upstreams[-1].close()
    fresh = lab.accept()
    serve(fresh, b"fresh")
    assert client.read_response().body == b"fresh"


def test_a_replay_though_idle_connections_hold_all_places(laboratory: Laboratory) -> None:
    """One of them makes room."""
    lab = laboratory(cluster={"circuit_breaker": {"max_connections": 2}, "pending_timeout": "60s"})
    [client, another], [first, last] = warm(lab, 2)
    another.send(request("GET", "/another"))
    client.send(request())
    by_start = {last.read_request().start: last}
    by_start[first.read_request().start] = first
    dying, other = by_start[b"GET / HTTP/1.1"], by_start[b"GET /another HTTP/1.1"]
    with lab.sidecar.asleep():
        other.send(response(b"other"))
        dying.close()
    assert another.read_response().body == b"other"
    fresh = lab.accept()
    serve(fresh, b"fresh")
    assert client.read_response().body == b"fresh"


def test_a_body_beyond_the_replay_buffer_is_not_replayed(laboratory: Laboratory) -> None:
    """Half of it is gone; the request fails rather than being sent without it."""
    lab = laboratory(route={"retries": {"on": ["connect-failure"], "max_replay_body": "1KiB"}})
    [client], [upstream] = warm(lab)
    client.send(request("PUT", "/", body=b"x" * 5000))
    upstream.read_request()
    upstream.close()
    assert client.read_response().status == 503
    assert not lab.backend.waiting()


def test_an_upload_is_replayed_whole(lab: Lab) -> None:
    """The connection dies in the middle of it: what was sent comes again, and then the rest."""
    [client], [upstream] = warm(lab)
    client.send(request("PUT", "/", b"Transfer-Encoding: chunked") + b"5\r\nfirst\r\n")
    upstream.read_head()
    upstream.read(10)
    upstream.close()
    fresh = lab.accept()
    head = fresh.read_head()
    client.send(b"6\r\nsecond\r\n0\r\n\r\n")
    fresh.read_body(head, until_close=False)
    assert head.body == b"firstsecond"
    fresh.send(response(b"ok"))
    assert client.read_response().body == b"ok"


def test_nothing_is_replayed_once_an_answer_has_begun(lab: Lab) -> None:
    [client], [upstream] = warm(lab)
    client.send(request())
    upstream.read_request()
    upstream.send(b"HTTP/1.1 2")
    upstream.close()
    assert client.read_response().status == 503
    assert not lab.backend.waiting()
