"""HTTP/2 from clients, to backends that speak HTTP/1.1: requests, answers, bodies, trailers, ends."""

import contextlib
import json
import signal

import pytest
from h2.exceptions import ProtocolError

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab
from tests._fast.flow.sidecar import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Answer: Yes\r\n\r\nok"
FLOOD = 4000


def connect(lab: Lab, **more: object) -> H2Peer:
    return H2Peer(lab.client(), **more)  # type: ignore[arg-type]


# -- requests ------------------------------------------------------------------------------------------------


def test_a_request_becomes_one_of_http_1(lab: Lab) -> None:
    client = connect(lab)
    stream = client.ask(
        "/a?b=c", fields=[("x-one", "1"), ("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")]
    )
    upstream = lab.accept()
    seen = upstream.read_request()
    assert seen.start == b"GET /a?b=c HTTP/1.1"
    assert seen.one(b"host") == b"h2.test"
    assert seen.one(b"x-one") == b"1"
    assert seen.one(b"cookie") == b"a=1; b=2"
    assert seen.one(b"te") == b"trailers"
    assert seen.one(b"x-request-id")
    assert not any(name.startswith(b":") for name in seen.names)
    upstream.send(OK)
    answer = client.answer(stream)
    assert (answer.status, answer.body, answer.one(b"x-answer")) == (200, b"ok", b"Yes")
    assert answer.one(b"connection") is None


@pytest.mark.parametrize("cut", [1, 3, 7, 14, 18, 23, 24, 30])
def test_the_preface_in_any_pieces(lab: Lab, cut: int) -> None:
    peer = lab.client()
    sent = bytearray()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peer, "send", lambda *pieces: sent.extend(b"".join(pieces)))
        client = H2Peer(peer)
    lab.deliver(peer, bytes(sent[:cut]))
    peer.send(bytes(sent[cut:]))
    stream = client.ask()
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(OK)
    assert client.answer(stream).status == 200


def test_many_streams_at_once_each_with_its_own_answer(lab: Lab) -> None:
    client = connect(lab)
    streams = [client.ask(f"/{number}") for number in range(40)]
    upstreams = [lab.accept() for _ in streams]
    for upstream in reversed(upstreams):
        path = upstream.read_request().start.split(b" ")[1]
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))
    for number, stream in enumerate(streams):
        assert client.answer(stream).body == b"/%d" % number


def test_no_route_and_a_refused_path(laboratory: Laboratory) -> None:
    lab = laboratory(route={"matches": [{"path": {"prefix": "/there"}}]})
    client = connect(lab)
    stream = client.ask("/elsewhere")
    answer = client.answer(stream)
    assert (answer.status, answer.reset) == (404, None)
    assert answer.one(b"proxy-status")
    head = client.answer(client.ask("/elsewhere", method="HEAD"))
    assert (head.status, head.body) == (404, b"")


def test_a_body_goes_in_chunks_or_by_its_length(lab: Lab) -> None:
    client = connect(lab)
    stream = client.ask(method="POST", end=False)
    upstream = lab.accept()
    client.send(stream, b"hello ", False)
    client.send(stream, b"world", True)
    seen = upstream.read_request()
    assert (seen.one(b"transfer-encoding"), seen.body) == (b"chunked", b"hello world")
    upstream.send(OK)
    assert client.answer(stream).body == b"ok"
    stream = client.ask(method="POST", fields=[("content-length", "5")], end=False)
    client.send(stream, b"12345", True)
    seen = upstream.read_request()
    assert (seen.one(b"content-length"), seen.body) == (b"5", b"12345")
    upstream.send(OK)
    assert client.answer(stream).body == b"ok"


def test_trailers_of_both_directions(lab: Lab) -> None:
    client = connect(lab)
    stream = client.ask(method="POST", end=False)
    client.send(stream, b"body")
    client.trailers(stream, [("x-sum", "1")])
    upstream = lab.accept()
    seen = upstream.read_request()
    assert seen.trailers == [(b"x-sum", b"1")]
    upstream.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n"
        b"3\r\nabc\r\n0\r\nGrpc-Status: 0\r\n\r\n"
    )
    answer = client.answer(stream)
    assert (answer.body, answer.trailers) == (b"abc", [(b"grpc-status", b"0")])
    assert answer.one(b"transfer-encoding") is None


def test_informational_answers_come_first(lab: Lab) -> None:
    client = connect(lab)
    stream = client.ask()
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)
    answer = client.answer(stream)
    assert answer.informational == [[(b":status", b"103"), (b"link", b"x")]]
    assert answer.status == 200


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.1 200 OK\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n\r\nend", 200, b"end"),
    ],
)
def test_answers_of_all_framings(lab: Lab, sent: bytes, status: int, body: bytes) -> None:
    client = connect(lab)
    stream = client.ask()
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(sent)
    upstream.close()
    answer = client.answer(stream)
    assert (answer.status, answer.body, answer.reset) == (status, body, None)
    assert answer.one(b"x-hop") is None


# -- bodies and windows --------------------------------------------------------------------------------------


def test_large_bodies_in_both_directions_at_once(lab: Lab) -> None:
    client = connect(lab)
    stream = client.ask(method="POST", fields=[("content-length", "3000000")], end=False)
    upstream = lab.accept()
    upstream.read_head()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n")
    up, down = b"u" * 30000, b"d" * 30000
    for number in range(100):
        client.send(stream, up, number == 99)
        upstream.send(down)
        assert upstream.read(30000) == up
    answer = client.answer(stream)
    assert answer.body == down * 100


def test_a_client_that_does_not_read_holds_its_upstream_back_and_no_other(lab: Lab) -> None:
    client = connect(lab, acknowledge=False)
    slow = client.ask("/slow")
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
    client.head(slow)
    sent = 0
    upstream.connection.settimeout(0.2)
    with pytest.raises(TimeoutError):
        while True:
            sent += upstream.connection.send(bytes(65536))
    assert sent < 20_000_000
    other = connect(lab)
    stream = other.ask("/quick")
    second = lab.accept()
    second.read_request()
    second.send(OK)
    assert other.answer(stream).body == b"ok"
    client.cancel(slow)
    until(lambda: upstream.connection.fileno() < 0 or closed(upstream), "the upstream connection is given up")


def closed(peer: object) -> bool:
    connection = peer.connection  # type: ignore[attr-defined]
    connection.settimeout(0.001)
    try:
        connection.send(bytes(65536))
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def test_an_upstream_that_does_not_read_holds_its_client_back(lab: Lab) -> None:
    client = connect(lab)
    stream = client.ask(method="POST", end=False)
    upstream = lab.accept()
    upstream.read_head()
    sent = 0
    client.peer.connection.settimeout(0.3)
    with pytest.raises((TimeoutError, AssertionError)):
        while sent < 100_000_000:
            client.send(stream, bytes(60000))
            sent += 60000
    assert sent < 30_000_000
    client.peer.connection.settimeout(10)
    client.cancel(stream)
    with pytest.raises((AssertionError, ConnectionResetError)):
        while True:
            upstream.read(60000)


# -- resets --------------------------------------------------------------------------------------------------


def test_a_cancelled_request_leaves_its_upstream_and_the_connection_lives(lab: Lab) -> None:
    client = connect(lab)
    stream = client.ask()
    upstream = lab.accept()
    upstream.read_request()
    client.cancel(stream)
    assert upstream.read_rest() == b""
    again = client.ask()
    second = lab.accept()
    second.read_request()
    second.send(OK)
    assert client.answer(again).status == 200
    until(lambda: lab.sidecar.flags().get("DC"), "it is counted")


def test_an_answer_that_breaks_off_is_reset(lab: Lab) -> None:
    client = connect(lab)
    stream = client.ask()
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
    client.head(stream)
    upstream.close()
    answer = client.answer(stream)
    assert (answer.ended, answer.reset) == (False, 2)


def test_an_answer_before_the_end_of_the_request(lab: Lab) -> None:
    client = connect(lab)
    stream = client.ask(method="POST", end=False)
    client.send(stream, b"some")
    upstream = lab.accept()
    upstream.read_head()
    upstream.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
    answer = client.answer(stream)
    assert (answer.status, answer.body) == (403, b"no")
    client.need(lambda: answer.reset is not None, "RST_STREAM")
    assert answer.reset == 0


def test_a_body_above_the_limit(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"max_request_body": "10KiB"})
    client = connect(lab)
    assert (
        client.answer(client.ask(method="POST", fields=[("content-length", "20000")], end=False)).status
        == 413
    )
    stream = client.ask(method="POST", end=False)
    client.send(stream, bytes(9000))
    upstream = lab.accept()
    upstream.read_head()
    client.send(stream, bytes(9000))
    assert client.answer(stream).status == 413


def test_no_upstream(laboratory: Laboratory) -> None:
    lab = laboratory(endpoints=["127.0.0.1:1"])
    client = connect(lab)
    answer = client.answer(client.ask())
    assert answer.status == 503


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("moment", ["asked", "body", "answer"])
def test_a_client_that_leaves(lab: Lab, how: str, moment: str) -> None:
    client = connect(lab)
    streams = [client.ask(f"/{number}", method="POST", end=False) for number in range(5)]
    upstreams = [lab.accept() for _ in streams]
    for upstream in upstreams:
        upstream.read_head()
    if moment != "asked":
        for stream in streams:
            client.send(stream, b"part")
    if moment == "answer":
        for upstream in upstreams:
            upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
        for stream in streams:
            client.head(stream)
    client.peer.reset() if how == "reset" else client.peer.close()
    for upstream in upstreams:
        upstream.read_rest()


# -- errors of the connection --------------------------------------------------------------------------------


def test_a_violation_ends_the_connection_with_goaway(lab: Lab) -> None:
    client = connect(lab)
    stream = client.ask()
    upstream = lab.accept()
    upstream.read_request()
    before = lab.sidecar.total("protocol_errors_downstream")
    client.peer.send(b"\0\0\1\0\0\0\0\0\0x")
    client.read_rest()
    assert client.goaways == [(stream, 1)]
    assert upstream.read_rest() == b""
    until(lambda: lab.sidecar.total("protocol_errors_downstream") > before, "it is counted")


def test_a_flood_of_pings_ends_with_enhance_your_calm(lab: Lab) -> None:
    client = connect(lab)
    before = lab.sidecar.total("http2_calmed")
    with contextlib.suppress(OSError):
        for _ in range(FLOOD):
            client.http.ping(b"12345678")
            client.flush()
        client.read_rest()
    until(lambda: lab.sidecar.total("http2_calmed") == before + 1, "the flood is counted")


def test_rapid_resets_end_with_enhance_your_calm(lab: Lab) -> None:
    client = connect(lab)
    before = lab.sidecar.total("http2_calmed")
    with contextlib.suppress(OSError, ProtocolError):
        for _ in range(FLOOD):
            client.cancel(client.ask())
    until(lambda: lab.sidecar.total("http2_calmed") == before + 1, "the flood is counted")


def test_a_head_that_is_too_large_is_answered(lab: Lab) -> None:
    client = connect(lab)
    stream = client.ask(fields=[(f"x-{number}", "y" * 3000) for number in range(24)])
    assert client.answer(stream).status == 431


# -- drains --------------------------------------------------------------------------------------------------


def test_a_reload_that_takes_the_listener_away_loses_nothing(laboratory: Laboratory) -> None:
    lab = laboratory(drain_timeout="20s")
    client = connect(lab)
    running = client.ask("/running")
    upstream = lab.accept()
    upstream.read_request()
    changed = json.loads(json.dumps(lab.config))
    changed["listeners"][0]["name"] = "another"
    lab.sidecar.reload(changed)
    client.need(lambda: len(client.goaways) == 2, "both steps")
    assert [last for last, _ in client.goaways] == [2**31 - 1, running]
    assert {error for _, error in client.goaways} == {0}
    upstream.send(OK)
    assert client.answer(running).body == b"ok"
    client.read_rest()
    lab.sidecar.reload(lab.config)


def test_a_request_between_the_two_steps_is_served(laboratory: Laboratory) -> None:
    lab = laboratory(drain_timeout="21s")
    client = connect(lab)
    first = client.ask("/first")
    upstream = lab.accept()
    upstream.read_request()
    acknowledge = client.flush
    client.flush = lambda: None  # type: ignore[method-assign]  # so that the PING is not answered yet
    changed = json.loads(json.dumps(lab.config))
    changed["listeners"][0]["name"] = "another"
    lab.sidecar.reload(changed)
    client.need(lambda: len(client.goaways) == 1, "the first step")
    held = client.http.data_to_send()
    second = client.ask("/second")
    late = client.http.data_to_send()
    client.flush = acknowledge  # type: ignore[method-assign]
    client.peer.send(late, held)
    other = lab.accept()
    assert other.read_request().start == b"GET /second HTTP/1.1"
    other.send(OK)
    upstream.send(OK)
    assert client.answer(second).body == b"ok"
    assert client.answer(first).body == b"ok"
    client.read_rest()
    assert client.goaways[-1] == (second, 0)
    lab.sidecar.reload(lab.config)


def test_an_idle_connection_is_ended_in_two_steps(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"idle_timeout": "300ms"})
    client = connect(lab)
    client.read_rest()
    assert [error for _, error in client.goaways] == [0, 0]


def test_a_connection_that_has_had_its_requests_is_ended_though_none_is_under_way(
    laboratory: Laboratory,
) -> None:
    lab = laboratory(
        listener={"max_requests_per_connection": 3}, routes=[{"name": "here", "response": {"body": "here"}}]
    )
    client = connect(lab)
    last = 0
    for _ in range(3):
        last = client.ask()
        assert client.answer(last).body == b"here"
    client.read_rest()
    assert client.goaways == [(2**31 - 1, 0), (last, 0)]


def test_the_access_log_names_the_protocol(laboratory: Laboratory) -> None:
    lab = laboratory(access_log={"path": "/dev/stdout", "format": "json"})
    client = connect(lab)
    stream = client.ask("/logged")
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(OK)
    client.answer(stream)
    lab.sidecar.wait_for_line('"/logged"')
    line = next(line for line in lab.sidecar.words().splitlines() if '"/logged"' in line)
    assert json.loads(line)["protocol"] == "HTTP/2"


def test_a_terminated_sidecar_finishes_what_it_has(laboratory: Laboratory) -> None:
    lab = laboratory(drain_timeout="15s")
    client = connect(lab)
    stream = client.ask()
    upstream = lab.accept()
    upstream.read_request()
    lab.sidecar.process.send_signal(signal.SIGTERM)
    client.need(lambda: len(client.goaways) == 2, "both steps")
    upstream.send(OK)
    assert client.answer(stream).body == b"ok"
    client.read_rest()
    lab.sidecar.process.wait(10)
