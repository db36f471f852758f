"""Routes as clients and backends see them: who gets a request, what is changed, what is answered at once."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.crowd import Server
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Message, request, response
from tests._fast.flow.sidecar import until


def ask(lab: Lab, sent: bytes, method: str = "GET") -> Message:
    client = lab.client()
    client.send(sent)
    got = client.read_response(method)
    client.close()
    return got


# -- answers of the proxy itself --------------------------------------------------------------------------

PAGES: list[dict[str, Any]] = [
    {"matches": [{"path": {"exact": "/text"}}], "response": {"body": "täxt"}},
    {"matches": [{"path": {"exact": "/empty"}}], "response": {"status": 200}},
    {"matches": [{"path": {"exact": "/gone"}}], "response": {"status": 410, "body": "gone"}},
    {"matches": [{"path": {"exact": "/none"}}], "response": {"status": 204}},
    {"matches": [{"path": {"exact": "/big"}}], "response": {"body": "x" * 1_000_000}},
    {
        "matches": [{"path": {"exact": "/json"}}],
        "response": {"body": "{}", "content_type": "application/json"},
        "response_headers": {"set": {"X-Set": "1"}, "add": {"X-Add": "2"}},
    },
]


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/text", 200, "täxt".encode()),
        ("/empty", 200, b""),
        ("/gone", 410, b"gone"),
        ("/none", 204, b""),
        ("/big", 200, b"x" * 1_000_000),
        ("/json", 200, b"{}"),
    ],
)
def test_fixed_answers(laboratory: Laboratory, path: str, status: int, body: bytes) -> None:
    lab = laboratory(routes=PAGES)
    client = lab.client()
    for _ in range(3):
        client.send(request("GET", path))
        got = client.read_response()
        assert (got.status, got.body) == (status, body)
        client.send(request("HEAD", path))
        head = client.read_response("HEAD")
        assert (head.status, head.all(b"content-length")) == (status, got.all(b"content-length"))
    if path == "/json":
        assert got.one(b"content-type") == b"application/json"
        assert (got.one(b"x-set"), got.one(b"x-add")) == (b"1", b"2")
    assert not lab.backend.waiting()


def test_fixed_answers_in_a_pipeline(laboratory: Laboratory) -> None:
    lab = laboratory(routes=PAGES)
    client = lab.client()
    client.send(request("GET", "/text") * 500 + request("GET", "/gone") + request("GET", "/big") * 3)
    for _ in range(500):
        assert client.read_response().status == 200
    assert client.read_response().status == 410
    for _ in range(3):
        assert len(client.read_response().body) == 1_000_000


def test_no_route(laboratory: Laboratory) -> None:
    lab = laboratory(route={"hostnames": ["only.test"]})
    got = ask(lab, request())
    assert got.status == 404
    assert b"error=destination_not_found" in (got.one(b"proxy-status") or b"")
    until(lambda: lab.sidecar.flags() == {"NR": 1}, "the flag is counted")


def test_a_cluster_without_endpoints(laboratory: Laboratory) -> None:
    lab = laboratory(endpoints=[])
    assert ask(lab, request()).status == 503
    until(lambda: lab.sidecar.flags() == {"UH": 1}, "the flag is counted")


@pytest.mark.parametrize(
    ("redirect", "path", "status", "location"),
    [
        ({"hostname": "new.test"}, "/a?b", 302, b"http://new.test/a?b"),
        ({"scheme": "https"}, "/a", 302, b"https://proxy.test/a"),
        ({"scheme": "https", "port": 443, "status": 301}, "/a", 301, b"https://proxy.test/a"),
        ({"scheme": "https", "port": 8443, "status": 308}, "/a", 308, b"https://proxy.test:8443/a"),
        ({"port": 80, "status": 307}, "/a", 307, b"http://proxy.test/a"),
        ({"path": {"replace_full": "/x"}, "status": 303}, "/a/b?c", 303, b"http://proxy.test/x?c"),
        ({"path": {"replace_prefix": "/new"}}, "/a/b?c", 302, b"http://proxy.test/new/b?c"),
        ({"path": {"replace_prefix": "/"}}, "/a/b", 302, b"http://proxy.test/b"),
        ({"path": {"replace_prefix": "/new"}}, "/a", 302, b"http://proxy.test/new"),
    ],
)
def test_redirects(
    laboratory: Laboratory, redirect: dict[str, Any], path: str, status: int, location: bytes
) -> None:
    lab = laboratory(routes=[{"matches": [{"path": {"prefix": "/a"}}], "redirect": redirect}])
    got = ask(lab, request("GET", path))
    assert (got.status, got.one(b"location")) == (status, location)
    assert got.body == b""
    assert not lab.backend.waiting()


def test_a_redirect_cannot_be_made_to_inject_fields(laboratory: Laboratory) -> None:
    lab = laboratory(routes=[{"matches": [{"path": {"prefix": "/a"}}], "redirect": {"scheme": "https"}}])
    got = ask(lab, request("GET", "/a/%0d%0aX-Evil:%201"))
    assert got.all(b"x-evil") == []
    assert got.one(b"location") == b"https://proxy.test/a/%0D%0AX-Evil:%201"


# -- changes of what is forwarded ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rewrite", "path", "seen"),
    [
        ({"path": {"replace_full": "/x"}}, "/a/b?c=d", b"/x?c=d"),
        ({"path": {"replace_prefix": "/"}}, "/a/b?c", b"/b?c"),
        ({"path": {"replace_prefix": "/"}}, "/a", b"/"),
        ({"path": {"replace_prefix": "/"}}, "/a/", b"/"),
        ({"path": {"replace_prefix": "/new"}}, "/a/b", b"/new/b"),
        ({"path": {"replace_prefix": "/new"}}, "/a", b"/new"),
        ({"path": {"replace_prefix": "/new"}}, "/a?q", b"/new?q"),
        ({"path": {"replace_prefix": "/new"}}, "/a/%41/../c", b"/new/c"),
        ({"path": {"replace_prefix": "/new"}}, "/ab", b"/ab"),
    ],
)
def test_the_path_is_rewritten(
    laboratory: Laboratory, rewrite: dict[str, Any], path: str, seen: bytes
) -> None:
    rewriting = {
        "matches": [{"path": {"prefix": "/a"}}],
        "rewrite": rewrite,
        "backends": [{"cluster": "c"}],
    }
    lab = laboratory(routes=[rewriting])
    got, _ = lab.exchange(request("GET", path), response())
    assert got.start == b"GET " + seen + b" HTTP/1.1"


def test_the_host_is_rewritten(laboratory: Laboratory) -> None:
    lab = laboratory(route={"rewrite": {"hostname": "inner.test"}})
    for sent in (request(), b"GET http://other.test/ HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"):
        seen, _ = lab.exchange(sent, response())
        assert seen.one(b"host") == b"inner.test"


EDITS = {
    "remove": ["X-Gone", "cookie"],
    "set": {"X-Set": "new", "user-agent": "tulle"},
    "add": {"X-Add": "more"},
}
SENT = [b"x-GONE: 1", b"X-Gone: 2", b"Cookie: a", b"x-set: old", b"X-SET: older", b"X-Add: one", b"X-Kept: 1"]


def test_fields_of_the_request_are_edited(laboratory: Laboratory) -> None:
    lab = laboratory(route={"request_headers": EDITS})
    seen, _ = lab.exchange(request("GET", "/", *SENT), response())
    assert seen.all(b"x-gone") == seen.all(b"cookie") == []
    assert seen.all(b"x-set") == [b"new"]
    assert seen.all(b"user-agent") == [b"tulle"]
    assert seen.all(b"x-add") == [b"one", b"more"]
    assert seen.one(b"x-kept") == b"1"
    assert seen.one(b"host") == b"proxy.test"


def test_fields_of_the_response_are_edited(laboratory: Laboratory) -> None:
    lab = laboratory(route={"response_headers": EDITS})
    head = b"\r\n".join([b"HTTP/1.1 200 OK", *SENT, b"Transfer-Encoding: chunked"])
    for answer in (response(b"ok", *SENT), head + b"\r\n\r\n2\r\nok\r\n0\r\n\r\n"):
        _, got = lab.exchange(request(), answer)
        assert got.all(b"x-gone") == got.all(b"cookie") == []
        assert got.all(b"x-set") == [b"new"]
        assert got.all(b"x-add") == [b"one", b"more"]
        assert (got.one(b"x-kept"), got.body) == (b"1", b"ok")


def test_what_the_proxy_adds_can_be_edited_away(laboratory: Laboratory) -> None:
    edits = {"remove": ["x-forwarded-for", "x-request-id"], "set": {"x-forwarded-proto": "https"}}
    lab = laboratory(route={"request_headers": edits})
    seen, _ = lab.exchange(request(), response())
    assert seen.all(b"x-forwarded-for") == seen.all(b"x-request-id") == []
    assert seen.one(b"x-forwarded-proto") == b"https"


# -- which backend --------------------------------------------------------------------------------------


def cluster(server: Server) -> dict[str, Any]:
    return {"endpoints": [{"address": server.address}]}


def test_each_kind_of_match_leads_to_its_backend(laboratory: Laboratory) -> None:
    with Server(body=b"special") as special, Server(body=b"other") as other:
        special_cases: list[dict[str, Any]] = [
            {"path": {"exact": "/exact"}},
            {"path": {"prefix": "/prefix"}},
            {"path": {"regex": "/r[0-9]+"}},
            {"method": "DELETE"},
            {"headers": {"X-Canary": {"exact": "1"}}},
            {"headers": {"x-any": {"present": True}}},
            {"query": {"v": {"exact": "2"}}},
        ]
        lab = laboratory(
            endpoints=[other.address],
            routes=[
                {"matches": special_cases, "backends": [{"cluster": "special"}]},
                {"hostnames": ["*.wild.test", "exact.test"], "backends": [{"cluster": "special"}]},
            ],
            more_clusters={"special": cluster(special)},
        )
        for sent in (
            request("GET", "/exact"),
            request("GET", "/prefix/x"),
            request("GET", "/prefix"),
            request("GET", "/r77"),
            request("DELETE", "/"),
            request("GET", "/", b"x-canary: 1"),
            request("GET", "/", b"X-ANY:"),
            request("GET", "/?a=b&v=2"),
            b"GET / HTTP/1.1\r\nHost: a.wild.test:8080\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: EXACT.test\r\n\r\n",
            b"GET http://exact.test/ HTTP/1.1\r\nHost: x\r\n\r\n",
            request("GET", "/%65xact"),
        ):
            assert ask(lab, sent).body == b"special", sent
        for sent in (
            request("GET", "/exact/"),
            request("GET", "/prefixed"),
            request("GET", "/r77x"),
            request("GET", "/", b"x-canary: 2"),
            request("GET", "/?v=22"),
            b"GET / HTTP/1.1\r\nHost: wild.test\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: not-exact.test\r\n\r\n",
        ):
            assert ask(lab, sent).body == b"other", sent


def test_backends_by_weight(laboratory: Laboratory) -> None:
    """Of 2,000 requests a quarter, within five standard deviations, and none for a weight of 0."""
    with Server(body=b"a") as first, Server(body=b"b") as second, Server(body=b"c") as third:
        lab = laboratory(
            endpoints=[first.address],
            route={
                "backends": [
                    {"cluster": "c", "weight": 25},
                    {"cluster": "second", "weight": 75},
                    {"cluster": "third", "weight": 0},
                ]
            },
            more_clusters={"second": cluster(second), "third": cluster(third)},
        )
        client = lab.client()
        counts: Counter[bytes] = Counter()
        for _ in range(20):
            client.send(request() * 100)
            counts.update(client.read_response().body for _ in range(100))
        assert counts[b"c"] == 0
        assert abs(counts[b"a"] - 500) < 5 * (2000 * 0.25 * 0.75) ** 0.5, counts
        client.close()


def test_endpoints_in_turn(laboratory: Laboratory) -> None:
    with Server(body=b"a") as first, Server(body=b"b") as second:
        lab = laboratory(endpoints=[first.address, second.address])
        client = lab.client()
        client.send(request() * 100)
        bodies = [client.read_response().body for _ in range(100)]
        assert bodies.count(b"a") == bodies.count(b"b") == 50
        assert all(left != right for left, right in pairwise(bodies))
        client.close()
