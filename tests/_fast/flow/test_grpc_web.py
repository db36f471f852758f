"""gRPC-Web: binary and text, over both versions of HTTP, to a host that speaks gRPC."""

import base64

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_backend import H2Backend
from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Message

PATH = "/shop.Cart/Add"
MESSAGE = b"\0\0\0\0\2hi"
BINARY, TEXT = "application/grpc-web+proto", "application/grpc-web-text+proto"


def make(laboratory: Laboratory, **sections: object) -> Lab:
    return laboratory(cluster={"protocol": "http2"}, listener={"grpc_web": True}, **sections)


def post(kind: str, body: bytes) -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def decoded(text: bytes) -> bytes:
    """Of several texts in a row, each with its padding."""
    return b"".join(base64.b64decode(text[at : at + 4]) for at in range(0, len(text), 4))


def frames(body: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """Messages as they came, and the trailers of the last frame."""
    at = 0
    while body[at] != 0x80:
        at += 5 + int.from_bytes(body[at + 1 : at + 5], "big")
    lines = body[at + 5 :]
    assert int.from_bytes(body[at + 1 : at + 5], "big") == len(lines)
    pairs = [line.partition(b":") for line in lines.split(b"\r\n") if line]
    return body[:at], {name: value for name, _, value in pairs}


def answered(host: H2Backend, stream: int, body: bytes = MESSAGE) -> None:
    host.answer(stream, body, fields=[("content-type", "application/grpc+proto"), ("x-more", "1")], end=False)
    host.trailers(stream, [("grpc-status", "0"), ("grpc-message", "fine"), ("x-sum", "9")])


def check(got: Message, kind: str, body: bytes) -> None:
    assert (got.status, got.one(b"content-type"), got.one(b"x-more")) == (200, kind.encode(), b"1")
    assert frames(body) == (MESSAGE, {b"grpc-status": b"0", b"grpc-message": b"fine", b"x-sum": b"9"})
    assert got.trailers == []


@pytest.mark.parametrize("kind", [BINARY, TEXT])
def test_a_call_over_http_1(laboratory: Laboratory, kind: str) -> None:
    lab = make(laboratory)
    client = lab.client()
    client.send(post(kind, base64.b64encode(MESSAGE) if kind == TEXT else MESSAGE))
    host = H2Backend(lab.accept())
    seen = host.whole()
    assert seen.body == MESSAGE
    assert (seen.one(b"content-type"), seen.one(b"te")) == (b"application/grpc+proto", b"trailers")
    assert seen.one(b"content-length") is None
    answered(host, seen.stream)
    got = client.read_response()
    check(got, kind, decoded(got.body) if kind == TEXT else got.body)
    client.send(post(kind, b""))  # the connection goes on
    answered(host, host.whole(1).stream)
    assert client.read_response().status == 200


def test_text_in_any_pieces_over_http_2(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client = H2Peer(lab.client())
    stream = client.ask(PATH, method="POST", fields=[("content-type", TEXT)], end=False)
    for letter in base64.b64encode(MESSAGE) + base64.b64encode(MESSAGE):
        client.send(stream, bytes([letter]))
    client.send(stream, b"", end=True)
    host = H2Backend(lab.accept())
    seen = host.whole()
    assert seen.body == MESSAGE * 2
    answered(host, seen.stream)
    answer = client.answer(stream)
    assert answer.one(b"content-type") == TEXT.encode() and answer.trailers == []
    assert frames(decoded(answer.body))[0] == MESSAGE


def test_each_message_of_a_stream_can_be_read_when_it_comes(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client = H2Peer(lab.client())
    stream = client.ask(PATH, method="POST", fields=[("content-type", TEXT)])
    host = H2Backend(lab.accept())
    seen = host.whole()
    host.answer(seen.stream, MESSAGE, fields=[("content-type", "application/grpc")], end=False)
    client.need(lambda: decoded(client.answers[stream].body) == MESSAGE, "the first")
    host.data(seen.stream, MESSAGE)
    client.need(lambda: decoded(client.answers[stream].body) == MESSAGE * 2, "the second")
    host.trailers(seen.stream, [("grpc-status", "5")])
    assert frames(decoded(client.answer(stream).body)) == (MESSAGE * 2, {b"grpc-status": b"5"})


@pytest.mark.parametrize("kind", [BINARY, TEXT])
def test_a_long_body_each_way(laboratory: Laboratory, kind: str) -> None:
    lab = make(laboratory)
    whole = b"\0" + (400_000).to_bytes(4, "big") + bytes(range(250)) * 1600
    client = H2Peer(lab.client())
    stream = client.ask(PATH, method="POST", fields=[("content-type", kind)], end=False)
    host = None
    sent = base64.b64encode(whole) if kind == TEXT else whole
    for at in range(0, len(sent), 8000):  # both ends in turn: neither may wait for the other's window
        client.send(stream, sent[at : at + 8000], end=at + 8000 >= len(sent))
        host = host or H2Backend(lab.accept())
        expected = min(at + 8000, len(sent)) * (3 if kind == TEXT else 4) // 4
        while len(host.head().body) < expected - 3:
            host.receive()
    assert host is not None
    seen = host.whole()
    assert seen.body == whole
    head = [(":status", "200"), ("content-type", "application/grpc")]
    host.http.send_headers(seen.stream, head)
    at = 0
    while at < len(whole):
        while host.http.local_flow_control_window(seen.stream) == 0:
            host.receive()
        part = whole[at : at + min(host.http.local_flow_control_window(seen.stream), 8000)]
        host.data(seen.stream, part)
        at += len(part)
        size = at * (4 if kind == TEXT else 3) // 3
        client.need(lambda size=size: len(client.answers[stream].body) >= size, "what was sent")  # type: ignore[misc]
    host.trailers(seen.stream, [("grpc-status", "0")])
    body = client.answer(stream).body
    assert frames(decoded(body) if kind == TEXT else body) == (whole, {b"grpc-status": b"0"})


@pytest.mark.parametrize("body", [b"A", b"AAA=A", b"A===", b"A\nAA", b"=AAA", b"AA=A"])
def test_what_is_no_base64_is_refused(laboratory: Laboratory, body: bytes) -> None:
    lab = make(laboratory)
    client = lab.client()
    client.send(post(TEXT, body))
    got = client.read_response()
    assert (got.status, got.one(b"grpc-status"), got.one(b"content-type")) == (200, b"13", TEXT.encode())
    assert got.one(b"grpc-message") == b"the request body is malformed" and got.body == b""


def test_an_answer_that_is_all_trailers_has_them_in_its_head(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client = lab.client()
    client.send(post(BINARY, MESSAGE))
    host = H2Backend(lab.accept())
    fields = [("content-type", "application/grpc"), ("grpc-status", "7")]
    host.answer(host.whole().stream, fields=fields)
    got = client.read_response()
    assert (got.one(b"content-type"), got.one(b"grpc-status"), got.body) == (BINARY.encode(), b"7", b"")


def test_what_the_proxy_says_itself(laboratory: Laboratory) -> None:
    lab = make(laboratory, endpoints=["127.0.0.1:1"])
    client = lab.client()
    client.send(post(TEXT, base64.b64encode(MESSAGE)))
    got = client.read_response()
    assert (got.status, got.one(b"grpc-status"), got.one(b"content-type")) == (200, b"14", TEXT.encode())


@pytest.mark.parametrize("kind", [BINARY, TEXT])
def test_an_answer_that_breaks_off_ends_with_its_trailers(laboratory: Laboratory, kind: str) -> None:
    lab = make(laboratory)
    client = lab.client()
    client.send(post(kind, base64.b64encode(MESSAGE) if kind == TEXT else MESSAGE))
    host = H2Backend(lab.accept())
    seen = host.whole()
    host.answer(seen.stream, MESSAGE, fields=[("content-type", "application/grpc")], end=False)
    host.reset(seen.stream, 2)
    body = client.read_response().body
    messages, trailers = frames(decoded(body) if kind == TEXT else body)
    assert (messages, trailers[b"grpc-status"]) == (MESSAGE, b"14")


def test_a_call_of_grpc_passes_beside_it(laboratory: Laboratory) -> None:
    lab = make(laboratory)
    client = H2Peer(lab.client())
    stream = client.ask(PATH, method="POST", fields=[("content-type", "application/grpc+proto")])
    host = H2Backend(lab.accept())
    answered(host, host.whole().stream)
    answer = client.answer(stream)
    assert (answer.body, dict(answer.trailers)[b"grpc-status"]) == (MESSAGE, b"0")


def test_without_the_option_it_passes_as_it_is(laboratory: Laboratory) -> None:
    lab = laboratory(cluster={"protocol": "http2"})
    client = lab.client()
    client.send(post(BINARY, MESSAGE))
    host = H2Backend(lab.accept())
    seen = host.whole()
    assert seen.one(b"content-type") == BINARY.encode()
    host.answer(seen.stream, b"as it was")
    assert client.read_response().body == b"as it was"
