"""Requests that nobody took, on connections that were new: sent again, a few times; what may be taken is not.

The kernel answers with RST for a process that closes before it has read all; for one that has, with FIN.
"""

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Peer, Unconnectable, request, response
from tests._fast.flow.sidecar import until

MOST_REPLAYS = 2


def accept_with_request(lab: Lab) -> Peer:
    """A new connection with bytes of a request on it, which are not read."""
    upstream = lab.accept()
    until(lambda: not upstream.silent(), "some of the request has arrived")
    return upstream


def drop_unread(lab: Lab) -> None:
    """As a backend whose idle timeout ends just as a request comes."""
    accept_with_request(lab).close()


def answer_next(lab: Lab, body: bytes = b"good") -> None:
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(body))


def flag_count(lab: Lab, flag: str) -> int:
    return lab.sidecar.flags().get(flag, 0)


# -- nobody has read it --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_an_idempotent_request_goes_out_again(lab: Lab, method: str) -> None:
    before = lab.sidecar.total("replays")
    client = lab.client()
    client.send(request(method, body=b"body" if method == "PUT" else None))
    drop_unread(lab)
    upstream = lab.accept()
    seen = upstream.read_request()
    assert seen.start == f"{method} / HTTP/1.1".encode()
    assert seen.body == (b"body" if method == "PUT" else b"")
    upstream.send(response(status=b"204 No Content").replace(b"content-length: 0\r\n", b""))
    assert client.read_response(method).status == 204
    assert lab.sidecar.total("replays") == before + 1


def test_twice_at_most(lab: Lab) -> None:
    before, failed = lab.sidecar.total("replays"), flag_count(lab, "UC")
    client = lab.client()
    client.send(request())
    for _ in range(1 + MOST_REPLAYS):
        drop_unread(lab)
    got = client.read_response()
    assert got.status == 503
    assert b"error=connection_terminated" in (got.one(b"proxy-status") or b"")
    assert not lab.backend.waiting()
    assert lab.sidecar.total("replays") == before + MOST_REPLAYS
    until(lambda: flag_count(lab, "UC") == failed + 1, "the failure is counted")


def test_what_died_on_a_kept_connection_counts_too(lab: Lab) -> None:
    client = lab.client()
    client.send(request())
    kept = lab.accept()
    kept.read_request()
    kept.send(response())
    client.read_response()
    client.send(request("GET", "/raced"))
    kept.read_request()
    kept.close()
    for _ in range(MOST_REPLAYS):
        drop_unread(lab)
    assert client.read_response().status == 503
    assert not lab.backend.waiting()


def test_a_reset_behind_a_fin(lab: Lab) -> None:
    """Both are there when the worker wakes: reading tells of the FIN alone."""
    client = lab.client()
    client.send(request())
    upstream = accept_with_request(lab)
    with lab.sidecar.asleep():
        upstream.half_close()
        upstream.close()
    answer_next(lab)
    assert client.read_response().body == b"good"


def test_a_reset_without_a_fin(lab: Lab) -> None:
    client = lab.client()
    client.send(request())
    accept_with_request(lab).reset()
    answer_next(lab)
    assert client.read_response().body == b"good"


def test_an_upload_goes_out_again_whole(lab: Lab) -> None:
    """The connection is reset in the middle of it: what was sent comes again, and then the rest."""
    client = lab.client()
    client.send(request("PUT", "/", b"Transfer-Encoding: chunked") + b"5\r\nfirst\r\n")
    drop_unread(lab)
    upstream = lab.accept()
    head = upstream.read_head()
    client.send(b"6\r\nsecond\r\n0\r\n\r\n")
    upstream.read_body(head, until_close=False)
    assert head.body == b"firstsecond"
    upstream.send(response(b"good"))
    assert client.read_response().body == b"good"


def test_replays_are_no_retries(laboratory: Laboratory) -> None:
    """All tries that the route allows are still there, and none of them waits for the replays."""
    lab = laboratory(
        route={"retries": {"on": ["reset"], "attempts": 1, "backoff": {"base": "1ms", "max": "2ms"}}}
    )
    client = lab.client()
    client.send(request())
    for _ in range(1 + MOST_REPLAYS + 1):
        drop_unread(lab)
    assert client.read_response().status == 503
    assert not lab.backend.waiting()
    assert lab.sidecar.cluster("retries") == 1
    assert lab.sidecar.total("replays") == MOST_REPLAYS


# -- somebody may have ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PATCH", "X"])
def test_any_other_request_does_not(lab: Lab, method: str) -> None:
    before = lab.sidecar.total("replays")
    client = lab.client()
    client.send(request(method, body=b"body"))
    drop_unread(lab)
    assert client.read_response().status == 503
    assert not lab.backend.waiting()
    assert lab.sidecar.total("replays") == before


def test_unless_the_route_says_that_it_may(laboratory: Laboratory) -> None:
    lab = laboratory(route={"retries": {"on": ["503"], "attempts": 1, "unsafe_methods": True}})
    client = lab.client()
    client.send(request("POST", body=b"body"))
    drop_unread(lab)
    upstream = lab.accept()
    assert upstream.read_request().body == b"body"
    upstream.send(response(b"good"))
    assert client.read_response().body == b"good"


def test_a_request_that_kills_its_reader_kills_only_one(lab: Lab) -> None:
    before = lab.sidecar.total("replays")
    client = lab.client()
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    upstream.close()
    assert client.read_response().status == 503
    assert not lab.backend.waiting()
    assert lab.sidecar.total("replays") == before


def test_nothing_goes_out_again_once_an_answer_has_begun(lab: Lab) -> None:
    client = lab.client()
    client.send(request())
    upstream = accept_with_request(lab)
    lab.deliver(upstream, b"HTTP/1.1 2", "bytes_upstream_received")
    upstream.close()
    assert client.read_response().status == 503
    assert not lab.backend.waiting()


def test_nor_what_is_not_kept(lab: Lab) -> None:
    """A body of more than `max_replay_body`."""
    sent = lab.sidecar.total("bytes_upstream_sent")
    client = lab.client()
    client.send(request("PUT", "/", b"Content-Length: 1000000") + b"x" * 100_000)
    upstream = lab.accept()
    until(lambda: lab.sidecar.total("bytes_upstream_sent") > sent + 100_000, "more is sent than is kept")
    upstream.close()
    assert client.read_response().status == 503
    assert not lab.backend.waiting()


# -- nothing was sent ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_host_that_has_closed_already_gets_no_request(laboratory: Laboratory, method: str) -> None:
    """Its FIN comes in one event with the connection: on another one the request is not sent twice."""
    hole = Unconnectable(blackhole=True)
    lab = laboratory(endpoints=[hole.address])
    before = lab.sidecar.total("replays")
    client = lab.client()
    client.send(request(method, body=b"body"))
    until(lambda: lab.sidecar.total("upstream_active") == 1, "it connects")
    with lab.sidecar.asleep():
        closed = hole.accept_late()
        closed.half_close()
    open_one = hole.accept_late()
    assert closed.expect_gone() == b""
    assert open_one.read_request().body == b"body"
    open_one.send(response(b"good"))
    assert client.read_response().body == b"good"
    assert lab.sidecar.total("replays") == before + 1
    for peer in (closed, open_one):
        peer.close()
    hole.close()
