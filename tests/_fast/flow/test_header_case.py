"""Names of fields as old servers and clients expect them, and the order of fields between two sidecars."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_backend import H2Backend
from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab
from tests._fast.flow.mesh import Mesh
from tests._fast.flow.peers import Backend, Peer, request, response

TITLE = {"header_case": "title"}


def names(head: bytes) -> list[bytes]:
    return [line.partition(b":")[0] for line in head.split(b"\r\n")[1:-2]]


# -- requests -----------------------------------------------------------------------------------------------


def old_server(laboratory: Laboratory, **cluster: Any) -> Lab:
    return laboratory(
        listener={"via": "tulle"},
        cluster=TITLE | cluster,
        route={"request_headers": {"set": {"x-set": "1", "x-OwnName": "2"}}},
    )


def test_a_request_that_came_over_http2(laboratory: Laboratory) -> None:
    lab = old_server(laboratory)
    client = H2Peer(lab.client())
    fields = [
        ("content-type", "a-b/c: d"), ("x_under.score", "1"), ("accept", "x"), ("accept", "y"), ("etag", "z"),
    ]  # fmt: skip
    stream = client.ask("/lower-case", method="POST", fields=fields, end=False)
    client.send(stream, b"body", end=True)
    upstream = lab.accept()
    seen = upstream.read_request()
    assert seen.start == b"POST /lower-case HTTP/1.1" and seen.body == b"body"
    assert seen.names == [
        b"Host", b"Content-Type", b"X_Under.Score", b"Accept", b"Accept", b"Etag", b"X-Forwarded-For",
        b"X-Forwarded-Proto", b"X-Request-Id", b"Via", b"X-Set", b"X-OwnName", b"Transfer-Encoding",
    ]  # fmt: skip
    assert seen.all(b"accept") == [b"x", b"y"] and seen.one(b"content-type") == b"a-b/c: d"
    upstream.send(response(b"ok", b"X-Theirs: 1"))
    assert client.answer(stream).one(b"x-theirs") == b"1"


def test_what_came_over_http1_is_left_as_it_came(laboratory: Laboratory) -> None:
    """The names that are our own are in title case."""
    lab = old_server(laboratory)
    sent = b"GET /a-b HTTP/1.1\r\nhOST:  h\r\nx-lower: a-b\r\nX-MiXed:c\r\n\r\n"
    seen, got = lab.exchange(sent, response(b"", b"x-lower: 1", b"X-MiXed:2"))
    assert seen.raw.startswith(b"GET /a-b HTTP/1.1\r\nhOST:  h\r\nx-lower: a-b\r\nX-MiXed:c\r\n")
    assert seen.names[3:] == [
        b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Request-Id", b"Via", b"X-Set", b"X-OwnName",
    ]  # fmt: skip
    # The option is that of the cluster: answers are none of its business
    assert got.names == [b"content-length", b"x-lower", b"X-MiXed", b"via"]


def test_without_the_option_names_stay_in_lower_case(laboratory: Laboratory) -> None:
    lab = laboratory()
    client = H2Peer(lab.client())
    client.ask(fields=[("x-lower", "1")])
    seen = lab.accept().read_request()
    assert seen.names == [name.lower() for name in seen.names] and b"x-lower" in seen.names


# -- answers ------------------------------------------------------------------------------------------------


def old_client(laboratory: Laboratory, **cluster: Any) -> Lab:
    return laboratory(
        listener=TITLE | {"via": "tulle"},
        cluster=cluster,
        routes=[{"matches": [{"path": {"prefix": "/fixed"}}], "response": {"status": 200, "body": "x"}}],
    )


def test_an_answer_that_came_over_http2(laboratory: Laboratory) -> None:
    lab = old_client(laboratory, protocol="http2")
    client = lab.client()
    client.send(request())
    host = H2Backend(lab.accept())
    seen = host.whole()
    assert all(name == name.lower() for name, _ in seen.fields)
    host.answer(seen.stream, status=103, fields=[("link", "</a>")], end=False)
    fields = [
        ("content-length", "2"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("www-authenticate", "Basic"),
    ]  # fmt: skip
    host.answer(seen.stream, b"ok", fields=fields)
    got = client.read_response()
    assert names(got.raw) == [b"Content-Length", b"Set-Cookie", b"Set-Cookie", b"Www-Authenticate", b"Via"]
    assert got.body == b"ok" and got.all(b"set-cookie") == [b"a=1", b"b=2"]
    assert [names(head.raw) for head in got.informational] == [[b"Link"]]


def test_an_answer_that_came_over_http1_is_left_as_it_came(laboratory: Laboratory) -> None:
    _, got = old_client(laboratory).exchange(request(), response(b"ok", b"x-lower: 1", b"X-MiXed:2"))
    assert got.raw == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-lower: 1\r\nX-MiXed:2\r\nVia: 1.1 tulle\r\n\r\n"
    )


@pytest.mark.parametrize("path", ["/fixed", "/dead"])
def test_answers_of_the_proxy_are_in_title_case(laboratory: Laboratory, path: str) -> None:
    lab = old_client(laboratory, endpoints=[])
    client = lab.client()
    client.send(request(path=path))
    got = client.read_response()
    assert got.status == (200 if path == "/fixed" else 503)
    assert {b"Content-Type", b"Date", b"Content-Length"} <= set(got.names)
    assert all(name[:1].isupper() for name in got.names)


def test_a_client_of_http2_gets_lower_case(laboratory: Laboratory) -> None:
    lab = old_client(laboratory)
    client = H2Peer(lab.client())
    stream = client.ask()
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(b"ok", b"X-MiXed: 2"))
    answer = client.answer(stream)
    assert answer.one(b"x-mixed") == b"2" and all(name == name.lower() for name, _ in answer.fields)


# -- two sidecars -------------------------------------------------------------------------------------------

SENT = [
    b"X-B: 1", b"x-a: 2", b"X-b: 3", b"Accept: x", b"Cookie: a=1", b"accept: y", b"x-A: 4", b"User-Agent: t",
    b"Accept: z", b"Content-Type: text/plain", b"X-B: 5",
]  # fmt: skip
ANSWERED = [
    b"Set-Cookie: a=1", b"X-B: 1", b"set-cookie: b=2", b"x-a: 2", b"Vary: x", b"Set-Cookie: c=3", b"vary: y",
    b"X-b: 3",
]  # fmt: skip


class Pair:
    """Two sidecars that speak HTTP/2, a client before them and a server behind them that speak HTTP/1."""

    def __init__(self, folder: Path, backend: Backend) -> None:
        self.backend = backend
        cluster = {"app": {"endpoints": [{"address": backend.address}]} | TITLE}
        self.mesh = Mesh(folder, backend.address, protocol="http2", clusters=cluster)
        self.mesh.outer["listeners"][0] |= TITLE
        self.mesh.a.reload(self.mesh.outer)
        self.client = Peer(self.mesh.a.connect())

    def close(self) -> None:
        self.client.close()
        self.mesh.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    backend = Backend()
    made = Pair(tmp_path, backend)
    yield made
    made.close()
    backend.close()


def common(lines: list[bytes], wanted: list[bytes]) -> list[bytes]:
    """Those of the lines whose names are among these, in whatever case, in the order in which they came."""
    known = {line.partition(b":")[0].lower() for line in wanted}
    return [line for line in lines if line.partition(b":")[0].lower() in known]


def lines_of(head: bytes) -> list[bytes]:
    return head[:-4].split(b"\r\n")[1:]


def titled(lines: list[bytes]) -> list[bytes]:
    return [b"%s:%s" % (name.title(), value) for name, _, value in (line.partition(b":") for line in lines)]


def test_order_and_case_through_two_sidecars(pair: Pair) -> None:
    """Of all fields, and so of those that share a name; nothing is lost on the way but the case of names."""
    pair.client.send(request("POST", "/ordered", *SENT, body=b"body"))
    upstream = pair.backend.accept()
    seen = upstream.read_request()
    assert seen.body == b"body"
    assert common(lines_of(seen.raw), SENT) == titled(SENT)
    assert seen.names[0] == b"Host" and all(name[:1].isupper() for name in seen.names)
    upstream.send(response(b"ok", *ANSWERED))
    got = pair.client.read_response()
    assert got.body == b"ok"
    assert common(lines_of(got.raw), ANSWERED) == titled(ANSWERED)
    assert all(name[:1].isupper() for name in got.names)
    upstream.close()


def test_lines_of_one_name_that_we_add_keep_their_order(laboratory: Laboratory) -> None:
    """A Host among them, which becomes the authority of HTTP/2, leaves the others where they are."""
    added = {f"x-{number}": str(number) for number in range(8)}
    lab = laboratory(
        cluster={"protocol": "http2"},
        route={"rewrite": {"hostname": "other.test"}, "request_headers": {"add": added}},
    )
    client = lab.client()
    client.send(request())
    host = H2Backend(lab.accept())
    seen = host.whole()
    assert seen.one(b":authority") == b"other.test"
    assert [name.decode() for name, _ in seen.fields if name.decode() in added] == list(added)
    assert seen.one(b"host") is None
    host.answer(seen.stream)
    client.read_response()
