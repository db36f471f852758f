"""Hosts that are spoken to in HTTP/2: requests translated, streams shared, refused, reset and cut off."""

import contextlib
from collections.abc import Callable

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_backend import H2Backend
from tests._fast.flow.lab import Lab
from tests._fast.flow.sidecar import until

REFUSED_STREAM, CANCEL = 7, 8
RETRIES = {"retries": {"attempts": 1, "on": ["refused-stream", "reset"]}}


def make(laboratory: Laboratory, **sections: object) -> Lab:
    cluster = {"protocol": "http2"} | dict(sections.pop("cluster", {}))  # type: ignore[call-overload]
    return laboratory(cluster=cluster, **sections)


def get(path: str = "/", *fields: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: shop.test", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_a_request_is_translated(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client = lab.client()
    client.send(
        get("/a?b=c", "X-Mixed: Value", "Connection: close, x-hop", "X-Hop: 1", "TE: trailers", "Cookie: a=b")
    )
    host = H2Backend(lab.accept())
    seen = host.whole()
    assert seen.fields[:4] == [
        (b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"shop.test"), (b":path", b"/a?b=c"),
    ]  # fmt: skip
    assert (
        seen.one(b"x-mixed") == b"Value" and seen.one(b"te") == b"trailers" and seen.one(b"cookie") == b"a=b"
    )
    for gone in (b"connection", b"x-hop", b"host", b"transfer-encoding"):
        assert seen.one(gone) is None
    host.answer(seen.stream, b"hello", fields=[("content-length", "5"), ("x-answer", "1")])
    got = client.read_response()
    assert got.start == b"HTTP/1.1 200 OK" and got.body == b"hello"
    assert got.all(b"x-answer") == [b"1"] and got.all(b"content-length") == [b"5"]


def test_many_exchanges_share_one_connection(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    clients = [lab.client() for _ in range(20)]
    for number, client in enumerate(clients):
        client.send(get(f"/{number}"))
    host = H2Backend(lab.accept())
    for index in reversed(range(20)):
        seen = host.whole(index)
        host.answer(seen.stream, seen.one(b":path") or b"")
    for number, client in enumerate(clients):
        assert client.read_response().body == b"/%d" % number
    assert not lab.backend.waiting()


def test_more_connections_when_streams_run_out(laboratory: Laboratory) -> None:
    lab = make(laboratory, cluster={"connection_pool": {"max_streams_per_connection": 2}})
    clients = [lab.client() for _ in range(3)]
    hosts = []
    for number, client in enumerate(clients):
        client.send(get(f"/{number}"))
        if number != 1:
            hosts.append(H2Backend(lab.accept()))
        hosts[-1].whole(number % 2)
    for number, client in enumerate(clients):
        host = hosts[number // 2]
        host.answer(host.whole(number % 2).stream, b"x")
        assert client.read_response().body == b"x"


def test_the_hosts_own_limit_of_streams(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    first = lab.client()
    first.send(get("/first"))
    host = H2Backend(lab.accept(), streams=1)
    seen = host.whole()
    host.ping()
    second = lab.client()
    second.send(get("/second"))
    other = H2Backend(lab.accept())
    other.answer(other.whole().stream, b"2")
    assert second.read_response().body == b"2"
    host.answer(seen.stream, b"1")
    assert first.read_response().body == b"1"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_waits_for_the_hosts_window(laboratory: Laboratory, framing: str) -> None:
    lab = make(laboratory)
    body = bytes(range(256)) * 800
    client = lab.client()
    if framing == "length":
        client.send(get(method="POST", body=body))
    else:
        client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
        client.send(b"%x\r\n" % len(body) + body + b"\r\n0\r\nX-Sum: 9\r\n\r\n")
    host = H2Backend(lab.accept())
    seen = host.whole()
    assert seen.body == body
    assert seen.one(b"content-length") == (b"%d" % len(body) if framing == "length" else None)
    assert seen.trailers == ([] if framing == "length" else [(b"x-sum", b"9")])
    host.answer(seen.stream, status=204)
    assert client.read_response().start.startswith(b"HTTP/1.1 204")


def test_an_answer_in_pieces_with_trailers(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client = lab.client()
    client.send(get("/", "TE: trailers"))
    host = H2Backend(lab.accept())
    seen = host.whole()
    host.answer(seen.stream, end=False)
    host.data(seen.stream, b"one ")
    host.data(seen.stream, b"two")
    host.trailers(seen.stream, [("grpc-status", "0")])
    got = client.read_response()
    assert got.body == b"one two" and got.trailers == [(b"grpc-status", b"0")]


def test_informational_answers_go_on(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client = lab.client()
    client.send(get())
    host = H2Backend(lab.accept())
    seen = host.whole()
    host.answer(seen.stream, status=103, fields=[("link", "</a>")], end=False)
    host.answer(seen.stream, b"x")
    got = client.read_response()
    assert [head.status for head in got.informational] == [103] and got.body == b"x"


def test_a_client_that_leaves_resets_its_stream_alone(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    stays, leaves = lab.client(), lab.client()
    stays.send(get("/stays"))
    host = H2Backend(lab.accept())
    kept = host.whole(0)
    leaves.send(get("/leaves"))
    gone = host.whole(1)
    leaves.close()
    while gone.reset is None:
        host.receive()
    assert gone.reset == CANCEL
    host.answer(kept.stream, b"still here")
    assert stays.read_response().body == b"still here"


def test_a_refused_stream_is_tried_again(laboratory: Laboratory) -> None:
    """Even a POST: nothing of it was looked at."""
    lab = make(laboratory, route={"retries": {"attempts": 1, "on": ["refused-stream"]}})
    client = lab.client()
    client.send(get(method="POST"))
    host = H2Backend(lab.accept())
    host.reset(host.whole(0).stream, REFUSED_STREAM)
    host.answer(host.whole(1).stream, b"x")
    assert client.read_response().body == b"x"


def test_a_reset_post_is_not_repeated(laboratory: Laboratory) -> None:
    lab = make(laboratory, route=RETRIES)
    client = lab.client()
    client.send(get(method="POST", body=b"once"))
    host = H2Backend(lab.accept())
    host.reset(host.whole(0).stream, CANCEL)
    assert client.read_response().start.startswith(b"HTTP/1.1 50")


def goaway(host: H2Backend, last: int) -> None:
    host.http.close_connection(last_stream_id=last)
    host.flush()


def test_goaway_lets_the_streams_below_finish_and_repeats_those_above(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    clients = [lab.client(), lab.client()]
    clients[0].send(get("/below"))
    host = H2Backend(lab.accept())
    below = host.whole(0)
    clients[1].send(get("/above", method="POST"))
    host.whole(1)
    # the package takes nothing more after its GOAWAY, so the answer goes first, in part
    host.answer(below.stream, b"be", end=False)
    host.data(below.stream, b"low", end=True)
    goaway(host, below.stream)
    other = H2Backend(lab.accept())
    other.answer(other.whole().stream, b"above")
    assert clients[0].read_response().body == b"below"
    assert clients[1].read_response().body == b"above"


CUTS: dict[str, Callable[[H2Backend], None]] = {
    "fin": lambda host: host.peer.close(),
    "garbage": lambda host: host.peer.send(b"\x00\x00\x08\x06\x00\x00\x00\x00\x05" + bytes(8)),
}


@pytest.mark.parametrize("how", CUTS)
def test_the_end_of_a_connection_fails_all_of_its_streams(laboratory: Laboratory, how: str) -> None:
    lab = make(laboratory)
    clients = [lab.client() for _ in range(5)]
    for number, client in enumerate(clients):
        client.send(get(f"/{number}", method="POST", body=b"x"))
    host = H2Backend(lab.accept())
    for index in range(5):
        host.whole(index)
    with contextlib.suppress(OSError):
        CUTS[how](host)
    for client in clients:
        assert client.read_response().start.startswith(b"HTTP/1.1 50")


def test_a_slow_client_holds_the_host_back(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client = lab.client()
    client.send(get())
    host = H2Backend(lab.accept())
    seen = host.whole()
    host.answer(seen.stream, end=False)
    host.peer.connection.settimeout(0.5)
    sent = 0
    # until a while goes by without more window
    with contextlib.suppress(TimeoutError):
        while sent < 64_000_000:
            room = min(host.http.local_flow_control_window(seen.stream), 16384)
            if room == 0:
                host.receive()
                continue
            host.data(seen.stream, b"x" * room)
            sent += room
    assert 0 < sent < 64_000_000
    client.close()


def test_a_config_cap_and_waiting_requests(laboratory: Laboratory) -> None:
    """With one connection of one stream, the second request waits for the first's end."""
    lab = make(
        laboratory,
        cluster={
            "connection_pool": {"max_streams_per_connection": 1},
            "circuit_breaker": {"max_connections": 1},
        },
    )
    first, second = lab.client(), lab.client()
    first.send(get("/1"))
    host = H2Backend(lab.accept())
    seen = host.whole(0)
    second.send(get("/2"))
    until(lambda: lab.sidecar.total("requests_active") == 2, "both are under way")
    host.answer(seen.stream, b"1")
    assert first.read_response().body == b"1"
    host.answer(host.whole(1).stream, b"2")
    assert second.read_response().body == b"2"
