"""Where a body ends, in every way of saying it, version and direction (RFC 9112 section 6)."""

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Ended, Peer, request, response
from tests._fast.flow.sidecar import until

CHUNKED = b"Transfer-Encoding: chunked"


def begin(lab: Lab, sent: bytes) -> tuple[Peer, Peer]:
    """A client that has sent this, and the connection on which the backend has read it."""
    client = lab.client()
    client.send(sent)
    upstream = lab.accept()
    upstream.read_request()
    return client, upstream


def still_usable(lab: Lab, client: Peer, upstream: Peer) -> None:
    """Both connections take another request."""
    client.send(request("GET", "/next"))
    assert upstream.read_request().start == b"GET /next HTTP/1.1"
    upstream.send(response(b"next"))
    assert client.read_response().body == b"next"
    assert not lab.backend.waiting()


# -- chunked -------------------------------------------------------------------------------------------


def test_chunks_of_a_request_with_extensions_and_trailers(lab: Lab) -> None:
    client = lab.client()
    client.send(request("POST", "/", CHUNKED, b"Trailer: X-Sum"))
    client.send(b'4;a;b="c;d"\r\nWiki\r\n05;x\r\npedia\r\n0\r\nX-Sum: 1\r\nx-other:  2 \r\n\r\n')
    upstream = lab.accept()
    seen = upstream.read_request()
    assert seen.body == b"Wikipedia"
    assert seen.trailers == [(b"X-Sum", b"1"), (b"x-other", b"2")]
    assert seen.one(b"trailer") == b"X-Sum"
    upstream.send(response())
    assert client.read_response().status == 200
    still_usable(lab, client, upstream)


def test_chunks_of_a_response_with_extensions_and_trailers(lab: Lab) -> None:
    client, upstream = begin(lab, request("GET", "/", b"TE: trailers"))
    upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nTrailer: X-Sum\r\n\r\n")
    upstream.send(b"1;x\r\na\r\n00A\r\n0123456789\r\n000\r\nX-Sum: 1\r\n\r\n")
    got = client.read_response()
    assert got.body == b"a0123456789"
    assert got.trailers == [(b"X-Sum", b"1")]
    still_usable(lab, client, upstream)


@pytest.mark.parametrize("name", [b"Content-Length", b"Transfer-Encoding"])
def test_trailers_that_would_change_the_framing_are_refused(lab: Lab, name: bytes) -> None:
    client = lab.client()
    client.send(request("POST", "/", CHUNKED) + b"1\r\na\r\n0\r\n" + name + b": 1\r\n\r\n")
    assert client.read_response().status == 400
    client.expect_end()


def test_trailers_that_would_steer_are_left_out(lab: Lab) -> None:
    """RFC 9110 section 6.5.1: a recipient may merge trailers into the header section."""
    steering = b"Host: evil.test\r\nAuthorization: x\r\nX-Forwarded-For: 1.1.1.1\r\nConnection: x-sum\r\n"
    sent = request("POST", "/", CHUNKED) + b"1\r\na\r\n0\r\n" + steering + b"X-Sum: 1\r\n\r\n"
    seen, _ = lab.exchange(sent, response())
    assert seen.trailers == [(b"X-Sum", b"1")]


@pytest.mark.parametrize("option", [b"x-hop", b"close, X-HOP", b"x-hop,keep-alive"])
def test_trailers_that_connection_names_are_left_out(lab: Lab, option: bytes) -> None:
    """They are for one hop (RFC 9110 section 7.6.1), in whichever section they come."""
    trailers = b"1\r\na\r\n0\r\nX-Hop: 1\r\nX-Sum: 1\r\nX-Hops: 1\r\nx-hop: 2\r\n\r\n"
    sent = request("POST", "/", CHUNKED, b"Connection: " + option) + trailers
    answer = b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\nConnection: " + option + b"\r\n\r\n" + trailers
    seen, got = lab.exchange(sent, answer)
    assert seen.trailers == got.trailers == [(b"X-Sum", b"1"), (b"X-Hops", b"1")]


def test_what_one_head_names_is_no_matter_to_the_next(lab: Lab) -> None:
    trailers = b"0\r\nX-Hop: 1\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n"
    client = lab.client()
    client.send(request("POST", "/", CHUNKED, b"Connection: x-hop") + trailers)
    upstream = lab.accept()
    assert upstream.read_request().trailers == []
    upstream.send(head + b"Connection: x-hop\r\n\r\n" + trailers)
    assert client.read_response().trailers == []
    client.send(request("POST", "/", CHUNKED) + trailers)
    assert upstream.read_request().trailers == [(b"X-Hop", b"1")]
    upstream.send(head + b"\r\n" + trailers)
    assert client.read_response().trailers == [(b"X-Hop", b"1")]


def test_more_names_than_are_kept_leave_no_trailer(lab: Lab) -> None:
    names = b"Connection: " + b", ".join(b"x-%d" % index for index in range(30))
    sent = request("POST", "/", CHUNKED, names) + b"1\r\na\r\n0\r\nX-29: 1\r\nX-Sum: 1\r\n\r\n"
    seen, _ = lab.exchange(sent, response())
    assert (seen.body, seen.trailers) == (b"a", [])


def test_many_small_chunks(lab: Lab) -> None:
    body = bytes(range(256)) * 40
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    sent = request("POST", "/", CHUNKED) + chunks
    seen, got = lab.exchange(sent, b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n" + chunks)
    assert seen.body == body
    assert got.body == body


def test_a_chunk_reaches_the_other_side_before_the_next_one_comes(lab: Lab) -> None:
    """Nothing is gathered: an event stream flows, and so does an upload."""
    client = lab.client()
    client.send(request("POST", "/", CHUNKED))
    upstream = lab.accept()
    upstream.read_head()
    for piece in (b"one", b"two"):
        client.send(b"3\r\n" + piece + b"\r\n")
        assert upstream.read(8) == b"3\r\n" + piece + b"\r\n"
    client.send(b"0\r\n\r\n")
    assert upstream.read(5) == b"0\r\n\r\n"
    upstream.send(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n")
    client.read_head()
    for piece in (b"one", b"two"):
        upstream.send(b"3\r\n" + piece + b"\r\n")
        assert client.read(8) == b"3\r\n" + piece + b"\r\n"
    upstream.send(b"0\r\n\r\n")
    assert client.read(5) == b"0\r\n\r\n"
    still_usable(lab, client, upstream)


# -- until the connection closes -----------------------------------------------------------------------


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_response_until_close_is_chunked_for_http_1_1(lab: Lab, version: bytes) -> None:
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/" + version + b" 200 OK\r\nX: 1\r\n\r\nfirst ")
    head = client.read_head()
    assert head.one(b"transfer-encoding") == b"chunked"
    upstream.send(b"second")
    upstream.close()
    client.read_chunks(head)
    assert head.body == b"first second"
    client.send(request("GET", "/next"))
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(b"next"))
    assert client.read_response().body == b"next"


def test_an_empty_response_until_close(lab: Lab) -> None:
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.1 200 OK\r\n\r\n")
    upstream.close()
    assert client.read_response().body == b""


def test_a_response_until_close_for_http_1_0(lab: Lab) -> None:
    client, upstream = begin(lab, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    upstream.send(b"HTTP/1.1 200 OK\r\n\r\nbody")
    upstream.close()
    head = client.read_head()
    assert head.one(b"transfer-encoding") is None
    assert head.one(b"connection") == b"close"
    assert client.read_rest() == b"body"


@pytest.mark.parametrize("keep", [b"", b"Connection: keep-alive\r\n"])
def test_a_chunked_response_for_http_1_0(lab: Lab, keep: bytes) -> None:
    client, upstream = begin(lab, b"GET / HTTP/1.0\r\n" + keep + b"\r\n")
    upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n")
    head = client.read_head()
    assert head.one(b"transfer-encoding") is None
    assert client.read_rest() == b"abc"


# -- HTTP/1.0 ------------------------------------------------------------------------------------------


def test_http_1_0_closes_unless_it_asks_to_stay(lab: Lab) -> None:
    client, upstream = begin(lab, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    upstream.send(response(b"ok"))
    got = client.read_response()
    assert (got.start, got.body) == (b"HTTP/1.1 200 OK", b"ok")
    client.expect_end()


def test_http_1_0_with_keep_alive_stays(lab: Lab) -> None:
    client, upstream = begin(lab, b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n")
    upstream.send(response(b"ok"))
    assert client.read_response().one(b"connection") == b"keep-alive"
    still_usable(lab, client, upstream)


def test_a_backend_of_http_1_0_is_used_once(lab: Lab) -> None:
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    got = client.read_response()
    assert (got.start, got.body) == (b"HTTP/1.1 200 OK", b"ok")
    upstream.expect_end()
    client.send(request())
    lab.accept()


def test_a_backend_of_http_1_0_that_keeps_alive_is_used_again(lab: Lab) -> None:
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok")
    assert client.read_response().body == b"ok"
    still_usable(lab, client, upstream)


def test_a_backend_that_closes_is_not_used_again(lab: Lab) -> None:
    client, upstream = begin(lab, request())
    upstream.send(response(b"ok", b"Connection: close"))
    got = client.read_response()
    assert got.one(b"connection") is None, (
        "what the backend does with its connection is no matter of the client"
    )
    upstream.expect_end()
    client.send(request())
    lab.accept()


def test_a_client_that_closes(lab: Lab) -> None:
    client, upstream = begin(lab, request("GET", "/", b"Connection: close"))
    upstream.send(response(b"ok"))
    assert client.read_response().one(b"connection") == b"close"
    client.expect_end()
    another = lab.client()
    another.send(request())
    upstream.read_request()
    upstream.send(response())
    assert another.read_response().status == 200


def test_requests_after_connection_close_are_not_read(lab: Lab) -> None:
    client, upstream = begin(lab, request("GET", "/", b"Connection: close") + request("GET", "/too-late"))
    upstream.send(response(b"ok"))
    assert client.read_response().body == b"ok"
    client.expect_end()
    assert upstream.silent() or upstream.fill() is False
    assert b"too-late" not in upstream.received


def test_the_most_requests_of_a_connection(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"max_requests_per_connection": 3})
    client = lab.client()
    client.send(request())
    upstream = lab.accept()
    for index in range(3):
        upstream.read_request()
        upstream.send(response())
        assert client.read_response().one(b"connection") == (b"close" if index == 2 else None)
        if index < 2:
            client.send(request())
    client.expect_end()


# -- responses without a body --------------------------------------------------------------------------

LENGTH = b"Content-Length: 5\r\n"


@pytest.mark.parametrize("framing", [LENGTH, b"Transfer-Encoding: chunked\r\n", b""])
def test_a_response_to_head_has_no_body(lab: Lab, framing: bytes) -> None:
    client, upstream = begin(lab, request("HEAD"))
    upstream.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
    got = client.read_response("HEAD")
    if framing == LENGTH:
        assert got.one(b"content-length") == b"5"
    still_usable(lab, client, upstream)


@pytest.mark.parametrize("framing", [LENGTH, b""])
def test_a_304_has_no_body(lab: Lab, framing: bytes) -> None:
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.1 304 Not Modified\r\n" + framing + b"\r\n")
    assert client.read_response().status == 304
    still_usable(lab, client, upstream)


def test_a_204_has_no_body(lab: Lab) -> None:
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    got = client.read_response()
    assert got.status == 204
    assert got.all(b"content-length") == got.all(b"transfer-encoding") == []
    still_usable(lab, client, upstream)


@pytest.mark.parametrize("framing", [LENGTH, b"Transfer-Encoding: chunked\r\n"])
def test_a_204_that_announces_a_body_is_malformed(lab: Lab, framing: bytes) -> None:
    client, upstream = begin(lab, request())
    upstream.send(b"HTTP/1.1 204 No Content\r\n" + framing + b"\r\nhello")
    assert client.read_response().status == 502


@pytest.mark.parametrize("head", [b"HEAD", b"304"])
def test_a_body_where_none_may_be_is_not_taken_for_the_next_response(lab: Lab, head: bytes) -> None:
    client, upstream = begin(lab, request("HEAD" if head == b"HEAD" else "GET"))
    status = b"200 OK" if head == b"HEAD" else b"304 Not Modified"
    upstream.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\n" + response(b"evil!"))
    client.read_head()
    client.send(request())
    fresh = lab.accept()
    fresh.read_request()
    fresh.send(response(b"good"))
    assert client.read_response().body == b"good"


def test_bytes_after_a_response_are_not_taken_for_the_next_one(lab: Lab) -> None:
    client, upstream = begin(lab, request())
    upstream.send(response(b"ok") + response(b"evil!"))
    assert client.read_response().body == b"ok"
    client.send(request())
    fresh = lab.accept()
    fresh.read_request()
    fresh.send(response(b"good"))
    assert client.read_response().body == b"good"


# -- 1xx -----------------------------------------------------------------------------------------------


def test_early_hints_come_at_once(lab: Lab) -> None:
    client, upstream = begin(lab, request())
    for index in range(3):
        upstream.send(b"HTTP/1.1 103 Early Hints\r\nLink: </%d>\r\nConnection: x\r\nX: 1\r\n\r\n" % index)
        assert client.read_head().raw == b"HTTP/1.1 103 Early Hints\r\nLink: </%d>\r\n\r\n" % index
    upstream.send(response(b"ok"))
    assert client.read_response().body == b"ok"
    still_usable(lab, client, upstream)


def test_http_1_0_gets_no_1xx(lab: Lab) -> None:
    client, upstream = begin(lab, b"GET / HTTP/1.0\r\n\r\n")
    upstream.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + response(b"ok"))
    got = client.read_response()
    assert (got.informational, got.body) == ([], b"ok")


EXPECT = b"Expect: 100-continue"


def test_a_client_that_waits_for_100(lab: Lab) -> None:
    client = lab.client()
    client.send(request("POST", "/", EXPECT, b"Content-Length: 4"))
    upstream = lab.accept()
    assert upstream.read_head().one(b"expect") == b"100-continue"
    upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.read_head().status == 100
    client.send(b"body")
    assert upstream.read(4) == b"body"
    upstream.send(response(b"ok"))
    assert client.read_response().body == b"ok"
    still_usable(lab, client, upstream)


def test_a_client_that_expects_100_and_does_not_wait(lab: Lab) -> None:
    client, upstream = begin(lab, request("POST", "/", EXPECT, body=b"body"))
    upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"ok"))
    got = client.read_response()
    assert [early.status for early in got.informational] == [100]
    assert got.body == b"ok"
    still_usable(lab, client, upstream)


@pytest.mark.parametrize("status", [b"417 Expectation Failed", b"200 OK", b"401 Unauthorized"])
def test_a_final_answer_in_place_of_100(lab: Lab, status: bytes) -> None:
    """The body may never come, so neither connection can carry another request."""
    client = lab.client()
    client.send(request("POST", "/", EXPECT, b"Content-Length: 4"))
    upstream = lab.accept()
    upstream.read_head()
    upstream.send(response(b"no", status=status))
    got = client.read_response()
    assert got.body == b"no"
    assert got.one(b"connection") == b"close"
    client.expect_end()
    upstream.expect_end()


def test_an_unknown_expectation(lab: Lab) -> None:
    client = lab.client()
    client.send(request("POST", "/", b"Expect: miracles", body=b"x"))
    assert client.read_response().status == 417
    assert not lab.backend.waiting()


# -- early answers -------------------------------------------------------------------------------------


def test_an_answer_before_the_end_of_the_request(lab: Lab) -> None:
    """The client gets it whole, though it goes on sending; then the connection ends in order."""
    client = lab.client()
    client.send(request("POST", "/", b"Content-Length: 100000") + b"x" * 1000)
    upstream = lab.accept()
    upstream.read_head()
    upstream.send(response(b"enough", status=b"413 Content Too Large"))
    got = client.read_response()
    assert (got.status, got.body) == (413, b"enough")
    assert got.one(b"connection") == b"close"
    client.send(b"x" * 50000)
    client.half_close()
    client.expect_end()


def test_a_long_answer_while_the_request_goes_on(lab: Lab) -> None:
    """Both bodies flow at once: an echo."""
    client = lab.client()
    client.send(request("POST", "/", CHUNKED))
    upstream = lab.accept()
    upstream.read_head()
    upstream.send(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n")
    client.read_head()
    for index in range(20):
        piece = b"%04d" % index
        client.send(b"4\r\n" + piece + b"\r\n")
        assert upstream.read(9) == b"4\r\n" + piece + b"\r\n"
        upstream.send(b"4\r\n" + piece + b"\r\n")
        assert client.read(9) == b"4\r\n" + piece + b"\r\n"
    client.send(b"0\r\n\r\n")
    assert upstream.read(5) == b"0\r\n\r\n"
    upstream.send(b"0\r\n\r\n")
    assert client.read(5) == b"0\r\n\r\n"


def test_a_refused_body_is_read_for_a_while_so_that_the_answer_arrives(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"max_request_body": "1KiB"})
    client = lab.client()
    client.send(request("POST", "/", b"Content-Length: 100000"))
    got = client.read_response()
    assert got.status == 413
    client.send(b"x" * 50000)
    client.half_close()
    client.expect_end()
    assert not lab.backend.waiting()


def test_a_chunked_body_beyond_the_limit(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"max_request_body": "1KiB"})
    client = lab.client()
    client.send(request("POST", "/", CHUNKED) + b"400\r\n" + b"x" * 1024 + b"\r\n")
    upstream = lab.accept()
    upstream.read_head()
    client.send(b"1\r\nx\r\n")
    assert client.read_response().status == 413
    with pytest.raises((Ended, ConnectionResetError)):
        upstream.read_chunks(upstream.read_head())


def test_an_answer_before_the_request_was_read(lab: Lab) -> None:
    """A backend that answers as soon as it has accepted is not waited for in vain."""
    client = lab.client()
    upstream_listening = lab.backend
    client.send(request())
    upstream = lab.accept()
    upstream.send(response(b"at once", b"Connection: close"))
    assert client.read_response().body == b"at once"
    assert upstream_listening.accepted >= 1


def test_a_get_with_a_body(lab: Lab) -> None:
    client, upstream = begin(lab, request("GET", "/", body=b"body"))
    upstream.send(response(b"ok"))
    assert client.read_response().body == b"ok"
    still_usable(lab, client, upstream)


def test_what_a_fixed_answer_leaves_unread(laboratory: Laboratory) -> None:
    """A body behind a request that needs no backend is never taken for the next request."""
    lab = laboratory(routes=[{"matches": [{"path": {"exact": "/alive"}}], "response": {"body": "yes"}}])
    client = lab.client()
    client.send(request("POST", "/alive", body=b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert client.read_response().body == b"yes"
    client.half_close()
    client.expect_end()
    until(lambda: lab.sidecar.total("requests_active") == 0, "the request is over")
    assert not lab.backend.waiting()


@pytest.mark.parametrize(("listener", "route"), [(4, 10), (100, 10), (None, 10)])
def test_a_route_has_its_own_limit_stricter_or_looser(
    laboratory: Laboratory, listener: int | None, route: int
) -> None:
    lab = laboratory(listener={"max_request_body": listener}, route={"max_request_body": route})
    seen, got = lab.exchange(request("POST", body=b"x" * route), response())
    assert (seen.body, got.status) == (b"x" * route, 200)
    for sent in (
        request("POST", body=b"x" * (route + 1)),
        request("POST", "/", b"Transfer-Encoding: chunked") + b"b\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n",
    ):
        client = lab.client()
        client.send(sent)
        answer = client.read_response()
        assert answer.status == 413
        assert b"larger" in answer.body
