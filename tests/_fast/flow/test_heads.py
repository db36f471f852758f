"""The head of a message on its way through: kept byte for byte, but for what is ours to change."""

import re

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Fields, request, response

OURS = {b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id"}


def without_ours(fields: Fields) -> Fields:
    return [(name, value) for name, value in fields if name not in OURS]


ODD = [
    (b"hOsT", b"proxy.test"),
    (b"X-Empty", b""),
    (b"x-MiXeD-cAsE", b"Value With  Two  Spaces"),
    (b"COOKIE", b"a=b; c=d"),
    (b"Cookie", b"again=1"),
    (b"!#$%&'*+-.^_`|~09azAZ", b"every character of a token"),
    (b"X-High", bytes(range(0x80, 0x100))),
    (b"X-Tab", b"a\tb"),
    (b"Accept", b"*/*"),
    (b"accept", b"text/html"),
    (b"Cache-Control", b"no-cache"),
    (b"Authorization", b"Basic dTpw"),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    (b"X-B3-TraceId", b"463ac35c9f6413ad48485a3953bb6124"),
    (b"Via", b"1.0 fred"),
    (b"Forwarded", b"for=1.2.3.4"),
]


def lines(fields: Fields) -> bytes:
    return b"".join(name + b": " + value + b"\r\n" for name, value in fields)


def test_every_field_of_a_request_keeps_spelling_and_place(lab: Lab) -> None:
    seen, _ = lab.exchange(b"GET /p HTTP/1.1\r\n" + lines(ODD) + b"\r\n", response())
    assert without_ours(seen.fields) == ODD
    assert seen.raw.startswith(b"GET /p HTTP/1.1\r\n" + lines(ODD))


def test_every_field_of_a_response_keeps_spelling_and_place(lab: Lab) -> None:
    fields = [(b"Server", b"x"), (b"SET-Cookie", b"a=1"), (b"set-cookie", b"b=2"), *ODD[1:]]
    fields += [(b"Date", b"Tue"), (b"Content-Length", b"2"), (b"Connection-Like", b"close")]
    _, got = lab.exchange(request(), b"HTTP/1.1 299 Quite  Odd\r\n" + lines(fields) + b"\r\nok")
    assert got.start == b"HTTP/1.1 299 Quite  Odd"
    assert got.fields == fields


@pytest.mark.parametrize("reason", [b"", b"OK", b"Nicht gefunden \xe4\xf6", b"a\tb"])
def test_the_reason_is_kept(lab: Lab, reason: bytes) -> None:
    _, got = lab.exchange(request(), b"HTTP/1.1 404 " + reason + b"\r\nContent-Length: 0\r\n\r\n")
    assert got.start == b"HTTP/1.1 404 " + reason


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "M-SEARCH", "get", "X"]
)
def test_the_method_is_kept(lab: Lab, method: str) -> None:
    seen, _ = lab.exchange(request(method, "/p"), response())
    assert seen.start == method.encode() + b" /p HTTP/1.1"


@pytest.mark.parametrize(
    ("sent", "seen"),
    {
        "/": "/",
        "/a/b?c=d&e=%2F&f": "/a/b?c=d&e=%2F&f",
        "/?": "/?",
        "/%41?": "/A?",
        "/a?b?c#": None,
        "/%7Euser/%41": "/~user/A",
        "/%c3%a4": "/%C3%A4",
        "/a/./b/../c?q": "/a/c?q",
        "/a//b": "/a/b",
        "/../../x": "/x",
        "/a%2Fb": None,
        "/a%5Cb": None,
        "/%zz": None,
        "/%00": None,
        "/;p=1/x;y": "/;p=1/x;y",
        "/a:b@c": "/a:b@c",
    }.items(),
)
def test_the_path_is_seen_normalised(lab: Lab, sent: str, seen: str | None) -> None:
    if seen is not None:
        got, _ = lab.exchange(request("GET", sent), response())
        assert got.start == f"GET {seen} HTTP/1.1".encode()
        return
    client = lab.client()
    client.send(request("GET", sent))
    assert client.read_response().status == 400
    assert not lab.backend.waiting()


@pytest.mark.parametrize(
    ("handling", "sent", "seen"),
    [
        ({"slashes": "keep"}, "/a//b", "/a//b"),
        ({"slashes": "refuse"}, "/a//b", None),
        ({"escaped_slashes": "keep"}, "/a%2Fb%5c", "/a%2Fb%5C"),
        ({"escaped_slashes": "decode"}, "/a%2Fb", "/a/b"),
    ],
)
def test_how_slashes_are_handled(
    laboratory: Laboratory, handling: dict[str, str], sent: str, seen: str | None
) -> None:
    lab = laboratory(listener={"path": handling})
    if seen is not None:
        got, _ = lab.exchange(request("GET", sent), response())
        assert got.start == f"GET {seen} HTTP/1.1".encode()
        return
    client = lab.client()
    client.send(request("GET", sent))
    assert client.read_response().status == 400


# -- target and Host -----------------------------------------------------------------------------------


def test_absolute_form_decides_the_host(lab: Lab) -> None:
    """Host is replaced by the authority of the target (RFC 9112 section 3.2.2)."""
    seen, _ = lab.exchange(b"GET http://other.test:81/p?q HTTP/1.1\r\nHost: proxy.test\r\n\r\n", response())
    assert seen.start == b"GET /p?q HTTP/1.1"
    assert seen.one(b"host") == b"other.test:81"


@pytest.mark.parametrize(
    ("target", "seen"),
    [(b"http://other.test", b"/"), (b"http://other.test?q", b"/?q"), (b"http://other.test/%41", b"/A")],
)
def test_absolute_form_without_or_with_a_path(lab: Lab, target: bytes, seen: bytes) -> None:
    got, _ = lab.exchange(b"GET " + target + b" HTTP/1.1\r\nHost: other.test\r\n\r\n", response())
    assert got.start == b"GET " + seen + b" HTTP/1.1"


def test_options_asterisk(lab: Lab) -> None:
    seen, _ = lab.exchange(request("OPTIONS", "*"), response())
    assert seen.start == b"OPTIONS * HTTP/1.1"


def test_http_1_0_without_host(lab: Lab) -> None:
    """The request goes on as HTTP/1.1, which must have a Host."""
    client = lab.client()
    client.send(b"GET /p HTTP/1.0\r\n\r\n")
    upstream = lab.accept()
    seen = upstream.read_request()
    assert seen.start == b"GET /p HTTP/1.1"
    assert seen.one(b"host") == lab.backend.address.encode()


# -- hop-by-hop ----------------------------------------------------------------------------------------


def test_hop_by_hop_fields_of_a_request_end_here(lab: Lab) -> None:
    hops = [
        b"Connection: X-Named, keep-alive,, x-other-named",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"X-Named: secret",
        b"X-OTHER-Named: secret",
        b"X-Kept: 1",
        b"TE: trailers, deflate",
        b"Upgrade: foo",
    ]
    seen, _ = lab.exchange(request("GET", "/", *hops), response())
    assert without_ours(seen.fields) == [(b"Host", b"proxy.test"), (b"X-Kept", b"1"), (b"te", b"trailers")]


def test_hop_by_hop_fields_of_a_response_end_here(lab: Lab) -> None:
    hops = [
        b"Connection: x-named",
        b"Keep-Alive: timeout=5",
        b"X-Named: 1",
        b"Proxy-Connection: close",
        b"X-Kept: 1",
    ]
    _, got = lab.exchange(request(), response(b"", *hops))
    assert [name for name in got.names if name.lower() != b"content-length"] == [b"X-Kept"]


@pytest.mark.parametrize("named", [b"Content-Length", b"transfer-encoding", b"HOST"])
def test_connection_may_not_name_what_frames_a_message(lab: Lab, named: bytes) -> None:
    client = lab.client()
    client.send(request("POST", "/", b"Connection: " + named, body=b"abc"))
    assert client.read_response().status == 400
    client.expect_end()
    assert not lab.backend.waiting()


def test_authorization_of_proxies_is_not_ours(lab: Lab) -> None:
    seen, _ = lab.exchange(request("GET", "/", b"Proxy-Authorization: Basic x"), response())
    assert seen.all(b"proxy-authorization") in ([], [b"Basic x"])


# -- what we add ---------------------------------------------------------------------------------------

UUID = rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
CLAIMS = [
    b"X-Forwarded-For: 6.6.6.6",
    b"x-forwarded-proto: https",
    b"X-Forwarded-Host: evil.test",
    b"X-Request-ID: mine",
]


def test_forwarding_fields_of_a_stranger_are_not_believed(lab: Lab) -> None:
    seen, _ = lab.exchange(request("GET", "/", *CLAIMS), response())
    assert seen.one(b"x-forwarded-for") == b"127.0.0.1"
    assert seen.one(b"x-forwarded-proto") == b"http"
    assert seen.all(b"x-forwarded-host") == []
    assert re.fullmatch(UUID, seen.one(b"x-request-id") or b"")


def test_forwarding_fields_of_trusted_hops_are_kept(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"trusted_hops": 1})
    seen, _ = lab.exchange(request("GET", "/", *CLAIMS), response())
    assert b", ".join(seen.all(b"x-forwarded-for")) == b"6.6.6.6, 127.0.0.1"
    assert seen.one(b"x-forwarded-proto") == b"https"
    assert seen.one(b"x-forwarded-host") == b"evil.test"
    assert seen.one(b"x-request-id") == b"mine"
    seen, _ = lab.exchange(request(), response())
    assert seen.one(b"x-forwarded-for") == b"127.0.0.1"
    assert re.fullmatch(UUID, seen.one(b"x-request-id") or b"")


def test_every_request_has_an_id_of_its_own(lab: Lab) -> None:
    found = {lab.exchange(request(), response())[0].one(b"x-request-id") for _ in range(50)}
    assert len(found) == 50


def test_nothing_is_added_where_nothing_is_wanted(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"forwarded_headers": False, "request_id": False})
    seen, got = lab.exchange(request("GET", "/", *CLAIMS), response())
    assert seen.raw == request("GET", "/", *CLAIMS)
    assert got.raw == response()


def test_via(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"via": "tulle"})
    old = response(b"", b"Via: 1.1 backend").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    seen, got = lab.exchange(request("GET", "/", b"Via: 1.0 fred"), old)
    assert seen.all(b"via") == [b"1.0 fred", b"1.1 tulle"], "the version in which it has come"
    assert got.all(b"via") == [b"1.1 backend", b"1.0 tulle"]


def test_via_after_http2(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"via": "tulle"})
    client = H2Peer(lab.client())
    stream = client.ask()
    upstream = lab.accept()
    assert upstream.read_request().all(b"via") == [b"2.0 tulle"]
    upstream.send(response())
    assert client.answer(stream).one(b"via") == b"1.1 tulle"


# -- sizes ---------------------------------------------------------------------------------------------

HEAD = 60 * 1024


def padded(size: int, of: bytes) -> bytes:
    """A message whose head has exactly this size, in fields of at most 8,000 bytes."""
    head, end = of[:-2], b"\r\n"
    while size - len(head) - len(end) > 16000:
        head += b"X-Pad: " + b"p" * 7991 + b"\r\n"
    rest = size - len(head) - len(end) - len(b"X-Pad: \r\n")
    return head + b"X-Pad: " + b"p" * rest + b"\r\n" + end


def test_a_request_head_just_within_the_limit(lab: Lab) -> None:
    sent = padded(HEAD, request())
    assert len(sent) == HEAD
    seen, got = lab.exchange(sent, response())
    assert seen.raw[: HEAD - 2] == sent[:-2]
    assert got.status == 200


@pytest.mark.parametrize("size", [HEAD + 1, HEAD + 5000, 2 * HEAD, 10 * HEAD])
def test_a_request_head_just_above_the_limit(lab: Lab, size: int) -> None:
    client = lab.client()
    client.send(padded(size, request()))
    assert client.read_response().status == 431
    client.expect_end()
    assert not lab.backend.waiting()


def test_a_head_that_never_ends(lab: Lab) -> None:
    """Refused at the limit, not gathered until memory is full."""
    client = lab.client()
    client.send(request()[:-2] + b"X-Pad: " + b"p" * (HEAD + 1))
    assert client.read_response().status == 431


def test_a_hundred_fields_and_one(lab: Lab) -> None:
    seen, _ = lab.exchange(request("GET", "/", *[b"X-Field: %d" % index for index in range(99)]), response())
    assert seen.all(b"x-field") == [b"%d" % index for index in range(99)]
    client = lab.client()
    client.send(request("GET", "/", *[b"X-Field: 1"] * 100))
    assert client.read_response().status == 431
    client.expect_end()


def test_a_long_request_line(lab: Lab) -> None:
    """The limit counts the end of the line too."""
    path = "/" + "x" * (16384 - len("GET / HTTP/1.1\r\n"))
    seen, _ = lab.exchange(request("GET", path), response())
    assert seen.start == f"GET {path} HTTP/1.1".encode()
    client = lab.client()
    client.send(request("GET", path + "x"))
    assert client.read_response().status == 414
    client.expect_end()


def test_limits_of_the_listener(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"max_request_head": 2000, "max_request_line": 200, "max_header_fields": 5})
    for sent, status in [
        (padded(2000, request()), 200),
        (padded(2001, request()), 431),
        (request("GET", "/" + "x" * 200), 414),
        (request("GET", "/", *[b"A: 1"] * 4), 200),
        (request("GET", "/", *[b"A: 1"] * 5), 431),
    ]:
        client = lab.client()
        client.send(sent)
        if status == 200:
            upstream = lab.accept()
            upstream.read_request()
            upstream.send(response())
            upstream.close()
        assert client.read_response().status == status
        client.close()


@pytest.mark.parametrize("size", [HEAD, 17000])
def test_a_response_head_just_within_the_limit(lab: Lab, size: int) -> None:
    sent = padded(size, response())
    _, got = lab.exchange(request(), sent)
    assert got.raw == sent


@pytest.mark.parametrize("size", [HEAD + 1, 3 * HEAD])
def test_a_response_head_above_the_limit(lab: Lab, size: int) -> None:
    client = lab.client()
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(padded(size, response()))
    assert client.read_response().status == 502


def test_a_large_head_with_a_body_behind_it(lab: Lab) -> None:
    body = bytes(range(256)) * 300
    sent = padded(HEAD - 10, request("PUT", "/", body=b"")).replace(
        b"Content-Length: 0", b"Content-Length: %d" % len(body)
    )
    answer = padded(HEAD - 10, response()).replace(b"content-length: 0", b"content-length: %d" % len(body))
    seen, got = lab.exchange(sent + body, answer + body)
    assert seen.body == body
    assert got.body == body
